"""What a router makes of a batch, worked out once: a single request must not pay twice for the same model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Float32, Float64

Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Judged:
    """B queries.

    Attributes:
        order: float64[B] what the cut is on; the larger, the sooner a delegate answers.
        who: str[B] the delegate that answers if one does.
        risk: float32[B] P(the policy's answer is worse than that delegate's).
        gain: float32[B] what a share is ordered by.
        scores: float64[B, D] of each delegate, the larger the better; in the order of ``delegates``.
        delegates: whom queries may go to.
        others: further delegates for when those fail, the best first.
    """

    order: Float64
    who: Names
    risk: Float32
    gain: Float32
    scores: Float64
    delegates: tuple[str, ...]
    others: tuple[str, ...] = ()

    def after(self, row: int) -> tuple[str, ...]:
        """Who answers query ``row`` if its delegate fails, then if that one fails, and so on."""
        best = [self.delegates[column] for column in np.argsort(-self.scores[row], kind="stable")]
        return tuple(label for label in (*best, *self.others) if label != self.who[row])
