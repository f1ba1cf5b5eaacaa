"""A router and its estimator for suites: the core has none of its own."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from reasonrec_core.components import Empty, UncertaintyEstimator
from reasonrec_core.routing import CalibrationData, LearnedScores, Router, RouterConfig, Signals, signal, single
from reasonrec_core.types import Deliberation, Float64, Observation, QueryBatch, Uncertainty


class ToyEstimator(UncertaintyEstimator[Empty]):
    """How little is known of the user."""

    stage: ClassVar[str] = "before"

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """The evidence horizon."""
        return Uncertainty(observation.horizon, self.stage)


class ToyRouter(Router[RouterConfig]):
    """One delegate, first where the first estimator is least sure; nothing is learned."""

    Config = RouterConfig

    def learn(self, data: CalibrationData) -> LearnedScores:
        """The delegate."""
        return LearnedScores((data.choose(self.config.delegate),), self.score(data.signals), state={})

    def score(self, signals: Signals) -> Float64:
        """float64[B, 1]: the estimator's uncertainty."""
        return single(signal(signals, self.columns[0]).total.astype(np.float64))[:, None]

    @property
    def columns(self) -> tuple[str, ...]:
        """The first estimator."""
        return self.config.estimators[:1]
