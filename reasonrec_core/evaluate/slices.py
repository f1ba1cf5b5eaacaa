"""The same metrics for parts of the queries: how much is known of the user, how popular and how described the target.

Every slice carries its size and interval: a difference between slices of 30 users is noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.evaluate.bootstrap import RESAMPLES
from reasonrec_core.evaluate.scores import Scores
from reasonrec_core.evaluate.significance import summarise
from reasonrec_core.types import Bool, Cases, Int64

AMAZON_BUCKETS = (5, 8, 13)
"""Upper ends of the history lengths <= 5, 6-8, 9-13, >= 14 that papers on Amazon's 5-core data report."""
HEAD, MID = 0.5, 0.8
"""Head: the most popular items that together hold half of the training interactions; mid: up to 80 % of them."""

Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Slice:
    """A part of the queries.

    Attributes:
        by: what divides them, e.g. ``history length``.
        name: this part, e.g. ``6-8``.
        n: its queries.
        metrics: ``{name: {"value", "low", "high"}}``, see `significance.summarise`.
    """

    by: str
    name: str
    n: int
    metrics: Mapping[str, Mapping[str, float]]


def slices(
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
    for by, name, index in groups(cases, item_counts, present or {}):
        part = scores.take(index, metrics)
        found = summarise(part, seed=seed, resamples=resamples, metrics=metrics)
        parts.append(Slice(by, name, len(index), found))
    return parts


def groups(cases: Cases, item_counts: Int64, present: Mapping[str, Bool]) -> Iterator[tuple[str, str, Index]]:
    """``(by, name, positions of the queries)`` for every non-empty slice."""
    lengths = cases.queries.history.lengths
    yield from _named("evidence horizon", *horizon_quartiles(lengths))
    yield from _named("history length", *length_buckets(lengths))
    query, item = _targets(cases)
    names, code = popularity_buckets(item_counts)
    yield from _named("target popularity", names, code[item], query)
    for modality, mask in present.items():
        yield from _named(f"target {modality}", (f"has {modality}", f"no {modality}"), (~mask[item]) * 1, query)


def horizon_quartiles(lengths: Int64) -> tuple[tuple[str, ...], Int64]:
    """Quarters of the queries by history length, shortest first; equal lengths stay together."""
    edges = np.unique(np.quantile(lengths, [0.25, 0.5, 0.75], method="inverted_cdf")) if len(lengths) else np.zeros(0)
    return _ranges(edges.astype(np.int64), lengths)


def length_buckets(lengths: Int64) -> tuple[tuple[str, ...], Int64]:
    """The buckets <= 5, 6-8, 9-13, >= 14."""
    return _ranges(np.array(AMAZON_BUCKETS, dtype=np.int64), lengths)


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
    return np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr)), cases.targets.astype(np.intp)


def _ranges(upper: Int64, lengths: Int64) -> tuple[tuple[str, ...], Int64]:
    """Names and codes of the ranges that end at the ascending bounds ``upper``; the last is open."""
    low = [0, *(int(u) + 1 for u in upper)]
    names = [f"{a}-{u}" if a < u else f"{u}" for a, u in zip(low, upper, strict=False)]
    names[:1] = [f"<= {upper[0]}"] if len(upper) else []
    names.append(f">= {low[-1]}")
    return tuple(names), np.searchsorted(upper, lengths, side="left")


def _named(by: str, names: Sequence[str], codes: Int64, query: Index | None = None) -> Iterator[tuple[str, str, Index]]:
    """The non-empty slices of one division."""
    for code, name in enumerate(names):
        chosen = np.flatnonzero(codes == code)
        index = chosen if query is None else np.unique(query[chosen])
        if len(index):
            yield by, name, index
