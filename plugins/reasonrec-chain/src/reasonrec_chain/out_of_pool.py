"""How likely the next item is outside the pool, and where it is then: what makes the masses a distribution.

The gates are fitted to ranks, so the mass that their mixture leaves the pool is no probability. Its log-odds are mapped
to those with which validation targets were outside: Platt scaling (1999) with the evidence horizon as second variable.
Outside, items are chosen as the sequence expert and popularity have it, in shares of greatest likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reasonrec_chain.item_cache import ItemCache
from reasonrec_chain.propose import SEQUENCE
from reasonrec_core.types import Bool, Float32, Float64, Int32, QueryBatch

if TYPE_CHECKING:
    from reasonrec_chain.model import ChainModel

LEAST = 1e-4
"""Probabilities within and outside the pool, at least, wherever there is an item."""
CAUTION = 0.1
"""How many squared units of each coefficient cost as much as a nat of likelihood: few pairs change little."""
ROUNDS = 50
EVEN = 0.5
"""The sequence expert's share where no pair tells."""


@dataclass(frozen=True)
class OutOfPool:
    """P(outside the pool) and the shares outside it.

    Attributes:
        bias, slope, horizon: ``log-odds = bias + slope * log-odds of what the mixture leaves + horizon * C(u)``; by
            default what the mixture says.
        sequence: share of the sequence expert's choice among the items outside; the rest is popularity's.
    """

    bias: float = 0.0
    slope: float = 1.0
    horizon: float = 0.0
    sequence: float = EVEN

    @classmethod
    def fit(cls, inside: Float32, horizon: Float32, outside: Bool, sequence: Float64, popularity: Float64) -> OutOfPool:
        """Learn from P validation pairs that had items outside the pool.

        Args:
            inside: float32[P], the mixture's mass of the pool.
            horizon: float32[P].
            outside: bool[P], whether the target was not in it.
            sequence, popularity: float64[O] of the O pairs outside, the target's probability among items outside.
        """
        from scipy.optimize import minimize  # half a second, which answering need not wait for

        if not len(outside):
            return cls()
        known, start = np.stack([np.ones(len(outside)), _odds(inside), horizon], axis=1), np.array([0.0, 1.0, 0.0])
        sign = np.where(outside, 1.0, -1.0)

        def cost(point: Float64) -> tuple[float, Float64]:
            margin, away = sign * (known @ point), point - start
            slopes = -(sign / (1 + np.exp(np.clip(margin, -60, 60)))) @ known
            return float(np.logaddexp(0, -margin).sum() + CAUTION * away @ away), slopes + 2 * CAUTION * away

        bias, slope, last = map(float, minimize(cost, start, jac=True, method="L-BFGS-B").x)
        return cls(bias, slope, last, _share(sequence, popularity))

    def __call__(self, inside: Float32, horizon: Float32) -> Float32:
        """float32[B]: P(outside), given that there are items outside."""
        if self == OutOfPool(sequence=self.sequence):
            return np.asarray(1 - inside, np.float32)
        odds = self.bias + self.slope * _odds(inside) + self.horizon * horizon
        found = 1 / (1 + np.exp(-np.clip(odds, -60, 60)))
        return np.asarray(np.clip(found, LEAST, 1 - LEAST), np.float32)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> OutOfPool:
        """From what `to_dict` gave."""
        return cls(**{name: float(value) for name, value in stored.items()})

    def to_dict(self) -> dict[str, float]:
        """As JSON values."""
        return {"bias": self.bias, "slope": self.slope, "horizon": self.horizon, "sequence": self.sequence}


def _odds(inside: Float32) -> Float64:
    """float64[B]: the log-odds of what is left."""
    left = np.clip(1 - inside.astype(np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(left / (1 - left)))


def _share(sequence: Float64, popularity: Float64) -> float:
    """The mixture weight of greatest likelihood (expectation-maximisation), drawn to even by a pair of each."""
    share = EVEN
    for _ in range(ROUNDS if len(sequence) else 0):
        mine, other = share * sequence, (1 - share) * popularity
        share = float((mine / np.maximum(mine + other, 1e-300)).sum() + 1) / (len(sequence) + 2)
    return share


@dataclass(frozen=True)
class OutOfPoolShares:
    """P(item | outside the pool) of B queries; 0 in the pool and for what may not be recommended.

    Attributes:
        sequence: float32[B, n], as the trained network sees it; None where it is not asked.
        popularity: float32[B, n].
    """

    sequence: Float32 | None
    popularity: Float32

    @classmethod
    def of(
        cls, model: ChainModel, cache: ItemCache, batch: QueryBatch, states: Float32, pool: Int32
    ) -> OutOfPoolShares:
        """For one chunk of queries with their states and int32[B, C] pools, -1 padded."""
        row, column = np.nonzero(pool >= 0)
        gone = np.zeros((len(batch), cache.n_items), np.bool_)
        gone[row, pool[row, column]] = True
        gone[batch.history.rows, batch.history.items] = True
        prior = np.tile(model.experts.popularity, (len(batch), 1))
        prior[gone] = 0.0
        prior /= np.maximum(prior.sum(axis=1, keepdims=True), np.float32(1e-30))
        if SEQUENCE not in model.experts.names:
            return cls(None, prior)
        logits = cache.logits(states, np.empty((len(batch), cache.n_items), np.float32))
        logits[gone] = -np.inf
        top = logits.max(axis=1, keepdims=True, initial=-np.inf)
        found = np.exp(logits - np.where(np.isfinite(top), top, np.float32(0)))
        return cls(found / np.maximum(found.sum(axis=1, keepdims=True), np.float32(1e-30)), prior)

    def mixed(self, share: float) -> Float32:
        """float32[B, n]: the sequence expert's in ``share``, the rest popularity's."""
        if self.sequence is None:
            return self.popularity
        return np.asarray(np.float32(share) * self.sequence + np.float32(1 - share) * self.popularity)
