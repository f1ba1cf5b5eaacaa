"""The array types of the house, the bounds of ragged rows, and how progress is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

Progress = Callable[[int, int, str], None]
"""Called as ``progress(done, total, label)``; cheap to call often."""


def indptr_of(lengths: npt.ArrayLike) -> Int64:
    """int64[B + 1]: row ``b`` of B ragged rows with these lengths is ``indptr[b]:indptr[b + 1]``."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
