"""Sums over ragged rows, without loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Int64, indptr_of

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ragged:
    """Entries of N rows: ``index[k]`` belongs to row ``rows[k]``; rows ascend.

    Attributes:
        indptr: int64[N + 1] row bounds.
        index: int64[L] what each entry points at.
        rows: int64[L].
    """

    indptr: Int64
    index: Int64
    rows: Int64

    @classmethod
    def between(cls, starts: Int64, stops: Int64) -> Ragged:
        """Row n holds the positions ``starts[n]`` up to ``stops[n]``."""
        lengths = np.maximum(stops - starts, 0)
        indptr = indptr_of(lengths)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        return cls(indptr, np.arange(indptr[-1]) - indptr[rows] + starts[rows], rows)

    def slice(self, start: int, stop: int) -> Ragged:
        """Rows ``start:stop``."""
        low, high = self.indptr[start], self.indptr[stop]
        return Ragged(self.indptr[start : stop + 1] - low, self.index[low:high], self.rows[low:high] - start)

    def take(self, index: npt.NDArray[np.intp]) -> Ragged:
        """The rows at ``index``."""
        between = Ragged.between(self.indptr[index], self.indptr[index + 1])
        return Ragged(between.indptr, self.index[between.index], between.rows)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> Int64:
        """int64[N]."""
        return np.diff(self.indptr)

    @property
    def ages(self) -> Int64:
        """int64[L]: 0 for the last entry of its row."""
        return self.indptr[1:][self.rows] - 1 - np.arange(len(self.index))

    def sum(self, values: Float) -> Float:
        """float64[N]: per row, of float64[L]."""
        return np.bincount(self.rows, weights=values, minlength=len(self)).astype(np.float64)

    def mean(self, values: Float, weights: Float | None = None) -> Float:
        """float64[N]: per row, NaN where the row is empty."""
        total = self.lengths.astype(float) if weights is None else self.sum(weights)
        part = self.sum(values if weights is None else values * weights)
        mean: Float = np.divide(part, total, out=np.full(len(self), np.nan), where=total > 0)
        return mean

    def max(self, values: Float) -> Float:
        """float64[N]: per row, NaN where the row is empty."""
        best = np.full(len(self), -np.inf)
        np.maximum.at(best, self.rows, values)
        return np.where(np.isneginf(best), np.nan, best)
