"""What a router is fitted to, as plain arrays: the pipeline's validation answers, or those that a trace recorded."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing.signals import Signals, take_signals
from reasonrec_core.types import Bool, Float32, Float64, Int64, Ranking

EXPLORED = 0.5
"""The share at which a router is looked at while the share that it is to have is not known."""
EXPECTED = "expected:"
"""How a trace names, for each delegate, what its answer is expected to gain."""
DEPTH = 10
CHUNK = 1024


class AskingCosts(BaseModel):
    """Seconds of one request, asked by itself on this machine.

    Attributes:
        policy: of the policy's answer.
        delegates: of each delegate's answer and the features that are read off it.
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
        signals: all that a router may look at: estimators' values and features of answers.
        quality: system -> float64[B], such as NDCG@10.
        hit: system -> bool[B], whether the target is among the ten best; a system without it has no confidence.
        keys: int64[B] a number per query (its user) that breaks ties.
        costs: of asking, None where they were not measured.
        expected: delegate -> float64[B], what its answer is expected to gain (`expected_gain`); None where the policy
            does not say how likely its items are.
        consulted: what consulting delegates came to, None where nobody was asked.
    """

    policy: str
    signals: Signals
    quality: Mapping[str, Float64]
    hit: Mapping[str, Bool]
    keys: Int64
    costs: AskingCosts | None = None
    expected: Mapping[str, Float64] | None = None
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
            expected=None if self.expected is None else {n: value[index] for n, value in self.expected.items()},
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
            near = difflib.get_close_matches(wanted, self.delegates, n=1)
            names = ", ".join(sorted(self.delegates))
            hint = f"Did you mean {near[0]!r}?" if near else f"Delegates: {names}, or 'best'."
            raise ConfigError(f"unknown delegate {wanted!r}", where="router.delegate", fix=hint)
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

    def expected_gains(self, delegates: Sequence[str]) -> Float64 | None:
        """float64[B, D]: what each delegate's answer is expected to gain; None where that is not known of all."""
        known = self.expected or {}
        if not set(delegates) <= set(known):
            return None
        return np.stack([known[label] for label in delegates], axis=1)


def expected_gain(policy: Ranking, masses: Float32, delegate: Ranking, depth: int = DEPTH) -> Float64:
    """float64[B]: expected NDCG of the delegate's answer minus the policy's, for one target per query.

    The quality of one answer to one query is nearly all chance: most targets are in nobody's list. Where the policy
    says how likely each item is, the difference between two lists can be stated without waiting for the target, as its
    expectation: far less noisy, and blind only where the policy is. Soft labels of a teacher in place of hard ones, as
    in distillation (Hinton, Vinyals and Dean, 2015). Whether it is the better teacher is measured on validation.
    Rounded as a trace holds it (`encode_gain`), so that a router that a replay fits anew is the same.

    Args:
        policy: its answers.
        masses: float32[B, K], P(target) of each of its items.
        delegate: answers to the same queries. What the policy does not list counts as impossible.
        depth: of the NDCG.
    """
    discount = 1 / np.log2(np.arange(2, depth + 2))
    known = np.where(policy.items >= 0, masses, 0.0).astype(np.float64)
    own = (known[:, :depth] * discount[: known.shape[1]]).sum(axis=1)
    theirs = np.empty(len(own))
    top = delegate.items[:, :depth]
    for start in range(0, len(own), CHUNK):
        rows = slice(start, start + CHUNK)
        same = (top[rows, :, None] == policy.items[rows, None, :]) & (top[rows, :, None] >= 0)
        theirs[rows] = ((same * known[rows, None, :]).sum(axis=2) * discount[: top.shape[1]]).sum(axis=1)
    return decode_gain(encode_gain(theirs - own))


def encode_gain(gains: Float64) -> Float32:
    """float32[B] in [0, 1] for float64[B] in [-1, 1]; `decode_gain` turns it back."""
    return (0.5 + 0.5 * gains).astype(np.float32)


def decode_gain(values: Float32) -> Float64:
    """float64[B] in [-1, 1] for what `encode_gain` gave."""
    return 2.0 * values.astype(np.float64) - 1.0
