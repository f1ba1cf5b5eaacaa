"""Shapes, types and ranges of arrays that components give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import PluginError


def check_array(value: Any, shape: tuple[int, ...], dtype: npt.DTypeLike, what: str) -> None:
    """Refuse what is not an array of this shape and type."""
    if not isinstance(value, np.ndarray):
        raise PluginError(f"{what}: {type(value).__name__}, not an array {np.dtype(dtype)}{list(shape)}")
    if value.shape != shape or value.dtype != dtype:
        raise PluginError(f"{what}: {value.dtype}{list(value.shape)}, not {np.dtype(dtype)}{list(shape)}")


def check_unit(values: npt.NDArray[Any], what: str) -> None:
    """Refuse values outside [0, 1], NaN included."""
    if not ((values >= 0) & (values <= 1)).all():
        raise PluginError(f"{what}: not all in [0, 1]")
