"""From scores to rankings: history masked, best K first, in time that memory bandwidth allows."""

from __future__ import annotations

import numpy as np

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Float32, Int32, QueryBatch, Ranking


def rank(scores: Float32, batch: QueryBatch) -> Ranking:
    """Rank the catalogue (history masked) or the batch's candidates by score.

    Args:
        scores: float32[B, n_items] without candidates, float32[B, C] with them. Overwritten where it masks.
            NaN is refused; -inf means "never".
        batch: the queries the scores belong to.

    Returns:
        ``batch.k`` columns; ties are broken by position, so callers that count ties must look at the scores.
    """
    if np.isnan(scores).any():
        raise PluginError("scores hold NaN", fix="A component must score every item with a finite number or -inf.")
    if batch.candidates is None:
        scores[batch.history.rows, batch.history.items] = -np.inf
        columns = top_k(scores, batch.k)
        items = columns
    else:
        scores = np.where(batch.candidates < 0, np.float32(-np.inf), scores)
        columns = top_k(scores, min(batch.k, scores.shape[1]))
        items = np.take_along_axis(batch.candidates, columns, axis=1)
    best = np.take_along_axis(scores, columns, axis=1)
    return Ranking(np.where(np.isneginf(best), np.int32(-1), items).astype(np.int32), best)


def top_k(scores: Float32, k: int) -> Int32:
    """int32[B, min(k, n)]: columns of the largest scores of each row, descending, ties by column."""
    k = min(k, scores.shape[1])
    columns = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    columns.sort(axis=1)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1).astype(np.int32)
