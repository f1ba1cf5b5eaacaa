"""The map from features to the space in which items are compared, kept so that later items find their place in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Float32

ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Projection:
    """``z = (x - mean) @ axes - offset``.

    Attributes:
        mean: float32[D].
        axes: float32[D, r], None to keep all directions as they are.
        offset: float32[r], None for none.
    """

    mean: Float32
    axes: Float32 | None = None
    offset: Float32 | None = None

    def __call__(self, features: Float32) -> Float32:
        """float32[n, r] of float32[n, D]."""
        moved: Float32 = features - self.mean
        if self.axes is not None:
            moved = moved @ self.axes
        return moved if self.offset is None else moved - self.offset

    def project_unit(self, features: Float32, rows: npt.NDArray[np.integer[Any]]) -> Float32:
        """float32[len(rows), r]: these rows of (memory-mapped) features, projected and scaled to length 1."""
        size = len(self.mean) if self.axes is None else self.axes.shape[1]
        out = np.empty((len(rows), size), dtype=np.float32)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = np.asarray(features[rows[start : start + ROWS_AT_ONCE]], dtype=np.float32)
            out[start : start + len(some)] = normalise_rows(self(some))
        return out

    def arrays(self, key: str) -> dict[str, Float32]:
        """For saving, under names that start with ``key``."""
        named = {"mean": self.mean, "axes": self.axes, "offset": self.offset}
        return {f"{key}.{name}": value for name, value in named.items() if value is not None}

    @classmethod
    def from_arrays(cls, key: str, arrays: Mapping[str, Any]) -> Projection | None:
        """What `arrays` gave, None where there is nothing under ``key``."""
        mean, axes, offset = (
            arrays[name] if (name := f"{key}.{part}") in arrays else None for part in ("mean", "axes", "offset")
        )
        return None if mean is None else cls(mean, axes, offset)


def normalise_rows(rows: Float32) -> Float32:
    """Rows scaled to length 1; those without a direction stay 0."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1e-12), dtype=np.float32)
