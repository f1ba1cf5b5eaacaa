"""What metrics have in common: how one is called and what it may give; all metrics of ranked lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reasonrec_core.components import MetricInfo
from reasonrec_core.errors import PluginError, ReasonRecError
from reasonrec_core.evaluate.ranking_metrics import RANKING_METRICS, RankedLists, metric_name
from reasonrec_core.types import Float64


@dataclass(frozen=True)
class Totals:
    """A metric that is a function of sums, such as BLEU of a corpus or the AUC of all clicks.

    Attributes:
        parts: float64[n, q] what each query, row of clicks or user adds to q sums.
        combine: float64[R, q] sums of R resamples -> float64[R] values.
        per: what ``parts`` has a row for: "query", "row" (of `Clicks`) or "user" (see `Scores.units`).
        centred: whether resampling adds a bias of its own (ECE: noise never cancels in an absolute value), so that
            an interval is taken around the value from the resamples' spread about their mean.
        exact: the value, where ``combine`` only approximates it.
        apart: whether it is resampled by itself, so that it moves no other metric's interval.
    """

    parts: Float64
    combine: Callable[[Float64], Float64]
    per: Literal["query", "row", "user"] = "query"
    centred: bool = False
    exact: float | None = None
    apart: bool = False

    @property
    def value(self) -> float:
        """The metric itself."""
        return float(self.combine(self.parts.sum(axis=0)[None])[0]) if self.exact is None else self.exact


@dataclass(frozen=True)
class ListMetrics:
    """Metrics of ranked lists by name, by what they are: values per query, functions of sums, plain numbers.

    ``added``: names of those that plugins brought.
    """

    per_query: dict[str, Float64]
    totals: dict[str, Totals]
    overall: dict[str, float]
    added: frozenset[str]


def compute_list_metrics(
    lists: RankedLists, ks: Sequence[int], metrics: Sequence[MetricInfo], sampled: str = ""
) -> ListMetrics:
    """Every metric at each cut-off; one that gives None is left out.

    Raises:
        PluginError: a metric fails, or gives something else than `MetricInfo` says.
    """
    # Added metrics come last, so that resampled numbers of the built-in ones are what they were.
    built_in = [m for m in RANKING_METRICS if m in metrics]
    added = [m for m in metrics if m not in RANKING_METRICS]
    made = ListMetrics({}, {}, {}, frozenset(_name(m, k, sampled) for m, k in _plan(added, ks)))
    for info, k in (*_plan(built_in, ks), *_plan(added, ks)):
        name = _name(info, k, sampled)
        found = call_metric(info, len(lists.cases), lists, *([k] if info.cutoff else []))
        if isinstance(found, Totals):
            made.totals[name] = found
        elif isinstance(found, np.ndarray):
            made.per_query[name] = found
        elif found is not None:
            made.overall[name] = found
    return made


def call_metric(info: MetricInfo, rows: int, *arguments: Any) -> Float64 | Totals | float | None:
    """What a metric gives, checked; ``rows``: how long an array of it must be.

    Raises:
        PluginError: it fails, or gives something else.
    """
    assert info.function is not None
    where = f"metric {info.name!r}"
    try:
        found = info.function(*arguments)
    except ReasonRecError:
        raise
    except Exception as error:
        fix = "Report it to its authors; --debug shows the traceback."
        raise PluginError(f"raised {type(error).__name__}: {error}", where=where, fix=fix) from error
    if isinstance(found, np.ndarray) and found.ndim:
        if found.shape != (rows,) or np.isinf(found.astype(np.float64)).any():
            raise PluginError(
                f"returned {found.dtype}{list(found.shape)} for {rows} values",
                where=where,
                fix="Return one value each, finite or NaN.",
            )
        return found.astype(np.float64, copy=False)
    if found is None or isinstance(found, Totals):
        return found
    if isinstance(found, int | float | np.number | np.ndarray):
        return float(found)
    raise PluginError(f"gives {type(found).__name__}", where=where, fix="Return an array, Totals, a number or None.")


def mean_of_rows(values: Float64) -> Totals:
    """The mean over the rows of clicks for which a metric is defined."""
    defined = ~np.isnan(values)
    return Totals(np.stack([np.where(defined, values, 0.0), defined], axis=1), ratio_of_sums, "row")


def ratio_of_sums(sums: Float64) -> Float64:
    """float64[R]: the first of two sums over the second."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Float64 = sums[:, 0] / sums[:, 1]
    return value


def mean_of_defined(values: Float64) -> float:
    """The mean of what is not NaN; NaN if nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _name(info: MetricInfo, k: int, sampled: str) -> str:
    return metric_name(info.name, k if info.cutoff else 0, sampled)


def _plan(metrics: Sequence[MetricInfo], ks: Sequence[int]) -> Iterator[tuple[MetricInfo, int]]:
    """What is computed: qualities cut-off by cut-off, what only describes metric by metric, what has no cut-off."""
    yield from ((m, k) for k in ks for m in metrics if m.cutoff and m.better != "neither")
    yield from ((m, k) for m in metrics if m.cutoff and m.better == "neither" for k in ks)
    yield from ((m, ks[0]) for m in metrics if not m.cutoff)
