"""A curriculum over the users of a training set: what `reasonrec_core.curriculum` says, as exposures of sequences."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from reasonrec_chain.windows import Exposure
from reasonrec_core.curriculum import UNLIMITED, CurriculumConfig, history_limit, sampling_probability
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32, Int64

PARTS = 5
"""Parts of an epoch: how often a curriculum looks at the progress. More of them make shorter parts, which pad more."""


class Curriculum:
    """A curriculum over the users of a training set.

    Args:
        config: which.
        horizon: float32[n_users] evidence horizon of the training histories.
        users: int64[S], the users who have something to learn from; pools are shares of these. None: all.
    """

    def __init__(self, config: CurriculumConfig, horizon: Float32, users: Int64 | None = None) -> None:
        self.config = config
        self._users = np.arange(len(horizon)) if users is None else users
        self._all, self._horizon = len(horizon), horizon[self._users]

    def epoch(self, epoch: int, epochs: int, rng: np.random.Generator) -> list[Exposure]:
        """What the parts of the epoch numbered ``epoch`` (from 0) show."""
        if self.config.kind == "none":
            return [Exposure()]
        return [self.exposure((epoch + part / PARTS) / epochs, rng) for part in range(PARTS)]

    def exposure(self, progress: float, rng: np.random.Generator) -> Exposure:
        """Who is shown, and how much of them, at a point of the training."""
        if self.config.kind == "truncation":
            limit = np.full(self._all, UNLIMITED, np.int64)
            draws = rng.random(len(self._users), dtype=np.float32)
            limit[self._users] = history_limit(self.config, self._horizon, progress, draws)
            return Exposure(limit=limit)
        probability = np.zeros(self._all, np.float32)
        probability[self._users] = sampling_probability(self.config, self._horizon, progress)
        return Exposure(probability)

    @cached_property
    def digest(self) -> str:
        """Of the settings and the users."""
        return content_hash(self.config.model_dump(mode="json"), self._users.tobytes(), self._horizon.tobytes())

    def summary(self) -> dict[str, Any]:
        """JSON values: the kind, and the share of the users who are warm, medium and cold."""
        low, high = self.config.thresholds
        warm, cold = float((self._horizon < low).mean()), float((self._horizon > high).mean())
        return {"kind": self.config.kind, "warm": warm, "medium": 1 - warm - cold, "cold": cold}
