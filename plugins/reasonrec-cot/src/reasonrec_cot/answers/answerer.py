"""What all ways to answer share: texts read up to the answer go in, scores of real items come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Bool, Float32, QueryBatch
from reasonrec_cot.backbone.kv_cache import Reading

Names = Sequence[Sequence[str]]
"""Per query what each of its candidates is called in an answer: labels of a list, or items' names."""


@dataclass(frozen=True)
class ItemScores:
    """Scores of items, and how likely each is the answer.

    Attributes:
        scores: float32[B, W], W = C candidates or all items; -inf for what may not or could not be answered.
        mass: float32[B, W], P(answer); a row sums to at most 1, and to 1 where nothing was left out.
    """

    scores: Float32
    mass: Float32


class Answerer(Protocol):
    """Turns what was read into scores. Items outside the candidates (or the catalogue) have no score at all, and
    padding and, for `Task.SEQUENTIAL`, the history have -inf: what does not exist cannot be answered."""

    def answer(self, reading: Reading, batch: QueryBatch) -> ItemScores:
        """Score ``batch``'s candidates, or the whole catalogue where it has none.

        Args:
            reading: B texts up to where the answer is said; as they were, afterwards.
            batch: the same B queries.
        """


def allowed(batch: QueryBatch, n_items: int) -> Bool:
    """bool[B, C or n_items]: what may be answered; a candidate that is listed twice counts once, the first time."""
    if batch.candidates is None:
        free = np.ones((len(batch), n_items), np.bool_)
        free[batch.history.rows, batch.history.items] = False
        return free
    free = batch.candidates >= 0
    for row, listed in enumerate(batch.candidates):
        first = np.zeros(len(listed), np.bool_)
        first[np.unique(listed, return_index=True)[1]] = True
        free[row] &= first
    return free


def softmax(scores: npt.NDArray[np.floating], temperature: float = 1.0) -> Float32:
    """float32[B, W]: each row's softmax; -inf has none, a row without a finite score is 0."""
    best = scores.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp((scores.astype(np.float64) - np.where(np.isfinite(best), best, 0.0)) / temperature)
    total = weights.sum(axis=1, keepdims=True)
    shares = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return np.asarray(shares, dtype=np.float32)
