"""Histories to answer, in batches of like length, and the answers put back in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reasonrec_chain.windows import pack, padded
from reasonrec_core.types import Float32, Int32, Int64

CPU_TOKENS, GPU_TOKENS = 1 << 11, 1 << 16
"""Places of a batch: on a CPU few enough to stay in the cache and to keep short histories apart from long ones."""


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
        matrix, _ = padded(items, base[rows + 1] - kept[rows], kept[rows])
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
        raise ValueError("no histories to go over")
    return out
