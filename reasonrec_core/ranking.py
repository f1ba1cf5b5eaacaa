"""From scores to rankings: history masked, best K first, in time that memory bandwidth allows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Float32, Int32, Int64, QueryBatch, Ranking

_BLOCKS = 384
"""Block maxima per row: enough to bound the k-th largest score tightly, few enough to be partitioned at no cost."""
_SLAB = 1 << 22
"""Scores worked on at a time (16 MiB), so that the second pass over them finds them in the cache."""


def rank(scores: Float32, batch: QueryBatch) -> Ranking:
    """Rank the catalogue (history masked) or the batch's candidates by score.

    Args:
        scores: float32[B, n_items] without candidates, float32[B, C] with them. Overwritten where it masks.
            NaN and +inf are refused; -inf means "never".
        batch: the queries the scores belong to.

    Returns:
        ``batch.k`` columns; ties are broken by position, so callers that count ties must look at the scores.

    Raises:
        PluginError: the scores have another shape, or hold NaN or +inf.
    """
    _check_shape(scores, batch)
    if batch.candidates is None:
        mask_history(scores, batch)
        columns, best = _select(scores, batch.k)
        items = columns
    else:
        scores = np.where(batch.candidates < 0, np.float32(-np.inf), scores)
        columns, best = _select(scores, batch.k)
        items = np.take_along_axis(batch.candidates, columns, axis=1)
    items[np.isneginf(best)] = -1
    return Ranking(items.astype(np.int32, copy=False), best)


def mask_history(scores: Float32, batch: QueryBatch) -> None:
    """Set what each query's user already has to -inf, in place; ``scores``: float32[B, n_items]."""
    # One flat index is half the price of a (row, column) pair of them.
    if scores.flags.c_contiguous:
        flat = np.repeat(np.arange(0, scores.size, scores.shape[1]), batch.history.lengths)
        flat += batch.history.items
        scores.reshape(-1)[flat] = -np.inf
    else:
        scores[batch.history.rows, batch.history.items] = -np.inf


def top_k(scores: Float32, k: int) -> Int32:
    """int32[B, min(k, n)]: columns of the largest scores of each row, descending, ties by column.

    Exact, at the cost of about two reads of ``scores``: the k-th largest of the maxima of disjoint blocks is a lower
    bound of the k-th largest score, and few scores reach it.

    Raises:
        PluginError: a score is NaN or +inf.
    """
    return _select(scores, k)[0]


def _check_shape(scores: Float32, batch: QueryBatch) -> None:
    """Refuse scores that cannot belong to the batch."""
    if not isinstance(scores, np.ndarray) or scores.ndim != 2 or scores.dtype != np.float32:
        kind = f"{scores.dtype}{list(scores.shape)}" if isinstance(scores, np.ndarray) else type(scores).__name__
        raise PluginError(f"scores are {kind}", fix="A component must return float32[queries, items].")
    wanted = (len(batch), scores.shape[1] if batch.candidates is None else batch.candidates.shape[1])
    if scores.shape != wanted:
        raise PluginError(
            f"scores have the shape {list(scores.shape)} where {list(wanted)} was asked",
            fix="A component must return one row per query and one column per item or candidate.",
        )


def _select(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """Columns int32[B, min(k, n)] and values of the best, a slab of rows at a time."""
    rows, n = scores.shape
    k = max(min(k, n), 0)
    columns, values = np.empty((rows, k), np.int32), np.empty((rows, k), np.float32)
    if k:
        step = max(_SLAB // n, 1)
        for start in range(0, rows, step):
            part = slice(start, start + step)
            columns[part], values[part] = _select_slab(scores[part], k)
    return columns, values


def _select_slab(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """`_select` for 1 <= k <= n and few enough rows."""
    rows, n = scores.shape
    maxima = _block_maxima(scores, k)
    if not maxima.max() < np.inf:  # also where it is NaN: maxima propagate it
        raise PluginError("scores hold NaN or +inf", fix="A component must score items with finite numbers or -inf.")
    bound = np.partition(maxima, maxima.shape[1] - k, axis=1)[:, -k]
    # Exactly k blocks reach the bound: all scores that do are wanted. More: ties, of which the first columns count.
    tied = (maxima >= bound[:, None]).sum(axis=1) > k
    threshold = np.where(tied, bound, np.nextafter(bound, np.float32(-np.inf)))
    flat = np.flatnonzero(scores > threshold[:, None])
    row = flat // n
    column, value = flat - row * n, scores[row, flat - row * n]
    count = np.bincount(row, minlength=rows)
    short = np.flatnonzero(count < k)
    if len(short):
        row, column, value, count = _fill(scores, bound, short, k, row, column, value, count)
    starts = np.cumsum(count) - count
    place = np.arange(len(row)) - starts[row]
    width = int(count.max())
    padded = np.full((rows, width), np.inf, np.float32)
    padded[row, place] = -value
    # Columns ascend within a row, so a stable sort breaks ties by column.
    order = np.argsort(padded, axis=1, kind="stable")[:, :k] + starts[:, None]
    return column[order].astype(np.int32), value[order]


def _block_maxima(scores: Float32, k: int) -> Float32:
    """float32[B, M >= k]: maxima of M disjoint blocks that cover each row.

    Block ``m`` holds the columns ``m, m + M, m + 2M, ...``: taking the maximum of neighbouring rows of a
    [width, M] view is what SIMD does best, unlike a maximum along short contiguous blocks.
    """
    rows, n = scores.shape
    width = max(n // max(_BLOCKS, 4 * k), 1)
    blocks = n // width
    if width == 1:
        return scores
    view = np.lib.stride_tricks.as_strided(
        scores,
        (rows, width, blocks),
        (scores.strides[0], blocks * scores.strides[1], scores.strides[1]),
        writeable=False,
    )
    maxima: Float32 = view.max(axis=1)
    rest = n - width * blocks
    np.maximum(maxima[:, :rest], scores[:, width * blocks :], out=maxima[:, :rest])
    return maxima


Index = npt.NDArray[np.intp]


def _fill(
    scores: Float32, bound: Float32, short: Index, k: int, row: Index, column: Index, value: Float32, count: Int64
) -> tuple[Index, Index, Float32, Int64]:
    """Add to the rows ``short`` of fewer than k scores above their bound the first columns that equal it."""
    equal = (scores if len(short) == len(scores) else scores[short]) == bound[short, None]
    more_rows, more_columns = [row], [column]
    missing = k - count[short]
    index = np.arange(len(short))
    while len(index):
        first = equal[index].argmax(axis=1) if len(index) < len(short) else equal.argmax(axis=1)
        equal[index, first] = False
        more_rows.append(short[index])
        more_columns.append(first)
        missing[index] -= 1
        index = index[missing[index] > 0]
    row, column = np.concatenate(more_rows), np.concatenate(more_columns)
    order = np.lexsort((column, row))
    row, column = row[order], column[order]
    return row, column, scores[row, column], np.bincount(row, minlength=len(scores))
