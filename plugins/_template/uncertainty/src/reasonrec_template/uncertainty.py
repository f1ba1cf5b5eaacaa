"""An uncertainty estimator: how unsure the policy is, before or after it answers."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from reasonrec_core.components import Settings, UncertaintyEstimator
from reasonrec_core.types import Deliberation, Observation, QueryBatch, Uncertainty


class TemplateConfig(Settings):
    """What a pipeline file may set."""

    top: int = Field(3, ge=1, description="How many ranked items count as the list.")


class Template(UncertaintyEstimator[TemplateConfig]):
    """One minus the probability mass of the first ``top`` items; one where the policy states none."""

    Config = TemplateConfig
    stage = "after"

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """float32[B] in [0, 1]."""
        if deliberation is None or deliberation.mass is None:
            return Uncertainty(np.ones(len(batch), dtype=np.float32), self.stage)
        inside = deliberation.mass[:, : self.config.top].sum(axis=1, dtype=np.float64)
        return Uncertainty(np.clip(1 - inside, 0, 1).astype(np.float32), self.stage)
