"""Every system on slices of the requests: how much is known of the user, how popular and how described the target is.

Every slice carries its size and interval: a difference between slices of 30 users is noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.components import Empty, Reporter
from reasonrec_core.evaluate import Scores, summarise
from reasonrec_core.evaluate.bootstrap import RESAMPLES
from reasonrec_core.evaluate.significance import divide_lengths, horizon_quartiles
from reasonrec_core.pipeline import EvaluatedRun, EvaluatedTask, list_primary_metrics
from reasonrec_core.types import Bool, Cases, Int64
from reasonrec_report.sections import SliceEstimate

AMAZON_BUCKETS = (5, 8, 13)
"""Upper ends of the history lengths <= 5, 6-8, 9-13, >= 14 that papers on Amazon's 5-core data report."""
HEAD, MID = 0.5, 0.8
"""Head: the most popular items that together hold half of the training interactions; mid: up to 80 % of them."""

Index = npt.NDArray[np.intp]


class SliceReporter(Reporter[Empty]):
    """Measures the first of the primary metrics of every task, on what the systems answered already."""

    sections = ("slices",)

    def analyse(self, run: EvaluatedRun) -> Mapping[str, Sequence[SliceEstimate]]:
        """A row per system and part."""
        return {"slices": [row for each in run.tasks for row in measure_slices(run, each)]}


def measure_slices(run: EvaluatedRun, found: EvaluatedTask) -> list[SliceEstimate]:
    """The primary metric of every system by evidence horizon, target popularity and missing modality."""
    prepared, settings = run.prepared, run.config.evaluate
    metric, counts = list_primary_metrics(prepared, found)[0], prepared.item_counts
    rows = []
    for label, scores in found.scores.items():
        for each in evaluate_slices(
            scores,
            found.cases,
            item_counts=counts,
            present=prepared.items.present,
            metrics=[metric],
            seed=run.config.seed,
            resamples=settings.resamples,
        ):
            if metric in each.metrics:
                value = each.metrics[metric]
                rows.append(
                    SliceEstimate(slice=each.by, group=each.name, system=label, metric=metric, n=each.n, **value)
                )
    return rows


@dataclass(frozen=True)
class Slice:
    """A part of the queries.

    Attributes:
        by: what divides them, e.g. ``history length``.
        name: this part, e.g. ``6-8``.
        n: its queries.
        metrics: ``{name: {"value", "low", "high"}}``, see `summarise`.
    """

    by: str
    name: str
    n: int
    metrics: Mapping[str, Mapping[str, float]]


def evaluate_slices(
    scores: Scores,
    cases: Cases,
    *,
    item_counts: Int64,
    present: Mapping[str, Bool] | None = None,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Slice]:
    """Metrics by evidence horizon, popularity of the target, and what the target lacks.

    Args:
        scores: of one system.
        cases: the queries it was evaluated on.
        item_counts: int64[n_items] training interactions per item.
        present: per modality bool[n_items], False where an item lacks it.
        metrics: default all that are defined per query, or all of CTR.
        seed, resamples: of the intervals.

    Returns:
        Non-empty slices, in order. Where a query has several targets it is in the slice of each of them.
    """
    if metrics is None:
        metrics = list(scores.values if scores.clicks is not None else scores.per_query)
    parts = []
    for by, name, index in divide_queries(cases, item_counts, present or {}):
        part = scores.take(index, metrics)
        found = summarise(part, seed=seed, resamples=resamples, metrics=metrics)
        parts.append(Slice(by, name, len(index), found))
    return parts


def divide_queries(cases: Cases, item_counts: Int64, present: Mapping[str, Bool]) -> Iterator[tuple[str, str, Index]]:
    """``(by, name, positions of the queries)`` for every non-empty slice."""
    lengths = cases.queries.history.lengths
    yield from _named("evidence horizon", *horizon_quartiles(lengths))
    yield from _named("history length", *length_buckets(lengths))
    query, item = _targets(cases)
    names, code = popularity_buckets(item_counts)
    yield from _named("target popularity", names, code[item], query)
    for modality, mask in present.items():
        yield from _named(f"target {modality}", (f"has {modality}", f"no {modality}"), (~mask[item]) * 1, query)


def length_buckets(lengths: Int64) -> tuple[tuple[str, ...], Int64]:
    """The buckets <= 5, 6-8, 9-13, >= 14."""
    return divide_lengths(np.array(AMAZON_BUCKETS, dtype=np.int64), lengths)


def popularity_buckets(item_counts: Int64) -> tuple[tuple[str, ...], Int64]:
    """Head, mid, tail and unseen: names, and int64[n_items] code per item; equally popular items stay together."""
    order = np.argsort(-item_counts, kind="stable")
    total = max(int(item_counts.sum()), 1)
    before = np.empty(len(item_counts))
    before[order] = (np.cumsum(item_counts[order]) - item_counts[order]) / total
    # What the first item of a group of equal counts decides, decides for the group.
    values, inverse = np.unique(item_counts, return_inverse=True)
    least = np.full(len(values), np.inf)
    np.minimum.at(least, inverse, before)
    code = np.searchsorted([HEAD, MID], least[inverse], side="right")
    return ("head", "mid", "tail", "unseen"), np.where(item_counts == 0, 3, code)


def _targets(cases: Cases) -> tuple[Index, Index]:
    """(query, item) of every target; of every shown item for CTR."""
    candidates = cases.queries.candidates
    if cases.labels is not None and candidates is not None:
        query, column = np.nonzero(candidates >= 0)
        return query, candidates[query, column].astype(np.intp)
    return cases.rows, cases.targets.astype(np.intp)


def _named(by: str, names: Sequence[str], codes: Int64, query: Index | None = None) -> Iterator[tuple[str, str, Index]]:
    """The non-empty slices of one division."""
    for code, name in enumerate(names):
        chosen = np.flatnonzero(codes == code)
        index = chosen if query is None else np.unique(query[chosen])
        if len(index):
            yield by, name, index
