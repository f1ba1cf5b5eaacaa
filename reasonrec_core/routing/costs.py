"""What asking costs, measured: whether a look at delegates' answers saves more time than it takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

EXPLORED = 0.5
"""The share at which a router is looked at while the share that it is to have is not known."""


@dataclass(frozen=True)
class Costs:
    """Seconds of one request, asked by itself on this machine.

    Attributes:
        policy: of the policy's answer.
        delegates: of each delegate's answer and the clues that are read off it.
        share: of requests that delegates answer, for which it is judged what is worth its time; that of the goal
            where None.
    """

    policy: float
    delegates: Mapping[str, float]
    share: float | None = None

    def at(self, share: float) -> Self:
        """The same, judged for a share."""
        return replace(self, share=share)

    def affordable(self, asked: Collection[str], answers: str, share: float, overhead: float) -> bool:
        """Whether mean latency falls by ``(1 - overhead)`` times the share, if delegates are asked before deciding.

        Args:
            asked: who is asked about every request.
            answers: who answers most of those that are replaced.
            share: of those, unless the costs are judged for another.
            overhead: part of the policy's time that a replaced request may still cost.
        """
        if not asked:
            return True
        share = share if self.share is None else self.share
        first = sum(self.delegates[label] for label in asked)
        then = 0.0 if answers in asked else self.delegates[answers]
        return (1 - share) * first + share * (first + then) <= overhead * share * self.policy

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, without the share."""
        return {"policy": self.policy, "delegates": dict(self.delegates)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(float(value["policy"]), {label: float(each) for label, each in value["delegates"].items()})
