"""What a router is fitted to, as plain arrays: the pipeline's validation answers, or those that a trace recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_core.routing.signals import Signals, take_signals
from reasonrec_core.types import Bool, Float64, Int64

EXPLORED = 0.5
"""The share at which a router is looked at while the share that it is to have is not known."""


class AskingCosts(BaseModel):
    """Seconds of one request, asked by itself on this machine.

    Attributes:
        policy: of the policy's answer.
        delegates: of each delegate's answer.
        share: of requests that delegates answer, for which it is judged what is worth its time; that of the goal
            where None.
    """

    model_config = ConfigDict(frozen=True)

    policy: float
    delegates: dict[str, float]
    share: float | None = Field(None, exclude=True)

    def at(self, share: float) -> Self:
        """The same, judged for a share."""
        return self.model_copy(update={"share": share})


@dataclass(frozen=True)
class ConsultedAnswers:
    """What the policy's answers were worth that it gave with the delegates' in view.

    Attributes:
        asked: bool[B], which queries it was asked about again; what else is here holds for those alone.
        quality: float64[B], such as NDCG@10.
        hit: bool[B], whether the target is among the ten best.
    """

    asked: Bool
    quality: Float64
    hit: Bool

    def take(self, index: npt.NDArray[np.intp] | Bool) -> Self:
        """The queries that ``index`` (positions or a mask) selects."""
        return replace(self, asked=self.asked[index], quality=self.quality[index], hit=self.hit[index])


@dataclass(frozen=True)
class CalibrationData:
    """B validation queries that the policy and every delegate answered; test queries must never come here.

    Attributes:
        policy: its label.
        signals: all that a router may look at or learn from: estimators' values and its kind's `AnswerFeatures`.
        quality: system -> float64[B], such as NDCG@10.
        hit: system -> bool[B], whether the target is among the ten best; a system without it has no confidence.
        keys: int64[B] a number per query (its user) that breaks ties.
        costs: of asking, None where they were not measured.
        consulted: what consulting delegates came to, None where nobody was asked.
    """

    policy: str
    signals: Signals
    quality: Mapping[str, Float64]
    hit: Mapping[str, Bool]
    keys: Int64
    costs: AskingCosts | None = None
    consulted: ConsultedAnswers | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, index: npt.NDArray[np.intp] | Bool) -> Self:
        """The queries that ``index`` (positions or a mask) selects."""
        return replace(
            self,
            signals=take_signals(self.signals, index),
            quality={name: value[index] for name, value in self.quality.items()},
            hit={name: value[index] for name, value in self.hit.items()},
            keys=self.keys[index],
            consulted=None if self.consulted is None else self.consulted.take(index),
        )

    def at(self, share: float) -> Self:
        """The same; what is worth its time is judged for this share, whatever share a router is for."""
        return self if self.costs is None else replace(self, costs=self.costs.at(share))

    @property
    def delegates(self) -> tuple[str, ...]:
        """Their labels."""
        return tuple(label for label in self.quality if label != self.policy)

    def choose(self, wanted: str) -> str:
        """The named delegate, or for "best" the one that is best on average."""
        if not self.delegates:
            raise ConfigError("there is no delegate to route to", where="router.delegate", fix="Configure a delegate.")
        if wanted == "best":
            return max(sorted(self.delegates), key=lambda name: float(np.mean(self.quality[name])))
        if wanted not in self.delegates:
            fix = did_you_mean(wanted, (*self.delegates, "best"))
            raise ConfigError(f"unknown delegate {wanted!r}", where="router.delegate", fix=fix)
        return wanted

    def others(self, but: Collection[str]) -> tuple[str, ...]:
        """All other delegates, the best on average first."""
        left = sorted(set(self.delegates) - set(but))
        return tuple(sorted(left, key=lambda label: -float(np.mean(self.quality[label]))))

    def mean_quality(self) -> dict[str, float]:
        """Of the policy ("policy") and of every delegate."""
        mine = {"policy": self.quality[self.policy], **{label: self.quality[label] for label in self.delegates}}
        return {label: float(np.mean(values)) for label, values in mine.items()}

    def gains(self, delegates: Sequence[str]) -> Float64:
        """float64[B, D]: quality of each delegate's answer minus the policy's."""
        return np.stack([self.quality[label] - self.quality[self.policy] for label in delegates], axis=1)
