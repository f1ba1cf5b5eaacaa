"""The bootstrap: thousands of resamples of users as one product of weights and sums.

Resampling users with replacement gives user ``u`` a weight ``w_u``; a metric's value on the resample is
``combine(sum_u w_u parts_u)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate.metrics import Totals, ratio_of_sums
from reasonrec_core.evaluate.scores import Scores
from reasonrec_core.types import Float64, Int64, mix_bits

RESAMPLES = 10_000
LEVEL = 0.95
"""Of every interval."""
_FEW = 512
"""Up to so many different rows, drawing how often each occurs is cheaper than drawing users."""
_MANY = 3000
"""From so many users on, metrics with many different values are resampled in bins."""
_BINS = 128
_CHUNK = 1 << 20
"""Weights held at a time (8 MiB)."""


def sum_by_user(scores: Scores, metrics: Sequence[str] | None = None) -> dict[str, Totals]:
    """The metrics of ``scores`` that are functions of sums over users (all but Coverage), as such: a row per user.

    Raises:
        ConfigError: a metric in ``metrics`` does not exist or cannot be resampled.
    """
    known = [*([] if scores.clicks is not None else scores.per_query), *scores.totals]
    for name in metrics or ():
        if name not in known:
            raise ConfigError(f"no interval for the metric {name!r}", fix=f"There are: {', '.join(known)}.")
    n_units = int(scores.units.max()) + 1 if len(scores) else 0
    return {name: _sum_by_user(scores, name, n_units) for name in (known if metrics is None else metrics)}


def _sum_by_user(scores: Scores, name: str, n_units: int) -> Totals:
    apart = name in scores.added
    totals = scores.totals.get(name)
    if totals is None:
        values = scores.per_query[name]
        defined = ~np.isnan(values)
        total = np.bincount(scores.units, np.where(defined, values, 0.0), n_units)
        parts = np.stack([total, np.bincount(scores.units, defined, n_units)], axis=1).astype(np.float64, copy=False)
        return Totals(parts, ratio_of_sums, "user", apart=apart)
    parts = totals.parts
    if totals.per != "user":
        units = scores.units if scores.clicks is None or totals.per == "query" else scores.clicks.unit
        parts = np.stack([np.bincount(units, column, n_units) for column in parts.T], axis=1)
    return Totals(parts, totals.combine, "user", totals.centred, apart=apart)


def resample(made: Mapping[str, Totals], *, seed: int, resamples: int = RESAMPLES) -> dict[str, Float64]:
    """float64[resamples] by name: each metric under weights Multinomial(U, 1/U), i.e. U users drawn with replacement.

    ``made``: metrics with a row per user.

    How the weighted sums are drawn depends on the values, not their distribution:

    - Users with equal values are exchangeable. Metrics of one relevant item depend on its rank alone, so a handful
      of different rows stands for all users, and how often each is drawn is multinomial as well.
    - Many different values of few users: the users themselves are drawn.
    - Many different values of many users: see `_binned_sums`.
    """
    draws: dict[str, Float64] = {}
    for stream, group in enumerate(_grouped(made)):
        rng = np.random.default_rng([seed, stream])
        parts = np.concatenate([made[name].parts for name in group], axis=1)
        if len(group) == 1 and len(parts) > _MANY and len(np.unique(_keys(parts))) > _FEW:
            sums = _binned_sums(made[group[0]], rng, resamples)
        else:
            sums = _resampled_sums(parts, rng, resamples)
        start = 0
        for name in group:
            stop = start + made[name].parts.shape[1]
            draws[name] = made[name].combine(sums[:, start:stop])
            start = stop
    return draws


def interval(draws: Float64, value: float, centred: bool = False, level: float = LEVEL) -> tuple[float, float]:
    """The central ``level`` of the draws; ``centred``: moved so that the draws' mean is ``value``, not below 0."""
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):  # between two infinite draws lies NaN
        low, high = np.nanquantile(draws, [tail, 1 - tail])
    if centred:
        shift = value - float(np.nanmean(draws))
        low, high = max(low + shift, 0.0), high + shift
    return float(low), float(high)


def _grouped(made: Mapping[str, Totals]) -> list[list[str]]:
    """Which metrics to draw together: few users, or few different rows even together; else each alone."""
    groups: list[list[str]] = []
    joint = np.zeros(0, np.uint64)
    for name, estimate in made.items():
        key = _keys(estimate.parts)
        together = mix_bits(joint) ^ key if groups else key
        free = bool(groups) and not estimate.apart and not made[groups[-1][0]].apart
        if free and (len(key) <= _MANY or len(np.unique(together)) <= _FEW):
            groups[-1].append(name)
            joint = together
        else:
            groups.append([name])
            joint = key
    return groups


def _resampled_sums(parts: Float64, rng: np.random.Generator, resamples: int) -> Float64:
    """float64[resamples, q]: weighted sums of float64[U, q]."""
    n = len(parts)
    first, counts = _distinct(parts)
    if len(first) <= _FEW:
        return rng.multinomial(n, counts / n, size=resamples) @ parts[first]
    sums = np.empty((resamples, parts.shape[1]))
    step = max(_CHUNK // n, 1)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, n, (rows, n), dtype=np.uint32).astype(np.int64)
        drawn += np.arange(0, rows * n, n)[:, None]
        sums[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n) @ parts
    return sums


def _binned_sums(estimate: Totals, rng: np.random.Generator, resamples: int) -> Float64:
    """float64[resamples, q]: weighted sums in time that does not grow with the number of users.

    Users are sorted by their influence on the metric into bins of equal size. How many draws fall into each bin is
    multinomial, exactly; the sum of the draws within a bin is its mean times their number plus a remainder. The
    remainders of thousands of draws add up to a normal variable with the bins' covariance. Mean and variance are
    those of the bootstrap, the shape differs by what the spread inside bins contributes to the skewness.
    """
    parts = estimate.parts
    n = len(parts)
    total = parts.sum(axis=0)
    steps = np.diag(np.maximum(np.abs(total), 1.0) * 1e-4)
    slopes = (estimate.combine(total + steps) - estimate.combine(total - steps)) / (2 * steps.diagonal())
    order = np.argsort(parts @ slopes, kind="stable")
    bins = np.array_split(parts[order], _BINS)
    sizes = np.array([len(b) for b in bins])
    means = np.stack([b.mean(axis=0) for b in bins])
    remainder = parts[order] - np.repeat(means, sizes, axis=0)
    noise = rng.multivariate_normal(np.zeros(parts.shape[1]), remainder.T @ remainder, resamples, method="eigh")
    sums: Float64 = rng.multinomial(n, sizes / n, size=resamples) @ means + noise
    return sums


def _distinct(parts: Float64) -> tuple[Int64, Int64]:
    """Positions of the first of each set of equal rows, and how many rows each set has."""
    _, first, inverse, counts = np.unique(_keys(parts), return_index=True, return_inverse=True, return_counts=True)
    if not np.array_equal(parts[first][inverse], parts):  # two rows share a hash: treat all rows as different
        return np.arange(len(parts)), np.ones(len(parts), np.int64)
    return first, counts


def _keys(parts: Float64) -> npt.NDArray[np.uint64]:
    """uint64[U]: a hash of each row."""
    key = np.zeros(len(parts), np.uint64)
    for column in parts.T:
        if (column == column[:1]).all():
            continue  # equal everywhere: tells no rows apart
        key = mix_bits(key ^ mix_bits(np.ascontiguousarray(column + 0.0).view(np.uint64)))
    return key
