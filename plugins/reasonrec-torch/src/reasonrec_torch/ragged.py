"""Rows of unlike length, held as one flat array and their bounds: cut into batches, padded, and answered in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reasonrec_core.types import Float32, Int32, Int64

CPU_TOKENS, GPU_TOKENS = 1 << 11, 1 << 16
"""Places of a batch: on a CPU few enough to stay in the cache and to keep short histories apart from long ones."""


def pack(lengths: Int64, tokens: int) -> Int64:
    """Cut rows of ascending lengths into batches of at most ``tokens`` places (rows x longest), one row at least.

    Returns:
        int64[batches + 1] bounds.
    """
    bounds, at = [0], 0
    while at < len(lengths):
        some = np.maximum(lengths[at : at + max(1, tokens // max(1, int(lengths[at])))], 1)
        fits = int(np.searchsorted(some * np.arange(1, len(some) + 1), tokens, side="right"))
        at += max(1, fits)
        bounds.append(at)
    return np.array(bounds, np.int64)


def pad_rows(items: Int32 | Int64, start: Int64, lengths: Int64) -> tuple[Int64, Int64]:
    """Rows of a flat array as a matrix.

    Returns:
        int64[B, max(1, longest)] items with -1 on the right, and the position of each in ``items``.
    """
    width = np.arange(max(1, int(lengths.max(initial=0))))
    at = start[:, None] + width
    inside = width < lengths[:, None]
    rows = np.full(at.shape, -1, np.int64)
    rows[inside] = items[at[inside]]
    return rows, at


def count_within(counts: Int64) -> Int64:
    """0, 1, ... counts[0] - 1, 0, 1, ... counts[1] - 1, and so on."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def number_moments(indptr: Int64, times: Int64) -> Int64 | None:
    """int64[T]: numbers users' moments in order, alike for entries of one user and time; None without ties."""
    users = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    changes = np.ones(len(times), np.bool_)
    changes[1:] = (times[1:] != times[:-1]) | (users[1:] != users[:-1])
    return None if changes.all() else np.cumsum(changes)


@dataclass(frozen=True)
class HistoryBatch:
    """Histories of like length.

    Attributes:
        rows: int64[b], which histories.
        items: int64[b, L], their newest items, oldest first, -1 pads on the right; L is at least 1.
        lengths: int64[b], items in each row; 0 for an empty history.
    """

    rows: Int64
    items: Int64
    lengths: Int64

    @property
    def ends(self) -> Int64:
        """int64[b]: where the newest item of each row is; 0 for an empty history."""
        return np.maximum(self.lengths - 1, 0)


def history_batches(
    indptr: Int64, items: Int32 | Int64, *, max_history: int, tokens: int = CPU_TOKENS
) -> Iterator[HistoryBatch]:
    """All histories (ragged, as `History.indptr` and `History.items`), the shortest first."""
    base = indptr - indptr[0]
    kept = np.minimum(np.diff(base), max_history)
    order = np.argsort(kept, kind="stable")
    cuts = pack(kept[order], tokens)
    for low, high in pairwise(cuts):
        rows = order[low:high]
        matrix, _ = pad_rows(items, base[rows + 1] - kept[rows], kept[rows])
        yield HistoryBatch(rows, matrix, kept[rows])


def over_histories(
    function: Callable[[HistoryBatch], Float32],
    indptr: Int64,
    items: Int32 | Int64,
    *,
    max_history: int,
    tokens: int = CPU_TOKENS,
) -> Float32:
    """``function``'s float32[b, ...] for all histories, float32[n, ...], in the histories' order."""
    out: Float32 | None = None
    for batch in history_batches(indptr, items, max_history=max_history, tokens=tokens):
        found = function(batch)
        if out is None:
            out = np.empty((len(indptr) - 1, *found.shape[1:]), np.float32)
        out[batch.rows] = found
    if out is None:
        raise ValueError("there are no histories to iterate over")
    return out
