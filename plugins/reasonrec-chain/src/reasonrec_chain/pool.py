"""Which items of the catalogue are decided on: each expert's best, put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_chain.scene import Room
from reasonrec_core.builtin.profile.evidence import Evidence, Fade
from reasonrec_core.ranking import top_k
from reasonrec_core.types import Bool, Float32, Int32, Int64, QueryBatch

Flat = npt.NDArray[np.int64]
"""Places in a [B, n] array, row after row."""


@dataclass(frozen=True)
class Votes:
    """What an item-to-item expert says about B queries: few items of many, so only those are kept.

    Attributes:
        rows: int64[m], the query of each vote.
        flat: int64[m], its place in [B, n].
        values: float32[m], not negative.
        totals: float32[B], their sums.
    """

    rows: Int64
    flat: Flat
    values: Float32
    totals: Float32

    @classmethod
    def of(cls, links: sparse.csr_matrix, fade: Fade, evidence: Evidence, taken: Flat, room: Room) -> Votes:
        """The votes of the history entries that count, none for the places in ``taken``."""
        history, n = evidence.history, links.shape[0]
        weights, items, indptr = evidence.weights(fade), history.items, history.indptr - history.indptr[0]
        if not weights.all():
            kept = weights > 0
            indptr = np.concatenate([[0], np.cumsum(kept)])[indptr]
            weights, items = weights[kept], items[kept]
        # 32-bit indices like those of the links: otherwise scipy would copy all links to wider ones.
        found = sparse.csr_matrix((weights, items, indptr.astype(np.int32)), shape=(len(history), n)) @ links
        lengths = np.diff(found.indptr)
        rows = np.repeat(np.arange(len(history)), lengths)
        flat = rows * n + found.indices
        values: Float32 = found.data
        if len(taken):
            room.marks[taken] = True
            values[room.marks.take(flat)] = 0.0
            room.marks[taken] = False
        totals = np.bincount(rows, values, minlength=len(history)).astype(np.float32)
        return cls(rows, flat, values, totals)

    def best(self, depth: int) -> Flat:
        """The places of each query's ``depth`` largest votes; those of 0 are left out."""
        real = self.values > 0
        rows, flat, values = self.rows[real], self.flat[real], self.values[real]
        counts = np.bincount(rows, minlength=len(self.totals))
        many = counts > depth
        if not many.any():
            return flat
        some = many[rows]
        starts = np.cumsum(counts) - counts
        column = np.arange(len(rows)) - starts[rows]
        place = (np.cumsum(many) - 1)[rows[some]]
        wide = np.zeros((int(many.sum()), int(counts.max())), np.float32)
        wide[place, column[some]] = values[some]
        chosen = top_k(wide, depth) + starts[many][:, None]
        return np.concatenate([flat[~some], flat[chosen.ravel()]])

    def at(self, places: npt.NDArray[np.int64], room: Room) -> Float32:
        """The votes at ``places`` of [B, n], 0 where there is none."""
        room.votes[self.flat] = self.values
        found: Float32 = room.votes.take(places)
        room.votes[self.flat] = 0.0
        return found


def taken(batch: QueryBatch, n_items: int) -> Flat:
    """The places of what each user already has; none where candidates are given."""
    if batch.candidates is not None:
        return np.zeros(0, np.int64)
    return batch.history.rows * np.int64(n_items) + batch.history.items


def best_scores(scores: Float32, depth: int) -> Flat:
    """The places of each row's ``depth`` largest scores; those of -inf are left out."""
    columns = top_k(scores, depth)
    flat = (columns + np.arange(len(scores))[:, None] * np.int64(scores.shape[1])).ravel()
    return flat[scores.reshape(-1).take(flat) > -np.inf]


def most_popular(order: Int32, own: Flat, batch: QueryBatch, most: int, room: Room) -> Flat:
    """The places of each query's ``most`` popular items among those that are not taken.

    Args:
        order: int32[n], all items, the most popular first.
        own: see `taken`.
        batch: B queries.
        most: how many.
        room: memory.
    """
    n = len(order)
    head = order[: most + int(batch.history.lengths.max(initial=0))]
    flat = head + (np.arange(len(batch)) * np.int64(n))[:, None]
    room.marks[own] = True
    free = ~room.marks.take(flat)
    room.marks[own] = False
    free &= np.cumsum(free, axis=1) <= most
    return np.asarray(flat[free], np.int64)


def union(places: list[Flat], rows: int, n_items: int, room: Room) -> Int32:
    """int32[B, C]: the items at all ``places``, each once, ascending, -1 pads on the right."""
    for flat in places:
        room.marks[flat] = True
    flat = _marked(room.marks, rows * n_items)
    room.marks[flat] = False
    row = flat // n_items
    counts = np.bincount(row, minlength=rows)
    pool = np.full((rows, max(1, int(counts.max(initial=1)))), -1, np.int32)
    pool[row, np.arange(len(row)) - (np.cumsum(counts) - counts)[row]] = flat - row * n_items
    return pool


def without_repeats(candidates: Int32) -> Int32:
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


def _marked(marks: Bool, cells: int) -> Flat:
    """The places that are marked. Few are, so eight at a time are looked at first."""
    used = marks[: -(-cells // 8) * 8]
    eight = np.flatnonzero(used.view(np.uint64))
    inside = np.flatnonzero(used.reshape(-1, 8)[eight])
    return np.asarray(eight[inside >> 3] * 8 + (inside & 7), np.int64)
