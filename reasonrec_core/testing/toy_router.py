"""A router for suites: the core has none of its own."""

from __future__ import annotations

import numpy as np

from reasonrec_core.routing import CalibrationData, LearnedScores, Router, RouterConfig, Signals, signal, single
from reasonrec_core.types import Float64

HORIZON = "evidence-horizon"


class ToyRouter(Router[RouterConfig]):
    """One delegate, first where least is known of the user; nothing is learned."""

    Config = RouterConfig

    def learn(self, data: CalibrationData) -> LearnedScores:
        """The delegate."""
        return LearnedScores((data.choose(self.config.delegate),), self.score(data.signals), state={})

    def score(self, signals: Signals) -> Float64:
        """float64[B, 1]: the evidence horizon's uncertainty."""
        return single(signal(signals, HORIZON).total.astype(np.float64))[:, None]

    @property
    def columns(self) -> tuple[str, ...]:
        """The evidence horizon."""
        return (HORIZON,)
