"""Consulting delegates: their rankings and the policy's, fused with weights that depend on how much is known.

Weighted reciprocal-rank fusion (Cormack, Clarke and Büttcher, 2009): an item's score is ``sum_s w_s / (c + rank_s)``
over the systems that list it. Weights and ``c`` are those of the best mean NDCG@10 on validation, for all queries or
for each quarter of the evidence horizon, whichever is better when cross-fitted; the policy alone where neither is
better than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Bool, Float32, Int32, Int64, Ranking

Float64 = npt.NDArray[np.float64]

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Of a delegate; the policy's is 1."""
CONSTANTS = (2.0, 10.0, 60.0)
QUARTERS = (0.25, 0.5, 0.75)
FOLDS, DEPTH, MIN_CASES, CHUNK = 4, 10, 200, 1024


@dataclass(frozen=True)
class Fusion:
    """Weights as numbers.

    Attributes:
        systems: the policy first.
        edges: of the evidence horizon's groups, ascending; none where all queries share their weights.
        weights: float64[groups, S].
        constants: float64[groups], the ``c`` of each group.
        report: cross-fitted NDCG@10 on validation: ``policy``, ``shared`` and ``grouped`` weights.
    """

    systems: tuple[str, ...]
    edges: tuple[float, ...]
    weights: Float64
    constants: Float64
    report: Mapping[str, float]

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
            listed, ranks = _listed([rankings[system].items[rows] for system in self.systems])
            fused = _fused(listed, ranks, self.weights[group[rows]], self.constants[group[rows]])
            order = np.lexsort((listed, -fused), axis=1)[:, :width]
            best = np.take_along_axis(fused, order, axis=1)
            found = np.where(best > 0, np.take_along_axis(listed, order, axis=1), -1)
            items[rows, : order.shape[1]] = found
            scores[rows, : order.shape[1]] = np.where(best > 0, best, -np.inf)
        return Ranking(items, scores)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "systems": list(self.systems),
            "edges": list(self.edges),
            "weights": self.weights.tolist(),
            "constants": self.constants.tolist(),
            "report": dict(self.report),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        weights, constants = (np.array(value[name], np.float64) for name in ("weights", "constants"))
        return cls(tuple(value["systems"]), tuple(value["edges"]), weights, constants, dict(value["report"]))


def fit_fusion(rankings: Mapping[str, Ranking], indptr: Int64, targets: Int32, horizon: Float32, seed: int) -> Fusion:
    """Learn from B validation queries.

    Args:
        rankings: by system, the policy first.
        indptr: int64[B + 1] row bounds into ``targets``.
        targets: int32[T] relevant items.
        horizon: float32[B].
        seed: of the folds.
    """
    known = _Cases.of(list(rankings.values()), indptr, targets)
    edges = tuple(float(q) for q in np.unique(np.quantile(horizon, QUARTERS)))
    group = np.searchsorted(np.array(edges), horizon.astype(np.float64))
    fold = np.random.default_rng(seed).permutation(len(horizon)) % FOLDS
    shared, grouped = np.zeros(len(horizon)), np.zeros(len(horizon))
    for left_out in range(FOLDS):
        held, rest = fold == left_out, fold != left_out
        weights, constant = known.best(rest)
        shared[held] = known.quality(held, weights, constant)
        for each in np.unique(group):
            part = held & (group == each)
            grouped[part] = known.quality(part, *known.best(rest & (group == each)))
    alone = np.eye(len(rankings))[0]
    report = {
        "policy": float(known.quality(np.ones(len(horizon), np.bool_), alone, CONSTANTS[0]).mean()),
        "shared": float(shared.mean()),
        "grouped": float(grouped.mean()),
    }
    if max(report["grouped"], report["shared"]) <= report["policy"]:  # on other queries nothing was gained
        return Fusion(tuple(rankings)[:1], (), np.ones((1, 1)), np.array(CONSTANTS[:1]), report)
    if report["grouped"] <= report["shared"]:
        edges, group = (), np.zeros(len(horizon), np.intp)
    found = [known.best(group == each) for each in range(len(edges) + 1)]
    weights = np.stack([each for each, _ in found])
    used = [bool((column > 0).any()) for column in weights.T]  # the policy always is
    systems = tuple(label for label, kept in zip(rankings, used, strict=True) if kept)
    return Fusion(systems, edges, weights[:, used], np.array([c for _, c in found]), report)


def lengthened(fused: Ranking, whole: Ranking) -> Ranking:
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


@dataclass(frozen=True)
class _Cases:
    """Everything listed for B queries: int32[B, N] items, float64[B, N, S] ranks (inf where a system lists it not),
    relevant entries as positions, and the ideal DCG of each query."""

    items: Int32
    ranks: Float64
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    ideal: Float64

    @classmethod
    def of(cls, rankings: list[Ranking], indptr: Int64, targets: Int32) -> _Cases:
        lists = [ranking.items for ranking in rankings]
        pieces = [_listed([each[s : s + CHUNK] for each in lists]) for s in range(0, len(lists[0]), CHUNK)]
        items, ranks = (np.concatenate(part) for part in zip(*pieces, strict=True))
        counts = np.diff(indptr)
        row_of = np.repeat(np.arange(len(counts)), counts)
        hits = (items[row_of] == targets[:, None]) & (items[row_of] >= 0)
        at, columns = np.nonzero(hits)
        discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, DEPTH + 2)))])
        return cls(items, ranks, row_of[at], columns, discount[np.clip(counts, 1, DEPTH)])

    def quality(self, mask: Bool, weights: Float64, constant: float) -> Float64:
        """float64: NDCG@10 of the queries in ``mask``."""
        some = mask[self.rows]
        rows, columns = self.rows[some], self.columns[some]
        gained = np.zeros(len(mask))
        if len(rows):
            at, inverse = np.unique(rows, return_inverse=True)
            fused = _fused(self.items[at], self.ranks[at], np.tile(weights, (len(at), 1)), np.full(len(at), constant))
            own = fused[inverse, columns]
            rank = 1 + (fused[inverse] > own[:, None]).sum(axis=1)
            counted = (own > 0) & (rank <= DEPTH)
            np.add.at(gained, rows[counted], 1 / np.log2(rank[counted] + 1.0))
        return np.asarray((gained / self.ideal)[mask])

    def best(self, mask: Bool) -> tuple[Float64, float]:
        """Weights and ``c`` of the best mean quality, by coordinate search; the policy alone for few queries."""
        size = self.ranks.shape[2]
        found = (np.eye(size)[0], CONSTANTS[0])
        if mask.sum() < MIN_CASES:
            return found
        score = float(self.quality(mask, *found).sum())
        for constant in CONSTANTS:
            weights = np.eye(size)[0]
            for _ in range(2):
                for system in range(1, size):
                    tried = np.tile(weights, (len(WEIGHTS), 1))
                    tried[:, system] = WEIGHTS
                    values = [float(self.quality(mask, each, constant).sum()) for each in tried]
                    weights = tried[int(np.argmax(values))]
                    if max(values) > score:
                        found, score = (weights.copy(), constant), max(values)
        return found


def _listed(lists: list[Int32]) -> tuple[Int32, Float64]:
    """int32[B, N] different items (-1 pads), and float64[B, N, S] the rank that each system gives them."""
    items = np.concatenate(lists, axis=1)
    same = items[:, :, None] == items[:, None, :]
    again = (same & np.tri(items.shape[1], k=-1, dtype=np.bool_)).any(axis=2)
    ranks = np.full((*items.shape, len(lists)), np.inf)
    start = 0
    for system, each in enumerate(lists):
        stop = start + each.shape[1]
        inside = same[:, :, start:stop]
        ranks[:, :, system] = np.where(inside.any(axis=2), inside.argmax(axis=2) + 1.0, np.inf)
        start = stop
    return np.where(again, -1, items).astype(np.int32), ranks


def _fused(items: Int32, ranks: Float64, weights: Float64, constants: Float64) -> Float64:
    """float64[B, N] scores; 0 for padding. Summed system by system: the same for any batch."""
    total = np.zeros(items.shape)
    for system in range(ranks.shape[2]):
        total += weights[:, system, None] / (constants[:, None] + ranks[:, :, system])
    return np.where(items >= 0, total, 0.0)
