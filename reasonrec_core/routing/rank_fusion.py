"""Consulting delegates: their rankings and the policy's, fused with weights that depend on how much is known.

An item's score is a weighted sum over the systems that list it: of ``1 / (c + rank)`` (reciprocal-rank fusion: Cormack,
Clarke and Büttcher, 2009), or of its score brought to (0, 1] within each list, to the power ``c`` (after Fox and Shaw,
1994, CombSUM). `fit_fusion.fit_fusion` learns which, and the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from reasonrec_core.routing.logistic import ArrayModel, FloatArray
from reasonrec_core.types import Float32, Float64, Int32, Ranking

Form = Literal["rank", "score"]
CHUNK = 1024


class Fusion(ArrayModel):
    """Weights as numbers.

    Attributes:
        systems: the policy first.
        edges: of the evidence horizon's groups, ascending; none where all queries share their weights.
        weights: float64[groups, S].
        constants: float64[groups], the ``c`` of each group.
        report: cross-fitted NDCG@10 on validation; `fit_fusion.fit_fusion` says of what.
        form: what is summed, reciprocal ranks or scores.
    """

    systems: tuple[str, ...]
    edges: tuple[float, ...]
    weights: FloatArray
    constants: FloatArray
    report: dict[str, Any]
    form: Form = "rank"

    def __call__(self, rankings: Mapping[str, Ranking], horizon: Float32) -> Ranking:
        """The fused ranking of B queries, as wide as the policy's.

        Args:
            rankings: by system, all of ``systems``.
            horizon: float32[B].
        """
        width = rankings[self.systems[0]].items.shape[1]
        group = np.searchsorted(np.array(self.edges), horizon.astype(np.float64))
        items = np.full((len(horizon), width), -1, np.int32)
        scores = np.full((len(horizon), width), -np.inf, np.float32)
        for start in range(0, len(horizon), CHUNK):
            rows = slice(start, start + CHUNK)
            some = [Ranking(r.items[rows], r.scores[rows]) for r in (rankings[system] for system in self.systems)]
            listed, values = list_values(some, self.form)
            fused = weigh(listed, values, self.weights[group[rows]], self.constants[group[rows]], self.form)
            # Sums are often equal. The first column of equal ones is that which the policy lists higher, or a delegate.
            order = np.argsort(-fused, axis=1, kind="stable")[:, :width]
            best = np.take_along_axis(fused, order, axis=1)
            found = np.where(best > 0, np.take_along_axis(listed, order, axis=1), -1)
            items[rows, : order.shape[1]] = found
            scores[rows, : order.shape[1]] = np.where(best > 0, _separate_ties(best), -np.inf)
        return Ranking(items, scores)


def lengthen(fused: Ranking, whole: Ranking) -> Ranking:
    """``fused``, and after it what the policy's longer answer holds besides: what comes first must not depend on k."""
    more = whole.items.shape[1] - fused.items.shape[1]
    if more <= 0:
        return fused
    fresh = (whole.items >= 0) & ~(whole.items[:, :, None] == fused.items[:, None, :]).any(axis=2)
    order = np.argsort(~fresh, axis=1, kind="stable")[:, :more]
    items = np.take_along_axis(np.where(fresh, whole.items, -1), order, axis=1).astype(np.int32)
    last = np.where(fused.items >= 0, fused.scores, np.inf).min(axis=1, initial=np.inf)
    scores = np.where(items >= 0, last[:, None] / (2.0 + np.arange(more)), -np.inf).astype(np.float32)
    return Ranking(np.concatenate([fused.items, items], axis=1), np.concatenate([fused.scores, scores], axis=1))


def list_values(rankings: list[Ranking], form: Form) -> tuple[Int32, Float64]:
    """int32[B, N] different items (-1 pads), and float64[B, N, S] what each system says of them.

    That is the rank (inf where a system lists it not), or the score within (0, 1] (0 where it does not).
    """
    items = np.concatenate([ranking.items for ranking in rankings], axis=1)
    same = items[:, :, None] == items[:, None, :]
    again = (same & np.tri(items.shape[1], k=-1, dtype=np.bool_)).any(axis=2)
    values = np.full((*items.shape, len(rankings)), np.inf if form == "rank" else 0.0)
    start = 0
    for system, ranking in enumerate(rankings):
        stop = start + ranking.items.shape[1]
        inside = same[:, :, start:stop]
        there, place = inside.any(axis=2), inside.argmax(axis=2)
        said = place + 1.0 if form == "rank" else np.take_along_axis(_normalise(ranking), place, axis=1)
        values[:, :, system] = np.where(there, said, values[:, :, system])
        start = stop
    return np.where(again, -1, items).astype(np.int32), values


def weigh(items: Int32, values: Float64, weights: Float64, constants: Float64, form: Form) -> Float64:
    """float64[B, N] scores; 0 for padding. Summed system by system: the same for any batch."""
    total = np.zeros(items.shape)
    for system in range(values.shape[2]):
        column = values[:, :, system]
        each = 1.0 / (constants[:, None] + column) if form == "rank" else column ** constants[:, None]
        total += weights[:, system, None] * each
    return np.where(items >= 0, total, 0.0)


def _separate_ties(best: Float64) -> Float32:
    """float32[B, K]: descending sums with equal ones told apart, as equal scores would count as an undecided order."""
    single = best.astype(np.float32)
    for column in range(1, single.shape[1]):
        under = np.nextafter(single[:, column - 1], np.float32(-np.inf))
        single[:, column] = np.minimum(single[:, column], under)
    return single


def _normalise(ranking: Ranking) -> Float64:
    """float64[B, K]: scores from 1 for the first to 1 / K for the last of a list of K; 1 where all are equal."""
    listed = ranking.items >= 0
    scores = np.where(listed, ranking.scores, 0.0).astype(np.float64)
    count = np.maximum(listed.sum(axis=1), 1)[:, None]
    low = np.where(listed, scores, np.inf).min(axis=1, initial=np.inf)[:, None]
    span = scores[:, :1] - np.where(np.isfinite(low), low, 0.0)
    above = np.where(span > 0, (scores - low) / np.where(span > 0, span, 1.0), 1.0)
    return np.where(listed, 1.0 / count + (1.0 - 1.0 / count) * above, 0.0)
