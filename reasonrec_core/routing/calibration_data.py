"""What a router learns from, as plain arrays: the pipeline's validation answers, or those that a trace recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.costs import Costs
from reasonrec_core.routing.router import Router
from reasonrec_core.routing.threshold import Signals
from reasonrec_core.types import Bool, Float64, Int64


@dataclass(frozen=True)
class Evidence:
    """B validation queries that the policy and every delegate answered.

    Attributes:
        policy: its label.
        signals: all that a router may look at.
        quality: system -> float64[B], such as NDCG@10.
        hit: system -> bool[B], whether the target is among the ten best.
        keys: int64[B] what breaks ties.
        costs: of asking, None where they were not measured.
        expected: delegate -> float64[B], what its answer is expected to gain (`regret.expected_gain`); None where the
            policy does not say how likely its items are.
    """

    policy: str
    signals: Signals
    quality: Mapping[str, Float64]
    hit: Mapping[str, Bool]
    keys: Int64
    costs: Costs | None = None
    expected: Mapping[str, Float64] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, index: npt.NDArray[np.intp] | Bool) -> Evidence:
        """The queries that ``index`` (positions or a mask) selects."""
        return Evidence(
            self.policy,
            {name: value.take(index) for name, value in self.signals.items()},
            {name: value[index] for name, value in self.quality.items()},
            {name: value[index] for name, value in self.hit.items()},
            self.keys[index],
            self.costs,
            None if self.expected is None else {name: value[index] for name, value in self.expected.items()},
        )

    def at(self, share: float) -> Evidence:
        """The same; what is worth its time is judged for this share, whatever share a router is for."""
        return self if self.costs is None else replace(self, costs=self.costs.at(share))


def fit_router(config: RouterConfig, evidence: Evidence, *, confident: bool = True) -> Router:
    """A router calibrated on ``evidence``; `Router.calibrate` says what is refused.

    Args:
        config: what is wanted.
        evidence: what is learned from.
        confident: whether it learns how sure answers are, which takes most of the time. Without that it decides as
            it would, but no confidence can be asked for, and nothing held back.
    """
    delegates = [label for label in evidence.quality if label != evidence.policy]
    wanted = [label for label in delegates if label == config.delegate] or delegates
    router = Router(config)
    router.calibrate(
        evidence.signals,
        evidence.quality[evidence.policy],
        {label: evidence.quality[label] for label in wanted},
        evidence.hit[evidence.policy] if confident else None,
        evidence.keys,
        {label: evidence.hit[label] for label in wanted} if confident else None,
        evidence.costs,
        evidence.expected,
    )
    router.hold_back(evidence.signals, evidence.keys)
    return router
