"""What users did: the log, the history that a request brings, what they wrote; and the array types of the house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

R = TypeVar("R")
Texts = npt.NDArray[np.object_]
"""Strings; "" where there is none."""

Progress = Callable[[int, int, str], None]
"""Called as ``progress(done, total, label)``; cheap to call often."""


def no_progress(done: int, total: int, label: str) -> None:
    """Say nothing."""


def indptr_of(lengths: npt.ArrayLike) -> Int64:
    """int64[B + 1]: row ``b`` of B ragged rows with these lengths is ``indptr[b]:indptr[b + 1]``."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def concatenate_ranges(starts: Int64, stops: Int64) -> tuple[Int64, Int64]:
    """Row bounds int64[B + 1], and the concatenation of ``arange(start, stop)`` for all B rows."""
    lengths = np.maximum(stops - starts, 0)
    indptr = indptr_of(lengths)
    return indptr, np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1], dtype=np.int64)


def mix_bits(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection of 64-bit words that spreads every bit: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    bits = (bits + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def mix_to_unit(bits: npt.NDArray[np.uint64]) -> Float64:
    """float64 in [0, 1), evenly spread over different words (`mix_bits`)."""
    return np.asarray((mix_bits(bits) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def take_rows(record: R, index: slice | npt.NDArray[np.intp] | Bool) -> R:
    """A dataclass of parallel arrays with the rows that ``index`` selects; what is no array stays as it is."""
    arrays = {each.name: getattr(record, each.name) for each in fields(record)}  # type: ignore[arg-type]
    return replace(record, **{name: a[index] for name, a in arrays.items() if isinstance(a, np.ndarray)})  # type: ignore[type-var]


@dataclass(frozen=True, slots=True)
class Interactions:
    """A log as parallel arrays, sorted by user and, within a user, oldest first (ties keep the log's order).

    Attributes:
        users: int32[N] dense user indices.
        items: int32[N] dense item indices.
        times: int64[N] seconds since 1970, or positions where the source has an order and no clock.
        values: float32[N] ratings or click labels (0/1), or None for implicit feedback.
        context: int32[N, X] codes of the columns of `Dataset.context`, 0 where unknown; None where there are none.
    """

    users: Int32
    items: Int32
    times: Int64
    values: Float32 | None = None
    context: Int32 | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, index: npt.NDArray[np.intp] | Bool) -> Interactions:
        """The rows that ``index`` (positions or a mask) selects."""
        return take_rows(self, index)

    def count_items(self, n_items: int, half_life: float | None = None) -> Float32:
        """float32[n_items]: interactions per item, each halved for every ``half_life`` of age before the newest."""
        if half_life is None or not len(self):
            return np.bincount(self.items, minlength=n_items).astype(np.float32)
        age = (self.times.max() - self.times) / half_life
        return np.bincount(self.items, weights=np.exp2(-age), minlength=n_items).astype(np.float32)


@dataclass(frozen=True, slots=True)
class History:
    """Ragged item sequences, oldest first: row ``b`` is ``items[indptr[b]:indptr[b + 1]]``.

    Attributes:
        indptr: int64[B + 1].
        items: int32[L] dense item indices, all of them known items.
        times: int64[L] like `Interactions.times`.
        skipped: how many unknown items were left out when the history was made.
    """

    indptr: Int64
    items: Int32
    times: Int64
    skipped: int = 0

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], *, skipped: int = 0) -> History:
        """Build from lists of dense item indices; positions serve as times."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        indptr = indptr_of(lengths)
        items = np.array([item for row in rows for item in row], dtype=np.int32)
        times = np.arange(len(items), dtype=np.int64) - np.repeat(indptr[:-1], lengths)
        return cls(indptr, items, times, skipped)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> Int64:
        """int64[B]: items per row."""
        return self.indptr[1:] - self.indptr[:-1]

    @property
    def rows(self) -> Int32:
        """int32[L]: the row that each entry belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    @property
    def ages(self) -> Int64:
        """int64[L]: 0 for the newest entry of its row, 1 for the one before, and so on."""
        ends = np.repeat(self.indptr[1:], self.lengths)
        return ends - 1 - np.arange(self.indptr[0], self.indptr[-1], dtype=np.int64)

    def row(self, index: int) -> Int32:
        """int32[length]: the items of one row, oldest first."""
        return self.items[self.indptr[index] - self.indptr[0] : self.indptr[index + 1] - self.indptr[0]]

    def slice(self, start: int, stop: int) -> History:
        """Rows ``start:stop``, with ``indptr`` starting at 0."""
        low, high = self.indptr[start], self.indptr[stop]
        return History(self.indptr[start : stop + 1] - low, self.items[low:high], self.times[low:high], self.skipped)

    def take(self, index: npt.NDArray[np.intp]) -> History:
        """The rows at ``index``, in that order."""
        indptr, source = concatenate_ranges(self.indptr[:-1][index], self.indptr[1:][index])
        return History(indptr, self.items[source], self.times[source], self.skipped)


@dataclass(frozen=True, slots=True)
class Reviews:
    """Reviews as parallel arrays, sorted by user and, within a user, oldest first. The text is untrusted.

    Attributes:
        users: int32[R] dense user indices.
        items: int32[R] dense item indices.
        times: int64[R] like `Interactions.times`.
        texts: str[R] what was written.
        summaries: str[R] its headline, "" where there is none.
        values: float32[R] the user's rating, or None where the data has no ratings.
    """

    users: Int32
    items: Int32
    times: Int64
    texts: Texts
    summaries: Texts
    values: Float32 | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, index: npt.NDArray[np.intp] | Bool) -> Reviews:
        """The reviews that ``index`` (positions or a mask) selects."""
        return take_rows(self, index)
