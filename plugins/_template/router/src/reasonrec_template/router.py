"""A router: what a delegate's answer to a request is worth. The core places the threshold and learns confidence."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from reasonrec_core.routing import (
    CalibrationData,
    LearnedScores,
    Router,
    RouterConfig,
    RouterState,
    Signals,
    signal,
    single,
)
from reasonrec_core.types import Float64

HORIZON = "evidence-horizon"


class TemplateConfig(RouterConfig):
    """What a pipeline file may set, besides what all routers share."""

    groups: int = Field(4, ge=1, description="Groups of users, by how little is known about them.")


class TemplateState(RouterState):
    """What it learns: the evidence horizons between groups, and the mean gain of each."""

    edges: tuple[float, ...]
    gains: tuple[float, ...]


class Template(Router[TemplateConfig]):
    """One delegate, first where its answers to users of whom as little is known lost least on validation."""

    Config = TemplateConfig
    State = TemplateState

    def learn(self, data: CalibrationData) -> LearnedScores:
        """The mean difference in quality to the policy, group by group."""
        delegate, horizon = data.choose(self.config.delegate), signal(data.signals, HORIZON).total
        edges = np.unique(np.quantile(horizon, np.arange(1, self.config.groups) / self.config.groups))
        group, difference = np.searchsorted(edges, horizon), data.gains((delegate,))[:, 0]
        count = np.bincount(group, minlength=len(edges) + 1)
        gains = np.bincount(group, difference, len(edges) + 1) / np.maximum(count, 1)
        learned = {"edges": tuple(edges.tolist()), "gains": tuple(gains.tolist())}
        return LearnedScores((delegate,), single(gains[group])[:, None], state=learned)

    def score(self, signals: Signals) -> Float64:
        """float64[B, 1]: the mean gain of the request's group."""
        group = np.searchsorted(np.array(self.state.edges), signal(signals, HORIZON).total)
        return single(np.array(self.state.gains)[group])[:, None]

    @property
    def columns(self) -> tuple[str, ...]:
        """The evidence horizon."""
        return (HORIZON,)
