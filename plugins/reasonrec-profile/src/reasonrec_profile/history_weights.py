"""Step *evidence*: which history items count, and how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy import sparse

from reasonrec_core.types import Bool, Float32, History


@dataclass(frozen=True)
class AgeDecay:
    """How a history entry's weight falls with its age (0 = newest).

    ``(1 - long_share) * decay^age + long_share * long_decay^age``: what was just done, and what the user is like.
    """

    decay: float
    long_share: float = 0.0
    long_decay: float = 1.0

    def __call__(self, ages: Float32) -> Float32:
        """float32[L] for float32[L] ages."""
        short = np.float32(1.0 - self.long_share) * np.float32(self.decay) ** ages
        if self.long_share:
            short = short + np.float32(self.long_share) * np.float32(self.long_decay) ** ages
        return np.asarray(short, dtype=np.float32)


SLOW = AgeDecay(0.97)


@dataclass(frozen=True)
class HistoryWeights:
    """The history of B queries and how much each entry counts, before it is discounted by age.

    Attributes:
        history: B rows, L entries.
        relevance: float32[L], 1 = counts in full, 0 = ignored. Every later step sees the history through it.
        longest: entries older than the ``longest`` newest ones do not count.
    """

    history: History
    relevance: Float32
    longest: int

    @classmethod
    def of(cls, history: History, longest: int) -> Self:
        """Every entry counts in full."""
        return cls(history, np.ones(len(history.items), dtype=np.float32), longest)

    def weights(self, fade: AgeDecay) -> Float32:
        """float32[L]: relevance, faded by age."""
        ages, counts = self._ages
        return np.where(counts, self.relevance * fade(ages), np.float32(0.0)).astype(np.float32, copy=False)

    @cached_property
    def _ages(self) -> tuple[Float32, Bool]:
        """float32[L] ages, up to ``longest``, and bool[L] which are below that; the same for every fade."""
        ages = self.history.ages
        return np.minimum(ages, self.longest).astype(np.float32), np.asarray(ages < self.longest)

    def matrix(self, fade: AgeDecay, n_items: int, present: Bool | None = None) -> sparse.csr_matrix:
        """float32 CSR[B, n_items] of `weights`, repeats added up; items that are not ``present`` weigh nothing."""
        weights = self.weights(fade)
        if present is not None:
            weights = weights * present[self.history.items]
        shape = (len(self.history), n_items)
        return sparse.csr_matrix((weights, (self.history.rows, self.history.items)), shape=shape)

    def row(self, index: int) -> HistoryWeights:
        """The evidence of one query."""
        low, high = self.history.indptr[index], self.history.indptr[index + 1]
        return replace(self, history=self.history.slice(index, index + 1), relevance=self.relevance[low:high])

    def slice(self, start: int, stop: int) -> HistoryWeights:
        """The evidence of queries ``start:stop``."""
        low, high = self.history.indptr[start], self.history.indptr[stop]
        return replace(self, history=self.history.slice(start, stop), relevance=self.relevance[low:high])

    def ignore(self, item: int) -> HistoryWeights:
        """The same evidence without ``item``; it stays in the history, so it is still not recommended."""
        kept = np.where(self.history.items == item, np.float32(0.0), self.relevance)
        return replace(self, relevance=kept.astype(np.float32))
