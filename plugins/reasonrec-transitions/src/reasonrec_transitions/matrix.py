"""Directed, decayed item-to-item transitions as a sparse matrix, recombined cheaply for any parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_core.types import Float32, History, Interactions


class TransitionParameters(NamedTuple):
    """What shapes the matrix ``M`` and the weights of a history.

    ``M[a, b] = (sum over pairs of decay^(|q - p| - 1), times backward where b came first)
    / (count(a)^source_exponent * count(b)^target_exponent)`` for a at position p, b at position q of one user's
    sequence and ``0 < |q - p| <= window``; ``score(i) = sum over the history of w(age) * M[item, i]
    + popularity * count(i) / max count`` with ``w(age) = (1 - long_share) * history_decay^age
    + long_share * long_decay^age``: what was just done, and what the user is like.
    """

    window: int
    decay: float
    backward: float
    source_exponent: float
    target_exponent: float
    history_decay: float
    long_share: float
    long_decay: float
    popularity: float


class TransitionCounts:
    """How often item b follows item a at each distance, counted once and then recombined.

    Args:
        train: interactions sorted by user, oldest first.
        n_items: size of the catalogue.
        window: the largest distance to count.
    """

    def __init__(self, train: Interactions, n_items: int, window: int) -> None:
        self.n_items = n_items
        self.counts = train.count_items(n_items)
        self.by_distance = [_pairs_at(train, n_items, distance) for distance in range(1, window + 1)]
        self._forward: tuple[tuple[int, float], Any] | None = None

    def forward(self, window: int, decay: float) -> sparse.csr_matrix:
        """float32 CSR[n_items, n_items]: decayed counts of "column follows row". The last answer is kept."""
        if self._forward is None or self._forward[0] != (window, decay):
            total = self.by_distance[0].copy()
            for distance, pairs in enumerate(self.by_distance[1:window], start=1):
                total = total + np.float32(decay**distance) * pairs
            self._forward = ((window, decay), total)
        return self._forward[1]

    def matrix(self, parameters: TransitionParameters) -> sparse.csr_matrix:
        """float32 CSR[n_items, n_items]: ``M`` as `TransitionParameters` defines it."""
        matrix = self.forward(parameters.window, parameters.decay)
        matrix = (matrix + np.float32(parameters.backward) * matrix.T).tocsr()
        seen = np.maximum(self.counts, 1.0)
        rows = np.repeat(seen**-parameters.source_exponent, np.diff(matrix.indptr))
        matrix.data = (matrix.data * rows * (seen**-parameters.target_exponent)[matrix.indices]).astype(np.float32)
        return matrix

    def prior(self, parameters: TransitionParameters) -> Float32:
        """float32[n_items]: the popularity term, which also orders the items that no transition reaches."""
        largest = max(float(self.counts.max(initial=0.0)), 1.0)
        return (self.counts * (parameters.popularity / largest)).astype(np.float32)


def weigh_history(history: History, n_items: int, parameters: TransitionParameters, longest: int) -> sparse.csr_matrix:
    """float32 CSR[B, n_items]: ``w(age)`` of the newest ``longest`` history items; repeats add up."""
    ages = history.ages
    recent = ages < longest
    weights = _by_age(ages[recent], parameters)
    rows, items = history.rows[recent], history.items[recent]
    return sparse.csr_matrix((weights, (rows, items)), shape=(len(history), n_items))


def weigh_entries(history: History, parameters: TransitionParameters, longest: int) -> Float32:
    """float32[L]: ``w(age)`` of every history entry, 0 of those older than the newest ``longest``."""
    ages = history.ages
    return np.where(ages < longest, _by_age(ages, parameters), np.float32(0))


def score_one_history(
    history: History, matrix: sparse.csr_matrix, parameters: TransitionParameters, longest: int
) -> Float32:
    """float32[1, n_items]: `weigh_history` of a single history times ``matrix``, to the last bit.

    A request that is answered alone would spend most of its time on making sparse matrices.
    """
    newest = history.items[max(len(history.items) - longest, 0) :]
    items, place = np.unique(newest, return_inverse=True)
    weights = np.zeros(len(items), np.float32)
    np.add.at(weights, place, _by_age(np.arange(len(newest))[::-1], parameters))
    starts = matrix.indptr[items]
    lengths = matrix.indptr[items + 1] - starts
    at = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    scores = np.zeros((1, matrix.shape[1]), np.float32)
    np.add.at(scores[0], matrix.indices[at], np.repeat(weights, lengths) * matrix.data[at])
    return scores


def _by_age(ages: npt.NDArray[np.int64], parameters: TransitionParameters) -> Float32:
    """``w(age)``, float32, of int64 ages."""
    age, share = ages.astype(np.float32), np.float32(parameters.long_share)
    weights = (1 - share) * np.float32(parameters.history_decay) ** age + share * parameters.long_decay**age
    return weights.astype(np.float32)


def _pairs_at(train: Interactions, n_items: int, distance: int) -> sparse.csr_matrix:
    """float32 CSR[n_items, n_items]: how often the column's item stands ``distance`` after the row's."""
    within: npt.NDArray[np.bool_] = train.users[:-distance] == train.users[distance:]
    source, target = train.items[:-distance][within], train.items[distance:][within]
    different = source != target
    source, target = source[different], target[different]
    ones = np.ones(len(source), dtype=np.float32)
    return sparse.csr_matrix((ones, (source, target)), shape=(n_items, n_items))
