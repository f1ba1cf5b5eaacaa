"""What confidence to write: how often such answers were right on data that nothing was fitted on."""

from __future__ import annotations

import numpy as np
from sklearn.isotonic import IsotonicRegression

from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Float32

LOWEST, HIGHEST = 0.01, 0.99
FEWEST = 20


class HeldOutAccuracy:
    """From a signal (the probability of the answer, a margin) to the share of right answers, without a way back.

    Confidence targets for tuning are held-out accuracy, never 1 for whatever is in the training data: a model that
    always reads 1 learns to write 1. Isotonic regression; between bounds that leave room for being wrong.
    """

    def __init__(self, signal: Float32, right: Bool) -> None:
        """Fit on held-out answers: ``signal`` float32[N], higher = surer; ``right`` bool[N].

        Raises:
            DataError: fewer than 20 answers.
        """
        if len(signal) < FEWEST:
            raise DataError(f"{len(signal)} held-out answers are too few to learn a confidence", fix="At least 20.")
        self._curve = IsotonicRegression(y_min=LOWEST, y_max=HIGHEST, out_of_bounds="clip")
        self._curve.fit(np.asarray(signal, np.float64), np.asarray(right, np.float64))

    def __call__(self, signal: Float32) -> Float32:
        """float32[B] in [0.01, 0.99]: the confidence to write."""
        return np.asarray(self._curve.predict(np.asarray(signal, np.float64)), np.float32)
