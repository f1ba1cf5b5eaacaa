"""Confidence that follows what happens: corrected by the outcomes of earlier answers."""

from __future__ import annotations

import numpy as np

from reasonrec_core.routing.calibration import log_odds
from reasonrec_core.routing.logistic import sigmoid
from reasonrec_core.types import Float64

SLOPE, SHIFT = 0.1, 0.25
"""Standard deviations of the prior: how far hit rates are thought to move after validation, in log-odds."""


class OnlineCalibration:
    """``sigmoid(slope * logit(p) + shift)`` of a confidence p, learned one outcome at a time.

    Slope and shift have a normal prior around 1 and 0; each outcome moves them by one step of an extended Kalman filter
    for logistic regression (a Newton step on its posterior; online Platt scaling, Gupta and Ramdas, ICML 2023, has the
    same map). Without outcomes confidences stay as they are.

    Attributes:
        slope, shift: of the log-odds.
        outcomes: how many were learned.
        expected, happened: the mean of their confidences as they were corrected, and how many came true.
    """

    def __init__(self) -> None:
        self.outcomes, self.happened, self.expected = 0, 0, 0.0
        self._mode = np.array([1.0, 0.0])
        self._covariance = np.diag([SLOPE**2, SHIFT**2])

    @property
    def slope(self) -> float:
        """Of the log-odds."""
        return float(self._mode[0])

    @property
    def shift(self) -> float:
        """Of the log-odds."""
        return float(self._mode[1])

    def __call__(self, confidence: float) -> float:
        """The corrected one; both in [0, 1]."""
        if not self.outcomes:
            return confidence
        odds: Float64 = self.slope * log_odds(np.asarray(confidence, np.float64)) + self.shift
        return float(sigmoid(odds))

    def update(self, confidence: float, happened: bool) -> None:
        """Learn that what was stated (before correction) as ``confidence`` happened or not."""
        corrected = self(confidence)
        self.expected += (corrected - self.expected) / (self.outcomes + 1)
        point = np.array([float(log_odds(np.asarray(confidence, np.float64))), 1.0])
        spread = self._covariance @ point
        weight = corrected * (1 - corrected)
        self._covariance -= np.outer(spread, spread) * weight / (1 + weight * float(point @ spread))
        self._mode = self._mode + self._covariance @ point * (float(happened) - corrected)
        self.outcomes, self.happened = self.outcomes + 1, self.happened + happened
