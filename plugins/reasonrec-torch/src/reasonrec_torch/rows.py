"""Rows of named arrays in shuffled batches, for models that score a row at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reasonrec_core.errors import DataError
from reasonrec_core.io import content_hash
from reasonrec_core.types import Int64

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class RowBatch:
    """What is learned from at once.

    Attributes:
        arrays: by name, [b, ...].
    """

    arrays: Arrays

    @property
    def samples(self) -> int:
        """Rows."""
        return len(next(iter(self.arrays.values())))

    used = places = samples

    def to(self, device: torch.device) -> dict[str, Tensor]:
        """As tensors by name."""
        return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in self.arrays.items()}


class TrainingRows:
    """All rows once per epoch, in another order each time.

    Args:
        arrays: by name, [T, ...].
        batch: rows per batch.

    Raises:
        DataError: there are no rows.
    """

    def __init__(self, arrays: Arrays, *, batch: int = 1024) -> None:
        self.arrays, self.batch = arrays, batch
        if not self.samples:
            raise DataError("there are no training rows to learn from")

    @property
    def samples(self) -> int:
        """Rows."""
        return len(next(iter(self.arrays.values())))

    @cached_property
    def digest(self) -> str:
        """Of all that batches depend on besides the random generator."""
        return content_hash(self.batch, *(part for name, a in self.arrays.items() for part in (name, a.tobytes())))

    def epoch(self, number: int, epochs: int, rng: np.random.Generator) -> RowEpoch:
        """An order of all rows."""
        return RowEpoch(self, rng.permutation(self.samples))


@dataclass(frozen=True)
class RowEpoch:
    """Planned batches of rows.

    Attributes:
        rows: what they are taken from.
        order: int64[T].
    """

    rows: TrainingRows
    order: Int64

    def __len__(self) -> int:
        return -(-len(self.order) // self.rows.batch)

    @property
    def samples(self) -> int:
        """Rows."""
        return len(self.order)

    def batches(self, start: int = 0) -> Iterator[RowBatch]:
        """The batches, from the one at position ``start`` on."""
        size = self.rows.batch
        for low in range(start * size, len(self.order), size):
            index = self.order[low : low + size]
            yield RowBatch({name: array[index] for name, array in self.rows.arrays.items()})
