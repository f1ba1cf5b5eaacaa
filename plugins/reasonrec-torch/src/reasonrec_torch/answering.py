"""What delegates that keep vectors share when they answer: rows of users, items of which nothing is known. No torch."""

from __future__ import annotations

import numpy as np

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import pick_candidates
from reasonrec_core.types import Bool, Float32, Int32, Int64, QueryBatch


def find_user_rows(users: Int32, n_known: int) -> Int64:
    """int64[B]: rows of a table of ``n_known`` users and, after them, one row for anybody else.

    Args:
        users: int32[B], -1 where unknown.
        n_known: users of the fit.
    """
    return np.where((users >= 0) & (users < n_known), users, n_known).astype(np.int64)


def rank_unknown_last(scores: Float32, unknown: Bool, batch: QueryBatch) -> Float32:
    """float32[B, n_items], or [B, C] of the batch's candidates: ``unknown`` items below all others of their row.

    Args:
        scores: float32[B, n_items]; changed in place.
        unknown: bool[n_items], items of which nothing is known.
        batch: the requests.
    """
    if unknown.any():
        last_of_all(scores, unknown, 1)
    return pick_candidates(scores, batch)
