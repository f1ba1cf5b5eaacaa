"""Which items of the catalogue are decided on: each expert's best, put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from reasonrec_profile.api import AgeDecay, HistoryWeights
from scipy import sparse

from reasonrec_chain.item_cache import Workspace
from reasonrec_core.types import Float32, Int32, QueryBatch, indptr_of

FlatIndex = npt.NDArray[np.int64]
"""Places in a [B, n] array, row after row."""
BLOCK = 8


@dataclass(frozen=True)
class ExpertVotes:
    """What an item-to-item expert says about B queries.

    Attributes:
        scores: float32[B, n], not negative, 0 for what is taken; lies in a `Workspace`.
        totals: float32[B], their sums.
    """

    scores: Float32
    totals: Float32

    @classmethod
    def of(
        cls, links: sparse.csr_matrix, fade: AgeDecay, evidence: HistoryWeights, own: FlatIndex, out: Float32
    ) -> ExpertVotes:
        """The votes of the history entries that count.

        Args:
            links: float32 CSR[n, n].
            fade: of the history entries.
            evidence: of B queries.
            own: see `find_history_places`.
            out: float32[B, n], to be written over.
        """
        history, n = evidence.history, links.shape[0]
        cells = out.reshape(-1)
        if len(history) == 1:
            cells.fill(0.0)
            np.add.at(cells, *list_votes(links, fade, evidence))
            cells[own] = 0.0
            return cls(out, cells.sum(keepdims=True))
        weights, items, indptr = evidence.weights(fade), history.items, history.indptr - history.indptr[0]
        if not weights.all():
            kept = weights > 0
            indptr = indptr_of(kept)[indptr]
            weights, items = weights[kept], items[kept]
        # 32-bit indices like those of the links: otherwise scipy would copy all links to wider ones.
        found = sparse.csr_matrix((weights, items, indptr.astype(np.int32)), shape=(len(history), n)) @ links
        lengths = np.diff(found.indptr)
        flat = np.repeat(np.arange(0, out.size, n), lengths) + found.indices
        cells.fill(0.0)
        cells[flat] = found.data
        cells[own] = 0.0
        totals, some = np.zeros(len(history), np.float32), np.flatnonzero(lengths)
        if len(some):
            totals[some] = np.add.reduceat(cells.take(flat), found.indptr[some])
        return cls(out, totals)


def list_votes(links: sparse.csr_matrix, fade: AgeDecay, evidence: HistoryWeights) -> tuple[Int32, Float32]:
    """int32[T] items that the entries of one history are linked to, and float32[T] votes; an item may come often."""
    weights, items = evidence.weights(fade), evidence.history.items
    starts = links.indptr[items]
    lengths = links.indptr[items + 1] - starts
    ends = np.cumsum(lengths)
    at = np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
    return links.indices[at], np.repeat(weights, lengths) * links.data[at]


def find_history_places(batch: QueryBatch, n_items: int) -> FlatIndex:
    """The places of what each user already has; none where candidates are given."""
    if batch.candidates is not None:
        return np.zeros(0, np.int64)
    return batch.history.rows * np.int64(n_items) + batch.history.items


def find_best(scores: Float32, depth: int, least: float) -> FlatIndex:
    """The places of each row's ``depth`` largest scores above ``least``, in no order; of equal ones the first.

    The depth-th largest of the maxima of disjoint blocks is a lower bound of the depth-th largest score, which few
    scores reach (as in `reasonrec_core.ranking.top_k`, which also puts them in order).
    """
    rows, n = scores.shape
    cells, enough = scores.reshape(-1), depth + depth // 2
    if n < BLOCK * BLOCK or n // BLOCK < enough:
        reached = np.flatnonzero(cells > least)
    else:
        maxima = compute_block_maxima(scores, BLOCK)
        while maxima.shape[1] // 4 >= enough:
            maxima = compute_block_maxima(maxima, 4)
        above = np.nextafter(np.float32(least), np.float32(np.inf))
        bound = np.maximum(np.sort(maxima, axis=1)[:, -depth], above)
        reached = np.flatnonzero(scores >= bound[:, None])
    return _largest(reached, cells.take(reached), depth, rows, n)


def compute_block_maxima(scores: Float32, width: int) -> Float32:
    """float32[B, M]: maxima of M = ceil(n / width) disjoint blocks of each row; n >= width * width.

    Block m holds the columns m, m + M, m + 2M, ...: neighbouring maxima are taken of neighbouring scores.
    """
    n = scores.shape[1]
    blocks = -(-n // width)
    maxima = scores[:, :blocks].copy()
    for start in range(blocks, n, blocks):
        more = scores[:, start : start + blocks]
        np.maximum(maxima[:, : more.shape[1]], more, out=maxima[:, : more.shape[1]])
    return maxima


def _largest(flat: FlatIndex, values: Float32, depth: int, rows: int, n: int) -> FlatIndex:
    """Of places, row after row, with their values those of the ``depth`` largest of each row, the first of equal."""
    row = flat // n
    counts = np.bincount(row, minlength=rows)
    most = int(counts.max(initial=0))
    if most <= depth:
        return flat
    wide = np.full((rows, most), -np.inf, np.float32)
    wide[row, np.arange(len(row)) - (np.cumsum(counts) - counts)[row]] = values
    bound = np.partition(wide, most - depth, axis=1)[:, most - depth].take(row)
    above = flat[values > bound]
    equal = np.sort(flat[values == bound])
    left = depth - np.bincount(above // n, minlength=rows)
    row = equal // n
    ties = np.bincount(row, minlength=rows)
    first = np.arange(len(row)) - (np.cumsum(ties) - ties)[row]
    return np.concatenate([above, equal[first < left[row]]])


def find_popular(order: Int32, own: FlatIndex, batch: QueryBatch, most: int, workspace: Workspace) -> FlatIndex:
    """The places of each query's ``most`` popular items among those that are not taken.

    Args:
        order: int32[n], all items, the most popular first.
        own: see `find_history_places`.
        batch: B queries.
        most: how many.
        workspace: memory.
    """
    n = len(order)
    head = order[: most + int(batch.history.lengths.max(initial=0))]
    flat = head + (np.arange(len(batch)) * np.int64(n))[:, None]
    workspace.marks[own] = True
    free = ~workspace.marks.take(flat)
    workspace.marks[own] = False
    free &= np.cumsum(free, axis=1) <= most
    return np.asarray(flat[free], np.int64)


def merge_pools(places: list[FlatIndex], rows: int, n_items: int, workspace: Workspace) -> Int32:
    """int32[B, C]: the items at all ``places``, each once, ascending, -1 pads on the right."""
    for flat in places:
        workspace.marks[flat] = True
    flat = np.flatnonzero(workspace.marks[: rows * n_items])
    workspace.marks[flat] = False
    row = flat // n_items
    counts = np.bincount(row, minlength=rows)
    pool = np.full((rows, max(1, int(counts.max(initial=1)))), -1, np.int32)
    pool[row, np.arange(len(row)) - (np.cumsum(counts) - counts)[row]] = flat - row * n_items
    return pool


def drop_repeats(candidates: Int32) -> Int32:
    """int32[B, C]: candidates, -1 where one was listed before in the same row."""
    order = np.argsort(candidates, axis=1, kind="stable")
    ordered = np.take_along_axis(candidates, order, axis=1)
    again = np.zeros(candidates.shape, np.bool_)
    again[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if not again.any():
        return candidates
    kept = candidates.copy()
    np.put_along_axis(kept, order, np.where(again, np.int32(-1), ordered), axis=1)
    return kept
