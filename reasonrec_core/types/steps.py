"""Reasoning: the typed steps that an answer is computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import overload


class StepKind(StrEnum):
    """The kinds of reasoning step, in the order in which they cause each other."""

    OBSERVE = "observe"
    INFER = "infer"
    PROPOSE = "propose"
    WEIGH = "weigh"
    DECIDE = "decide"


@dataclass(frozen=True, slots=True)
class Step:
    """One intermediate decision that the answer was computed from.

    Attributes:
        kind: where in the chain it stands.
        claim: the decision in words, with item titles rather than ids.
        evidence: what caused it: history positions (``int``, 0 = oldest) and item fields (``str``).
        weight: how much it counts, in [0, 1].
        alternatives: other decisions that were possible, each with its weight, best first.
        edited: whether a person set it (see `Edits`) rather than the policy.
    """

    kind: StepKind
    claim: str
    evidence: tuple[int | str, ...] = ()
    weight: float = 1.0
    alternatives: tuple[tuple[str, float], ...] = ()
    edited: bool = False


@dataclass(frozen=True, slots=True)
class LazySteps(Sequence[tuple[Step, ...]]):
    """The steps of B queries, put into words only for the queries that somebody looks at."""

    size: int
    build: Callable[[int], tuple[Step, ...]]

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> tuple[Step, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[Step, ...]]: ...
    def __getitem__(self, index: int | slice) -> tuple[Step, ...] | list[tuple[Step, ...]]:
        if isinstance(index, slice):
            return [self.build(i) for i in range(*index.indices(self.size))]
        if not -self.size <= index < self.size:
            raise IndexError(index)
        return self.build(index % self.size)
