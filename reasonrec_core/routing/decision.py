"""What a router makes of a batch, worked out once: a single request must not pay twice for the same model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Bool, Float32, Float64, Route

Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Judged:
    """B queries.

    Attributes:
        order: float64[B] what the cut is on; the larger, the sooner a delegate answers.
        who: str[B] the delegate that answers if one does.
        risk: float32[B] P(the policy's answer is worse than that delegate's).
        gain: float32[B] what a share is ordered by.
        scores: float64[B, D] of each delegate, the larger the better; in the order of ``delegates``.
        delegates: whom queries may go to.
        others: further delegates for when those fail, the best first.
    """

    order: Float64
    who: Names
    risk: Float32
    gain: Float32
    scores: Float64
    delegates: tuple[str, ...]
    others: tuple[str, ...] = ()

    def take(self, rows: npt.NDArray[np.intp]) -> Judged:
        """Some of the queries."""
        if len(rows) == len(self.order):
            return self
        at = (self.order[rows], self.who[rows], self.risk[rows], self.gain[rows], self.scores[rows])
        return Judged(*at, self.delegates, self.others)

    def after(self, row: int) -> tuple[str, ...]:
        """Who answers query ``row`` if its delegate fails, then if that one fails, and so on."""
        best = [self.delegates[column] for column in np.argsort(-self.scores[row], kind="stable")]
        return tuple(label for label in (*best, *self.others) if label != self.who[row])


@dataclass(frozen=True)
class Reasons(Sequence[str]):
    """B reasons in words, each made when it is asked for.

    Attributes:
        size: B.
        explain: positions -> their reasons.
    """

    size: int
    explain: Callable[[npt.NDArray[np.intp]], list[str]]

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return self.explain(np.arange(self.size)[row])
        if not -self.size <= row < self.size:
            raise IndexError(row)
        return self.explain(np.array([row % self.size]))[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.explain(np.arange(self.size)))


@dataclass(frozen=True)
class Decisions:
    """Who answers each of B requests, how sure the answer is, and why.

    Attributes:
        route: str[B] values of `Route`.
        who: str[B] the delegate that answers alone, "" where none does.
        risk: float32[B] P(the policy's answer is worse than that of the delegate that would answer).
        gain: float32[B] what a share is ordered by.
        confidence: float32[B] P(the target is among the ten best of the answer), as it is stated; of the answer that
            is not given where the route is "abstain". NaN where a delegate answers in another's place.
        reason: in words, made when asked for.
    """

    route: Names
    who: Names
    risk: Float32
    gain: Float32
    confidence: Float32
    reason: Sequence[str]

    def __len__(self) -> int:
        return len(self.route)

    @property
    def replaced(self) -> Bool:
        """bool[B]: where a delegate answers."""
        return np.asarray(self.route == str(Route.REPLACE), np.bool_)

    @property
    def consulted(self) -> Bool:
        """bool[B]: where policy and delegates answer together."""
        return np.asarray(self.route == str(Route.CONSULT), np.bool_)

    @property
    def abstained(self) -> Bool:
        """bool[B]: where no answer is given."""
        return np.asarray(self.route == str(Route.ABSTAIN), np.bool_)


def undecided(size: int, delegate: str, reason: str) -> Decisions:
    """Of B requests that no router decides: this delegate answers all, or the policy where it is empty."""
    route, unknown = Route.REPLACE if delegate else Route.SELF, np.full(size, np.nan, np.float32)
    ways, who = np.full(size, str(route), object), np.full(size, delegate, object)
    return Decisions(ways, who, unknown, unknown, unknown, [reason] * size)
