"""Validation queries reduced to a pool of likely items, so that a mixture can be tried in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.ranking import compute_gain, top_k
from reasonrec_core.types import Bool, Cases, Float32, Float64, Int32, QueryBatch
from reasonrec_profile.propose import ExpertProposals

DEPTH = 100
"""How many of each expert's best items enter a pool."""


@dataclass(frozen=True)
class TargetPairs:
    """Pairs of a validation query and one of its targets.

    Attributes:
        queries: P queries.
        targets: int32[P].
        horizon: float32[P].
        others: P further targets of the same query, which are no wrong answers, -1 padded int32[P, T].
    """

    queries: QueryBatch
    targets: Int32
    horizon: Float32
    others: Int32

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: npt.NDArray[np.intp]) -> TargetPairs:
        """The pairs at ``index``."""
        return TargetPairs(self.queries.take(index), self.targets[index], self.horizon[index], self.others[index])

    def chunks(self, size: int) -> Iterator[TargetPairs]:
        """Consecutive pieces."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))


def sample_target_pairs(cases: Cases, horizon: Float32, most: int, seed: int) -> TargetPairs:
    """At most ``most`` pairs of query and target, drawn at random; a target inside its own history is left out."""
    lengths = np.diff(cases.target_indptr)
    row = np.repeat(np.arange(len(cases)), lengths)
    order = np.random.default_rng(seed).permutation(len(row))
    if cases.queries.candidates is None:
        owned = set(zip(cases.queries.history.rows.tolist(), cases.queries.history.items.tolist(), strict=True))
        fresh = np.array([(r, t) not in owned for r, t in zip(row.tolist(), cases.targets.tolist(), strict=True)])
        order = order[fresh[order]] if len(order) else order
    chosen = np.sort(order[:most])
    width = int(lengths.max(initial=1))
    slots = cases.target_indptr[:-1][row[chosen]][:, None] + np.arange(width)
    valid = slots < cases.target_indptr[1:][row[chosen]][:, None]
    others = np.where(valid, cases.targets[np.minimum(slots, max(len(cases.targets) - 1, 0))], -1).astype(np.int32)
    targets = cases.targets[chosen]
    others[others == targets[:, None]] = -1
    return TargetPairs(cases.queries.take(row[chosen]), targets, horizon[row[chosen]], others)


@dataclass(frozen=True)
class CandidatePool:
    """P pairs, each with its target in column 0 and the most likely other items after it.

    Attributes:
        scores: float32[P, E, C] raw expert scores, 0 for padding.
        totals: float32[P, E] sums of the experts' scores over all items.
        gates: float32[P, F, C], the logarithms of the fields' likelihood ratios.
        allowed: bool[P, C], False for padding.
        horizon: float32[P].
    """

    scores: Float32
    totals: Float32
    gates: Float32
    allowed: Bool
    horizon: Float32

    def __len__(self) -> int:
        return len(self.totals)

    def take(self, index: npt.NDArray[np.intp] | Bool) -> CandidatePool:
        """The pairs at ``index``."""
        return CandidatePool(
            self.scores[index], self.totals[index], self.gates[index], self.allowed[index], self.horizon[index]
        )

    def gains(self, weights: Float64, shrinkage: Float64, exponents: Float64) -> Float64:
        """float64[P]: ``1 / log2(1 + rank of the target)`` under a mixture, ties counted against it.

        Not cut at ten, so that a better place further down shows as well. ``weights`` is [E] or [P, E].
        """
        whole = self.totals + shrinkage.astype(np.float32)
        normaliser = np.divide(weights, whole, out=np.zeros_like(whole), where=whole > 0).astype(np.float32)
        mixed = np.matmul(normaliser[:, None, :], self.scores)[:, 0]
        if exponents.any():
            mixed *= np.exp(np.matmul(exponents.astype(np.float32)[None, None, :], self.gates)[:, 0])
        mixed[~self.allowed] = -1.0
        ranks = np.maximum((mixed >= mixed[:, :1]).sum(axis=1), 1)
        return np.asarray(compute_gain(ranks))


def build_pool(
    pairs: TargetPairs, ask: Callable[[TargetPairs], ExpertProposals], chunk: int, progress: Callable[[int], None]
) -> CandidatePool:
    """Ask the experts about every pair and keep the union of each expert's best `DEPTH` items."""
    parts = []
    for piece in pairs.chunks(chunk):
        parts.append(_gather(piece, ask(piece)))
        progress(len(piece))
    width = max(p.allowed.shape[1] for p in parts)
    padded = [_widen(p, width) for p in parts]
    return CandidatePool(
        np.concatenate([p.scores for p in padded]),
        np.concatenate([p.totals for p in padded]),
        np.concatenate([p.gates for p in padded]),
        np.concatenate([p.allowed for p in padded]),
        np.concatenate([p.horizon for p in padded]),
    )


def _gather(piece: TargetPairs, asked: ExpertProposals) -> CandidatePool:
    rows = np.arange(len(piece))
    candidates = piece.queries.candidates
    if candidates is None:
        target = piece.targets
        best = np.concatenate([top_k(s, DEPTH) for s in asked.scores], axis=1)
        best.sort(axis=1)
        best[:, 1:][best[:, 1:] == best[:, :-1]] = -1
        names = best
    else:
        target = (candidates == piece.targets[:, None]).argmax(axis=1).astype(np.int32)
        best = np.tile(np.arange(candidates.shape[1], dtype=np.int32), (len(piece), 1))
        names = candidates
    wrong = best.copy()
    wrong[(names < 0) | (best == target[:, None]) | (names[:, :, None] == piece.others[:, None, :]).any(axis=2)] = -1
    order = np.argsort(wrong < 0, axis=1, kind="stable")
    wrong = np.take_along_axis(wrong, order, axis=1)[:, : int((wrong >= 0).sum(axis=1).max(initial=1))]
    columns = np.concatenate([target[:, None], wrong], axis=1)
    at = np.maximum(columns, 0)
    allowed = (columns >= 0) & (asked.scores[-1][rows[:, None], at] > 0)
    allowed[:, 0] = True
    scores = np.stack([np.where(allowed, np.take_along_axis(s, at, 1), 0) for s in asked.scores], axis=1)
    empty = np.zeros((len(piece), 0, at.shape[1]), dtype=np.float32)
    gates = [np.log(np.take_along_axis(ratio, at, axis=1)) for ratio in asked.ratios]
    logs = np.stack(gates, axis=1) if gates else empty
    return CandidatePool(scores.astype(np.float32), np.stack(asked.totals, axis=1), logs, allowed, piece.horizon)


def _widen(pool: CandidatePool, width: int) -> CandidatePool:
    more = width - pool.allowed.shape[1]
    wide = ((0, 0), (0, 0), (0, more))
    return CandidatePool(
        np.pad(pool.scores, wide),
        pool.totals,
        np.pad(pool.gates, wide),
        np.pad(pool.allowed, ((0, 0), (0, more))),
        pool.horizon,
    )
