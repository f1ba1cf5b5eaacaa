"""Is a confidence what it says? Reliability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Float64, Int64

ECE_BINS = 15
"""Bins of the expected calibration error, as in Guo et al. (ICML 2017)."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram as numbers, one entry per bin; empty bins hold NaN and count 0.

    Attributes:
        low, high: float64[M] smallest and largest confidence the bin is for (equal mass: that it holds).
        count: int64[M] answers in the bin.
        confidence: float64[M] their mean confidence.
        accuracy: float64[M] the share of them that was right.
    """

    low: Float64
    high: Float64
    count: Int64
    confidence: Float64
    accuracy: Float64

    @property
    def ece(self) -> float:
        """Expected calibration error: sum over bins of n_b / N * |accuracy_b - confidence_b|."""
        filled = self.count > 0
        gap = np.abs(self.accuracy - self.confidence)[filled]
        return float((gap * self.count[filled]).sum() / self.count.sum())


def bin_of(confidence: Float64, bins: int, kind: str = "width") -> Int64:
    """int64[B]: the bin of each confidence in [0, 1].

    Args:
        confidence: float64[B].
        bins: how many.
        kind: ``"width"``: ((m - 1) / M, m / M], the first also holding 0; ``"mass"``: equally many answers in each,
            equal confidences always together.
    """
    if kind == "width":
        place = np.ceil(confidence * bins).astype(np.int64) - 1
    elif kind == "mass":
        n = len(confidence)
        _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
        middle = np.cumsum(counts) - (counts + 1) / 2.0
        place = ((middle + 0.5) * bins / n).astype(np.int64)[inverse]
    else:
        raise ValueError(f"kind must be 'width' or 'mass', not {kind!r}")
    return np.clip(place, 0, bins - 1)


def reliability(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = ECE_BINS, kind: str = "width"
) -> Reliability:
    """Compare confidence with accuracy, bin by bin.

    Args:
        confidence: [B] in [0, 1].
        correct: [B] 0 or 1 (or the probability of being right).
        bins: how many.
        kind: see `bin_of`.
    """
    stated, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if stated.shape != right.shape or stated.ndim != 1 or not len(stated):
        raise ValueError(f"confidence {stated.shape} and correct {right.shape} must be equally long, not empty")
    if not ((stated >= 0) & (stated <= 1)).all():
        raise ValueError("a confidence is not in [0, 1]")
    place = bin_of(stated, bins, kind)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(place, stated, bins) / count
        accuracy = np.bincount(place, right, bins) / count
    if kind == "width":
        edges = np.arange(bins + 1) / bins
        return Reliability(edges[:-1], edges[1:], count, mean, accuracy)
    low, high = np.full(bins, np.inf), np.full(bins, -np.inf)
    np.minimum.at(low, place, stated)
    np.maximum.at(high, place, stated)
    empty = count == 0
    low[empty] = high[empty] = np.nan
    return Reliability(low, high, count, mean, accuracy)
