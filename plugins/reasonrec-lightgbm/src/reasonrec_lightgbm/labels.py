"""Labelled rows and which of them a request may know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.types import Bool, Float32, Int32, Int64, Interactions
from reasonrec_lightgbm.ragged import Ragged


@dataclass(frozen=True)
class Labels:
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
    def sorted(cls, users: Int32, items: Int32, times: Int64, values: Float32) -> Labels:
        """Of rows in any order; ties keep theirs."""
        order = np.lexsort((times, users))
        return cls(users[order], items[order], times[order], values[order])

    @classmethod
    def of(cls, log: Interactions) -> Labels:
        """Of a log with values."""
        assert log.values is not None
        return cls(log.users, log.items, log.times, log.values)

    def __len__(self) -> int:
        return len(self.items)

    def take(self, index: Bool) -> Labels:
        """The rows of a mask."""
        return Labels(self.users[index], self.items[index], self.times[index], self.values[index])

    def with_rows(self, other: Labels) -> Labels:
        """Both, sorted."""
        pairs = zip(
            (self.users, self.items, self.times, self.values),
            (other.users, other.items, other.times, other.values),
            strict=True,
        )
        return Labels.sorted(*(np.concatenate(pair) for pair in pairs))  # type: ignore[arg-type]

    def before(self, users: Int32, cuts: Int64) -> Ragged:
        """Per request: positions of its user's rows with a time strictly before ``cuts[n]``, oldest first."""
        low = int(self.times.min(initial=0))
        span = int(self.times.max(initial=0)) - low + 2
        keys = self.users.astype(np.int64) * span + (self.times - low)
        starts = np.searchsorted(keys, users.astype(np.int64) * span, side="left")
        bounds = np.clip(cuts - low, 0, span - 1)
        stops = np.searchsorted(keys, users.astype(np.int64) * span + bounds, side="left")
        unknown = users < 0
        return Ragged.between(np.where(unknown, 0, starts), np.where(unknown, 0, stops))

    def earlier_positives(self) -> Ragged:
        """Per row: positions of its user's positive rows with a strictly earlier time, oldest first."""
        liked = np.flatnonzero(self.values > 0.5)
        inside = self.take(self.values > 0.5).before(self.users, self.times)
        return Ragged(inside.indptr, liked[inside.index], inside.rows)
