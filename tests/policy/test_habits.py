"""The policy of known uncertainty, and estimators that ask the policy more than its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import DistributionPolicy, Empty, FitData, StochasticPolicy, UncertaintyEstimator
from reasonrec_core.errors import PluginError
from reasonrec_core.testing import UncertaintyConformance
from reasonrec_core.testing.habits import Habits, habits
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import Deliberation, Observation, QueryBatch, Uncertainty


def test_its_draws_are_around_its_distribution(tmp_path: Path) -> None:
    data = tiny(tmp_path)
    policy, batch = habits(data.fit), data.test.queries
    assert isinstance(policy, DistributionPolicy)
    assert isinstance(policy, StochasticPolicy)
    seen = data.observation(batch)
    whole = policy.distribution(batch, seen)
    items = policy.deliberate(batch, seen).ranking.items
    drawn = policy.samples(batch, seen, items, 2000, 0).mean(axis=0)
    expected = np.where(items < 0, 0, np.take_along_axis(whole, np.maximum(items, 0), axis=1))
    np.testing.assert_allclose(drawn, expected, atol=0.012)


class Surprise(UncertaintyEstimator[Empty]):
    """1 - P(best), asked of the policy itself."""

    Config = Empty
    policy: Habits | None = None

    def attach(self, policy: Any) -> None:
        if not isinstance(policy, DistributionPolicy):
            raise PluginError("no distribution")
        self.policy = policy  # type: ignore[assignment]

    def fit(self, data: FitData) -> None:
        assert self.policy is not None, "attached before the fit"

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        assert self.policy is not None, "attached after loading"
        return Uncertainty(1 - self.policy.distribution(batch, observation).max(axis=1), self.stage)


class TestSurprise(UncertaintyConformance):
    component = Surprise
