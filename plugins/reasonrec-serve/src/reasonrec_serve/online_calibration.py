"""Confidence that follows what happens: corrected by the outcomes of earlier answers."""

from __future__ import annotations

import numpy as np

from reasonrec_core.routing.calibration import log_odds
from reasonrec_core.routing.logistic import sigmoid
from reasonrec_core.types import Float64

SLOPE, SHIFT, BEND = 0.1, 0.25, 0.1
"""Standard deviations of the prior: how far hit rates are thought to move after validation, in log-odds."""
KNOTS = np.array([-4.0, -3.0, -2.5, -2.0, -1.5, -1.0, 0.0, 1.0])
"""Log-odds at which the correction may bend."""


class OnlineCalibration:
    """``sigmoid(slope * x + shift + bends(x))`` of a confidence with log-odds x, learned one outcome at a time.

    The bends are piecewise linear between `KNOTS` and flat outside: what was fitted to validation may state too much of
    some confidences and too little of others, as where isotonic regression made one value of many. All parameters have
    a normal prior around what changes nothing; each outcome moves them by one step of an extended Kalman filter for
    logistic regression (a Newton step on its posterior; online Platt scaling, Gupta and Ramdas, ICML 2023, has the
    slope and the shift). Without outcomes confidences stay as they are.

    Attributes:
        slope, shift: of the log-odds.
        bends: at the knots, float64[K].
        outcomes: how many were learned.
        expected, happened: the mean of their confidences as they were corrected, and how many came true.
    """

    def __init__(self) -> None:
        self.outcomes, self.happened, self.expected = 0, 0, 0.0
        self._mode = np.concatenate([[1.0, 0.0], np.zeros(len(KNOTS))])
        self._covariance = np.diag([SLOPE**2, SHIFT**2, *[BEND**2] * len(KNOTS)])

    @property
    def slope(self) -> float:
        """Of the log-odds."""
        return float(self._mode[0])

    @property
    def shift(self) -> float:
        """Of the log-odds."""
        return float(self._mode[1])

    @property
    def bends(self) -> Float64:
        """float64[K]: added to the log-odds at `KNOTS`."""
        return self._mode[2:]

    def __call__(self, confidence: float) -> float:
        """The corrected one; both in [0, 1]."""
        if not self.outcomes:
            return confidence
        return float(sigmoid(describe_confidence(confidence) @ self._mode))

    def update(self, confidence: float, happened: bool) -> None:
        """Learn that what was stated (before correction) as ``confidence`` happened or not."""
        corrected = self(confidence)
        self.expected += (corrected - self.expected) / (self.outcomes + 1)
        point = describe_confidence(confidence)
        spread = self._covariance @ point
        weight = corrected * (1 - corrected)
        self._covariance -= np.outer(spread, spread) * weight / (1 + weight * float(point @ spread))
        self._mode = self._mode + self._covariance @ point * (float(happened) - corrected)
        self.outcomes, self.happened = self.outcomes + 1, self.happened + happened


def describe_confidence(confidence: float) -> Float64:
    """float64[2 + K]: the log-odds, 1, and how near they are to each knot (linear between two, sum 1)."""
    odds = float(log_odds(np.asarray(confidence, np.float64)))
    after = int(np.searchsorted(KNOTS, odds))
    described = np.zeros(2 + len(KNOTS))
    described[:2] = odds, 1.0
    if 0 < after < len(KNOTS):
        part = (odds - KNOTS[after - 1]) / (KNOTS[after] - KNOTS[after - 1])
        described[1 + after], described[2 + after] = 1 - part, part
    else:
        described[2 + min(after, len(KNOTS) - 1)] = 1.0
    return described
