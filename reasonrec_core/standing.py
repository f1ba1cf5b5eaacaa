"""How high an item stands among a system's scores of the whole catalogue: a number without a unit.

Scores of recommenders have any unit, often another one per user. Where an item stands does not: it is what click
probabilities are made from where a system only ranks.
"""

from __future__ import annotations

import numpy as np

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Float32, QueryBatch


def standing(scores: Float32, batch: QueryBatch) -> Float32:
    """The share of the catalogue below each candidate, as mid-ranks tell it.

    Of the n items that the user does not have, a candidate of mid-rank r (1 the highest, equal scores share their mean
    rank) has (n - r + 1/2) / n below it. A candidate that the user has already is counted among the n.

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
        raise PluginError("scores hold NaN or +inf", fix="A component must score items with finite numbers or -inf.")
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
