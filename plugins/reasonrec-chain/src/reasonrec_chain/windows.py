"""Which parts of which sequences an encoder reads at once, and what it is asked there: planned as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Float32, Int32, Int64

Shape = Literal["positions", "prefixes"]
"""``positions``: a causal encoder predicts after every item of a window; ``prefixes``: every prefix is its own row."""
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Windows:
    """R rows: row r reads ``items[start:stop]`` and is asked for ``items[j + 1]`` after each j in ``first..stop - 1``.

    Attributes:
        users: int64[R].
        start: int64[R].
        stop: int64[R].
        first: int64[R], the earliest input position with a target.
    """

    users: Int64
    start: Int64
    stop: Int64
    first: Int64

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> Int64:
        """int64[R]: items read."""
        return self.stop - self.start

    @property
    def samples(self) -> int:
        """How many targets there are."""
        return int((self.stop - self.first).sum())

    def take(self, index: Index) -> Windows:
        """The rows at ``index``, in that order."""
        return Windows(self.users[index], self.start[index], self.stop[index], self.first[index])


@dataclass(frozen=True)
class Exposure:
    """How much of whom a part of the training shows.

    Attributes:
        probability: float32[n_users], not negative, how often each user's sequence is read relative to others;
            None: all alike.
        limit: int64[n_users], at most this many items of a user are read before a target; None: no limit beyond
            that of the windows.
    """

    probability: Float32 | None = None
    limit: Int64 | None = None


def make_windows(
    users: Int64, begin: Int64, end: Int64, limit: Int64, shape: Shape, rng: np.random.Generator
) -> Windows:
    """Windows in which every item of a sequence but the first is a target exactly once.

    A sequence of more than ``limit`` targets is cut for ``positions``, at borders that are drawn anew on every call, so
    that no item is always seen with a short past.

    Args:
        users: int64[S], whose sequence it is; a user may come several times.
        begin, end: int64[S], bounds of each sequence, at least two items.
        limit: int64[S], most items that are read before a target, at least 1.
        shape: see `Shape`.
        rng: draws the borders.
    """
    targets = end - begin - 1
    if shape == "prefixes":
        row = np.repeat(np.arange(len(users)), targets)
        stop = begin[row] + 1 + _within(targets)
        start = np.maximum(begin[row], stop - limit[row])
        return Windows(users[row], start, stop, stop - 1)
    drawn = np.floor(rng.random(len(users)) * limit).astype(np.int64)
    newest = np.where(targets > limit, limit - drawn, targets)
    pieces = 1 + -(-(targets - newest) // limit)
    row, piece = np.repeat(np.arange(len(users)), pieces), _within(pieces)
    after = np.where(piece > 0, newest[row] + (piece - 1) * limit[row], 0)
    size = np.where(piece > 0, np.minimum(limit[row], targets[row] - after), newest[row])
    stop = end[row] - 1 - after
    return Windows(users[row], stop - size, stop, stop - size)


def pack(lengths: Int64, tokens: int) -> Int64:
    """Cut rows of ascending lengths into batches of at most ``tokens`` places (rows x longest), one row at least.

    Returns:
        int64[batches + 1] bounds.
    """
    bounds, at = [0], 0
    while at < len(lengths):
        some = np.maximum(lengths[at : at + max(1, tokens // max(1, int(lengths[at])))], 1)
        fits = int(np.searchsorted(some * np.arange(1, len(some) + 1), tokens, side="right"))
        at += max(1, fits)
        bounds.append(at)
    return np.array(bounds, np.int64)


def padded(items: Int32 | Int64, start: Int64, lengths: Int64) -> tuple[Int64, Int64]:
    """Rows of a flat array as a matrix.

    Returns:
        int64[B, max(1, longest)] items with -1 on the right, and the position of each in ``items``.
    """
    width = np.arange(max(1, int(lengths.max(initial=0))))
    at = start[:, None] + width
    inside = width < lengths[:, None]
    rows = np.full(at.shape, -1, np.int64)
    rows[inside] = items[at[inside]]
    return rows, at


def _within(counts: Int64) -> Int64:
    """0, 1, ... counts[0] - 1, 0, 1, ... counts[1] - 1, and so on."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
