"""What was done with a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Bool, Deliberation, Float32, Ranking, Route

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Outcome:
    """What was done with a batch.

    Attributes:
        ranking: the answers; rows of padding where none is given.
        replaced: bool[B], True where a delegate answered.
        risk: float32[B] calibrated P(the policy is worse than the delegate); NaN without a router.
        confidence: float32[B] calibrated P(the target is in the top k); NaN without a router.
        uncertainty: per estimator float32[B], NaN where it was not needed.
        consulted: bool[B], True where policy and delegates answered together.
        abstained: bool[B], True where no answer is given.
        deliberated: positions of the queries that the policy deliberated on.
        deliberation: of those, or None where there were none.
        delegates: per query the delegate that answered, None where none did.
        why: gives the reason for a query's route, in words.
        seconds: for the whole batch.
        attempts: query -> what went wrong with the delegates that were asked for it and did not answer, in turn.
    """

    ranking: Ranking
    replaced: Bool
    consulted: Bool
    abstained: Bool
    risk: Float32
    confidence: Float32
    uncertainty: Mapping[str, Float32]
    deliberated: Rows
    deliberation: Deliberation | None
    delegates: tuple[str | None, ...]
    why: Callable[[int], str]
    seconds: float
    attempts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def route(self, row: int) -> Route:
        """Which way query ``row`` went."""
        if self.abstained[row]:
            return Route.ABSTAIN
        return Route.CONSULT if self.consulted[row] else Route.REPLACE if self.replaced[row] else Route.SELF
