"""A uniform number per query that depends on nothing but the query."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import QueryBatch, mix_to_unit


def draw_uniform(batch: QueryBatch, seed: int) -> npt.NDArray[np.float64]:
    """float64[B] in [0, 1): the same for a query asked alone and among others, today and tomorrow."""
    history = batch.history
    place = history.items.astype(np.uint64) * np.uint64(0x1_0000_0001) + history.ages.astype(np.uint64)
    total = np.bincount(history.rows, mix_to_unit(place + np.uint64(seed)), minlength=len(batch))
    return np.asarray((total + mix_to_unit(batch.users.astype(np.int64).astype(np.uint64))) % 1.0)
