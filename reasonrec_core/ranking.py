"""From scores to rankings: history masked, best K first, in time that memory bandwidth allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Float32, Int32, Int64, QueryBatch, Ranking

_WIDTH = 8
"""Scores per block: wide enough that looking at blocks instead of scores pays, narrow enough to look into them."""
_FEWEST = 64
"""Blocks that are always left: with fewer, several of a row's best scores would share one."""
_WIDE = 32
"""Scores per block of a single row: few operations count for more than few reads."""
_SLAB = 1 << 22
"""Scores worked on at a time (16 MiB), so that the second pass over them finds them in the cache."""


Index = npt.NDArray[np.intp]


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
            f"scores have the shape {list(scores.shape)}, not {list(wanted)}",
            fix="A component must return one row per query and one column per item or candidate.",
        )


def _not_finite() -> PluginError:
    return PluginError("scores hold NaN or +inf", fix="A component must score items with finite numbers or -inf.")


def _select(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """Columns int32[B, min(k, n)] and values of the best, a slab of rows at a time."""
    rows, n = scores.shape
    k = max(min(k, n), 0)
    columns, values = np.empty((rows, k), np.int32), np.empty((rows, k), np.float32)
    if rows == 1 and k and n >= _WIDE * max(_WIDE, 4 * k):
        return _select_row(scores, k)
    if k:
        step = max(_SLAB // n, 1)
        for start in range(0, rows, step):
            part = slice(start, start + step)
            columns[part], values[part] = _select_slab(scores[part], k)
    return columns, values


def _select_slab(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """`_select` for 1 <= k <= n and few enough rows."""
    rows, n = scores.shape
    if 2 * k >= n:  # most are wanted: nothing is gained by looking for those that are not
        return _sort_slab(scores, k)
    scores = np.ascontiguousarray(scores)
    enough = max(4 * k, _FEWEST)
    maxima = _fold(scores, _WIDTH) if n // _WIDTH >= enough else scores
    coarse = maxima
    while coarse.shape[1] // 4 >= enough:
        coarse = _fold(coarse, 4)
    ordered = np.sort(coarse, axis=1)
    if not (ordered[:, -1] < np.inf).all():  # also where it is NaN: maxima propagate it, and it sorts last
        raise _not_finite()
    bound = ordered[:, -k]
    # Exactly k blocks reach the bound: all scores that do are wanted. More: ties, of which the first columns count.
    tied = (coarse >= bound[:, None]).sum(axis=1) > k
    threshold = np.where(tied, bound, np.nextafter(bound, np.float32(-np.inf)))
    flat = _above(scores, maxima, threshold)
    count = np.bincount(flat // n, minlength=rows)
    short = np.flatnonzero(count < k)
    if len(short):
        flat = np.sort(np.concatenate([flat, _first_equal(scores, bound, short, k - count[short])]))
        count[short] = k
    row, value = flat // n, scores.reshape(-1)[flat]
    starts = np.cumsum(count) - count
    padded = np.full((rows, int(count.max())), np.inf, np.float32)
    padded[row, np.arange(len(row)) - starts[row]] = -value
    # Columns ascend within a row, so a stable sort breaks ties by column.
    order = np.argsort(padded, axis=1, kind="stable")[:, :k] + starts[:, None]
    return (flat[order] - np.arange(0, rows * n, n)[:, None]).astype(np.int32), value[order]


def _select_row(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """`_select` for one long row, in as few operations as can be: what a single request pays for is their number."""
    row, maxima = scores[0], _fold(np.ascontiguousarray(scores), _WIDE)[0]
    if not maxima.max() < np.inf:
        raise _not_finite()
    reached = np.flatnonzero(row >= np.partition(maxima, len(maxima) - k)[len(maxima) - k])
    best = reached[np.argsort(-row[reached], kind="stable")[:k]]
    return best[None].astype(np.int32), row[best][None]


def _sort_slab(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """`_select` by sorting whole rows."""
    order = np.argsort(-scores, axis=1, kind="stable")
    best = np.take_along_axis(scores, order, axis=1)
    if not ((best[:, 0] < np.inf) & (best[:, -1] >= -np.inf)).all():  # NaN sorts last
        raise _not_finite()
    return order[:, :k].astype(np.int32), np.ascontiguousarray(best[:, :k])


def _fold(scores: Float32, width: int) -> Float32:
    """float32[B, M]: maxima of M = ceil(n / width) disjoint blocks that cover each row; n >= width * width.

    Block ``m`` holds the columns ``m, m + M, m + 2M, ...``: taking the maximum of the neighbouring rows of a
    [width, M] view is what SIMD does best, unlike a maximum along short contiguous blocks.
    """
    rows, n = scores.shape
    blocks = -(-n // width)
    steps = (scores.strides[0], blocks * scores.strides[1], scores.strides[1])
    full = np.lib.stride_tricks.as_strided(scores, (rows, width - 1, blocks), steps, writeable=False)
    maxima: Float32 = full.max(axis=1)
    last = scores[:, (width - 1) * blocks :]
    np.maximum(maxima[:, : last.shape[1]], last, out=maxima[:, : last.shape[1]])
    return maxima


def _above(scores: Float32, maxima: Float32, threshold: Float32) -> Index:
    """Flat positions, ascending, of the scores above their row's threshold; looks only into blocks that hold one."""
    n = scores.shape[1]
    block = np.flatnonzero(maxima > threshold[:, None])
    if maxima is scores:
        return block
    blocks = maxima.shape[1]
    row = block // blocks
    column = (block - row * blocks)[:, None] + np.arange(0, _WIDTH * blocks, blocks)
    flat = row[:, None] * n + column
    above = scores.reshape(-1).take(flat, mode="clip") > threshold[row, None]
    if n < _WIDTH * blocks:
        above &= column < n
    return np.sort(flat[above])


def _first_equal(scores: Float32, bound: Float32, short: Index, missing: Int64) -> Index:
    """Flat positions of the first ``missing`` scores that equal their bound, for the rows ``short``."""
    n = scores.shape[1]
    equal = (scores if len(short) == len(scores) else scores[short]) == bound[short, None]
    found = []
    index = np.arange(len(short))
    while len(index):
        first = (equal if len(index) == len(equal) else equal[index]).argmax(axis=1)
        equal[index, first] = False
        found.append(short[index] * n + first)
        missing = missing - 1
        index = index[missing[index] > 0]
    return np.concatenate(found)


def compute_gain(rank: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``1 / log2(1 + rank)``, the discount of NDCG (Järvelin and Kekäläinen, TOIS 2002)."""
    gain: npt.NDArray[np.float64] = 1.0 / np.log2(rank + 1.0)
    return gain


def compute_ideal_gain(deepest: int) -> npt.NDArray[np.float64]:
    """float64[deepest + 1]: the gain of 0, 1, 2... relevant items in the first places; 1 for none, to divide by."""
    return np.concatenate([[1.0], np.cumsum(compute_gain(np.arange(1, deepest + 1)))])


def percentile_rank(scores: Float32, batch: QueryBatch) -> Float32:
    """The share of the catalogue below each candidate, as mid-ranks tell it: a number without a unit.

    Scores of recommenders have any unit, often another one per user; where an item stands does not. Of the n items
    that the user does not have, a candidate of mid-rank r (1 the highest, equal scores share their mean rank) has
    (n - r + 1/2) / n below it. A candidate that the user has already is counted among the n.

    Args:
        scores: float32[B, n_items] of the whole catalogue, -inf for "never".
        batch: B queries with candidates int32[B, C], -1 pads.

    Returns:
        float32[B, C] strictly between 0 and 1; 0.5 for padding.

    Raises:
        PluginError: a score is NaN or +inf.
    """
    assert batch.candidates is not None
    if not (scores < np.inf).all():  # False for NaN, too
        raise _not_finite()
    free = np.ones(scores.shape, np.bool_)
    free[batch.history.rows, batch.history.items] = False
    rows, share = np.arange(len(scores)), np.full(batch.candidates.shape, 0.5, np.float32)
    for column, items in enumerate(batch.candidates.T):
        item = np.maximum(items, 0)
        own = scores[rows, item][:, None]
        others = free.copy()
        others[rows, item] = False
        above = ((scores > own) & others).sum(axis=1)
        equal = ((scores == own) & others).sum(axis=1)
        count = others.sum(axis=1) + 1
        place = 1 + above + equal / 2
        share[:, column] = np.where(items >= 0, (count - place + 0.5) / count, 0.5)
    return share
