"""Labelled rows, which of them a request may know, and sums over ragged rows without loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Float32, Float64, Int32, Int64, Interactions, indptr_of

FEWEST = 50
"""So many labelled rows are needed to learn from."""


@dataclass(frozen=True)
class RaggedRows:
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
    def between(cls, starts: Int64, stops: Int64) -> RaggedRows:
        """Row n holds the positions ``starts[n]`` up to ``stops[n]``."""
        lengths = np.maximum(stops - starts, 0)
        indptr = indptr_of(lengths)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        return cls(indptr, np.arange(indptr[-1]) - indptr[rows] + starts[rows], rows)

    def slice(self, start: int, stop: int) -> RaggedRows:
        """Rows ``start:stop``."""
        low, high = self.indptr[start], self.indptr[stop]
        return RaggedRows(self.indptr[start : stop + 1] - low, self.index[low:high], self.rows[low:high] - start)

    def take(self, index: npt.NDArray[np.intp]) -> RaggedRows:
        """The rows at ``index``."""
        between = RaggedRows.between(self.indptr[index], self.indptr[index + 1])
        return RaggedRows(between.indptr, self.index[between.index], between.rows)

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

    def sum(self, values: Float64) -> Float64:
        """float64[N]: per row, of float64[L]."""
        return np.bincount(self.rows, weights=values, minlength=len(self)).astype(np.float64)

    def mean(self, values: Float64, weights: Float64 | None = None) -> Float64:
        """float64[N]: per row, NaN where the row is empty."""
        total = self.lengths.astype(float) if weights is None else self.sum(weights)
        part = self.sum(values if weights is None else values * weights)
        mean: Float64 = np.divide(part, total, out=np.full(len(self), np.nan), where=total > 0)
        return mean

    def max(self, values: Float64) -> Float64:
        """float64[N]: per row, NaN where the row is empty."""
        best = np.full(len(self), -np.inf)
        np.maximum.at(best, self.rows, values)
        return np.where(np.isneginf(best), np.nan, best)


@dataclass(frozen=True)
class LabelledRows:
    """Labelled rows sorted by user and time.

    Attributes:
        users: int32[N].
        items: int32[N].
        times: int64[N].
        values: float32[N] in [0, 1].
    """

    users: Int32
    items: Int32
    times: Int64
    values: Float32

    @classmethod
    def sorted(cls, users: Int32, items: Int32, times: Int64, values: Float32) -> LabelledRows:
        """Of rows in any order; ties keep theirs."""
        order = np.lexsort((times, users))
        return cls(users[order], items[order], times[order], values[order])

    @classmethod
    def of(cls, log: Interactions) -> LabelledRows:
        """Of a log with values."""
        assert log.values is not None
        return cls(log.users, log.items, log.times, log.values)

    def __len__(self) -> int:
        return len(self.items)

    def take(self, index: Bool) -> LabelledRows:
        """The rows of a mask."""
        return LabelledRows(self.users[index], self.items[index], self.times[index], self.values[index])

    def merge(self, other: LabelledRows) -> LabelledRows:
        """Both, sorted."""
        pairs = zip(
            (self.users, self.items, self.times, self.values),
            (other.users, other.items, other.times, other.values),
            strict=True,
        )
        return LabelledRows.sorted(*(np.concatenate(pair) for pair in pairs))  # type: ignore[arg-type]

    def before(self, users: Int32, cuts: Int64) -> RaggedRows:
        """Per request: positions of its user's rows with a time strictly before ``cuts[n]``, oldest first."""
        low = int(self.times.min(initial=0))
        span = int(self.times.max(initial=0)) - low + 2
        keys = self.users.astype(np.int64) * span + (self.times - low)
        starts = np.searchsorted(keys, users.astype(np.int64) * span, side="left")
        bounds = np.clip(cuts - low, 0, span - 1)
        stops = np.searchsorted(keys, users.astype(np.int64) * span + bounds, side="left")
        unknown = users < 0
        return RaggedRows.between(np.where(unknown, 0, starts), np.where(unknown, 0, stops))

    def earlier_positives(self) -> RaggedRows:
        """Per row: positions of its user's positive rows with a strictly earlier time, oldest first."""
        liked = np.flatnonzero(self.values > 0.5)
        inside = self.take(self.values > 0.5).before(self.users, self.times)
        return RaggedRows(inside.indptr, liked[inside.index], inside.rows)


def check_labels(values: Float32 | None, where: str) -> None:
    """Refuse training labels that nothing can be learned from.

    Args:
        values: one per training row, None where the data has none.
        where: who wants to learn, for the message.

    Raises:
        DataError: none, too few, not within 0 and 1, or all the same.
    """
    if values is None:
        raise DataError("the training interactions have no labels", where=where, fix="Give a value column of 0 and 1.")
    if len(values) < FEWEST:
        raise DataError(f"{len(values)} labelled rows are too few: at least {FEWEST} are needed", where=where)
    if values.min() < 0 or values.max() > 1:
        raise DataError(f"a label is {values.max():g}, not 0 or 1", where=where)
    if len(np.unique(values)) < 2:
        raise DataError(f"every training label is {values[0]:g}, so there is nothing to learn", where=where)
