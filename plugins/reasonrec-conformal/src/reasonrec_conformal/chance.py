"""A uniform number per query that depends on nothing but the query."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import QueryBatch

_SHIFT = np.uint64(11)


def draw_uniform(batch: QueryBatch, seed: int) -> npt.NDArray[np.float64]:
    """float64[B] in [0, 1): the same for a query asked alone and among others, today and tomorrow."""
    history = batch.history
    place = history.items.astype(np.uint64) * np.uint64(0x1_0000_0001) + history.ages.astype(np.uint64)
    total = np.bincount(history.rows, _fraction(place + np.uint64(seed)), minlength=len(batch))
    return np.asarray((total + _fraction(batch.users.astype(np.int64).astype(np.uint64))) % 1.0)


def _fraction(key: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """[0, 1) from 64 bits, well mixed (splitmix64; Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = key + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(((mixed ^ (mixed >> np.uint64(31))) >> _SHIFT) * 2.0**-53)
