"""Bootstrap intervals and paired comparisons; the user is what is resampled. Quarters of the evidence horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reasonrec_core.errors import DataError
from reasonrec_core.evaluate.bootstrap import RESAMPLES, interval, resample, sum_by_user
from reasonrec_core.evaluate.metrics import Totals
from reasonrec_core.evaluate.scores import Scores
from reasonrec_core.types import Float64, Int64

ALPHA = 0.05
"""Level below which a corrected p-value counts as significant."""


@dataclass(frozen=True)
class Comparison:
    """System ``a`` against system ``b`` on the same queries.

    Attributes:
        metric: its name.
        a, b: the systems' names.
        difference: the metric of ``a`` minus that of ``b``, with its interval ``low`` to ``high``.
        p: two-sided p-value of the paired bootstrap.
        p_corrected: after Holm's correction over all comparisons made together.
        n: users.
        low_corrected, high_corrected: the interval that agrees with it; see `correct`.
        draws: float64[resamples] of the difference.
    """

    metric: str
    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    p_corrected: float
    n: int
    low_corrected: float
    high_corrected: float
    draws: Float64 = field(repr=False, compare=False)

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below `ALPHA`."""
        return self.p_corrected < ALPHA


def summarise(
    scores: Scores, *, seed: int = 0, resamples: int = RESAMPLES, metrics: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """Every metric with its 95 % percentile bootstrap interval: ``{name: {"value", "low", "high"}}``.

    Coverage is a count over these very lists, not an estimate: its interval is its value. Metrics that are undefined
    (e.g. AUC where all labels are equal) are left out. Equal for equal seeds.
    """
    wanted = list(scores.values) if metrics is None else list(metrics)
    fixed = scores.overall.keys() - scores.totals.keys()
    made = sum_by_user(scores, [name for name in wanted if name not in fixed])
    draws = resample(made, seed=seed, resamples=resamples)
    summary = {}
    for name in wanted:
        value = scores.values[name]
        if np.isnan(value):
            continue
        low, high = (value, value) if name in fixed else interval(draws[name], value, made[name].centred)
        summary[name] = {"value": value, "low": low, "high": high}
    return summary


def compare(
    a: Scores,
    b: Scores,
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    names: tuple[str, str] = ("a", "b"),
) -> list[Comparison]:
    """Compare two systems on the same queries, Holm-corrected over ``metrics`` (default: all that can be)."""
    return compare_all({names[0]: a, names[1]: b}, names[1], metrics, seed=seed, resamples=resamples)


def compare_all(
    systems: Mapping[str, Scores],
    reference: str,
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Comparison]:
    """Compare every other system with ``reference``; one family for Holm's correction.

    Both systems of a pair are resampled with the same weights, so what makes a user easy or hard for both cancels.
    ``p = 2 min(P(d* <= 0), P(d* >= 0))`` over the resampled differences d*, each count plus one: no p-value is
    smaller than ``2 / (resamples + 1)``.

    Raises:
        DataError: the systems were not evaluated on the same queries.
        ConfigError: a metric does not exist or cannot be resampled.
    """
    base = systems[reference]
    rows: list[Comparison] = []
    for name, scores in systems.items():
        if name == reference:
            continue
        if not np.array_equal(scores.users, base.users):
            raise DataError(f"{name} and {reference} were evaluated on different requests")
        wanted = [m for m in sum_by_user(scores) if m in base.values] if metrics is None else list(metrics)
        ours, theirs = sum_by_user(scores, wanted), sum_by_user(base, wanted)
        pairs = {m: _difference(ours[m], theirs[m]) for m in wanted}
        draws = resample(pairs, seed=seed, resamples=resamples)
        rows += [
            _comparison(m, (name, reference), ours[m], theirs[m], draws[m], int(scores.units.max()) + 1) for m in wanted
        ]
    return correct(rows)


def correct(rows: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons as one family: p-values after Holm's correction, and intervals that say the same.

    An interval of the level that the correction leaves (``1 - ALPHA p / p_corrected``) excludes 0 where the corrected
    p-value is below `ALPHA`; where so few draws cannot show that, it reaches 0.
    """
    made = []
    for row, p in zip(rows, holm([row.p for row in rows]), strict=True):
        low, high = interval(row.draws, row.difference, level=1 - ALPHA * row.p / p)
        if p >= ALPHA:
            low, high = min(low, 0.0), max(high, 0.0)
        made.append(replace(row, p_corrected=p, low_corrected=low, high_corrected=high))
    return made


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics, 1979), in the order given."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(v) for v in corrected]


def _difference(a: Totals, b: Totals) -> Totals:
    """The paired difference as a metric of its own."""
    split = a.parts.shape[1]
    return Totals(
        np.concatenate([a.parts, b.parts], axis=1),
        lambda sums: a.combine(sums[:, :split]) - b.combine(sums[:, split:]),
        "user",
        apart=a.apart,
    )


def _comparison(metric: str, systems: tuple[str, str], a: Totals, b: Totals, draws: Float64, n: int) -> Comparison:
    """One row, its p-value not yet corrected."""
    difference = a.value - b.value
    low, high = interval(draws, difference)
    tails = [int((draws <= 0).sum()) + 1, int((draws >= 0).sum()) + 1]
    p = min(2 * min(tails) / (len(draws) + 1), 1.0)
    return Comparison(metric, *systems, difference, low, high, p, p, n, low, high, draws)


def horizon_quartiles(lengths: Int64) -> tuple[tuple[str, ...], Int64]:
    """Quarters of the queries by history length, shortest first; equal lengths stay together."""
    edges = np.unique(np.quantile(lengths, [0.25, 0.5, 0.75], method="inverted_cdf")) if len(lengths) else np.zeros(0)
    return divide_lengths(edges.astype(np.int64), lengths)


def divide_lengths(upper: Int64, lengths: Int64) -> tuple[tuple[str, ...], Int64]:
    """Names and codes of the ranges that end at the ascending bounds ``upper``; the last is open."""
    low = [0, *(int(u) + 1 for u in upper)]
    names = [f"{a}-{u}" if a < u else f"{u}" for a, u in zip(low, upper, strict=False)]
    names[:1] = [f"<= {upper[0]}"] if len(upper) else []
    names.append(f">= {low[-1]}")
    return tuple(names), np.searchsorted(upper, lengths, side="left")
