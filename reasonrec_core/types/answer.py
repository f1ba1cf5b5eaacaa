"""What is answered: steps, what a person changes in them, rankings, how sure they are, who answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from reasonrec_core.types.log import Bool, Float32, History, Int32


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
        about: the item field and the label that an infer step is about, where a person may assume another one.
    """

    kind: StepKind
    claim: str
    evidence: tuple[int | str, ...] = ()
    weight: float = 1.0
    alternatives: tuple[tuple[str, float], ...] = ()
    edited: bool = False
    about: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, as it stands in traces and decision cards."""
        return {
            "kind": str(self.kind),
            "claim": self.claim,
            "evidence": list(self.evidence),
            "weight": float(self.weight),
            "alternatives": [[name, float(weight)] for name, weight in self.alternatives],
            **({"edited": True} if self.edited else {}),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Step:
        """The step that `to_dict` wrote."""
        rest = tuple((str(name), float(weight)) for name, weight in value["alternatives"])
        first = (StepKind(value["kind"]), value["claim"], tuple(value["evidence"]), value["weight"])
        return cls(*first, rest, bool(value.get("edited", False)))


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


@dataclass(frozen=True, slots=True)
class Edits:
    """Edited steps of a batch of B queries with L history entries in all; true if anything is edited.

    All else stays as it is: an entry's position and age, the evidence horizon, and what may be recommended.

    Attributes:
        relevance: float32[L] in [0, 1], how much each history entry counts as evidence: 1 in full, 0 not at all.
            An ignored item stays in the history, so it is still not recommended. None = all count in full.
        assume: item field -> int32[B], the label (its number in `EditablePolicy.labels`) that the next item is
            taken to have, -1 = as inferred. A field that is not named stays as inferred.
    """

    relevance: Float32 | None = None
    assume: Mapping[str, Int32] = field(default_factory=dict)

    def __bool__(self) -> bool:
        ignored = self.relevance is not None and bool((self.relevance != 1).any())
        return ignored or any(bool((labels >= 0).any()) for labels in self.assume.values())

    def slice(self, history: History, start: int, stop: int) -> Edits:
        """The edits of queries ``start:stop``; ``history`` is that of the whole batch."""
        low, high = history.indptr[[start, stop]] - history.indptr[0]
        relevance = None if self.relevance is None else self.relevance[low:high]
        return Edits(relevance, {name: labels[start:stop] for name, labels in self.assume.items()})

    def take(self, history: History, index: npt.NDArray[np.intp]) -> Edits:
        """The edits of the queries at ``index``, in that order; ``history`` is that of the whole batch."""
        entries = replace(history, items=np.arange(len(history.items), dtype=np.int32)).take(index).items
        relevance = None if self.relevance is None else self.relevance[entries]
        return Edits(relevance, {name: labels[index] for name, labels in self.assume.items()})


NO_EDITS = Edits()
"""Every step as the policy takes it."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best items of each query, best first.

    Attributes:
        items: int32[B, K] dense item indices; -1 pads where fewer than K items can be ranked.
        scores: float32[B, K] descending, finite for real items and -inf for padding; comparable within a row only.
    """

    items: Int32
    scores: Float32

    def __len__(self) -> int:
        return len(self.items)

    def take(self, index: npt.NDArray[np.intp]) -> Ranking:
        """The rows at ``index``."""
        return Ranking(self.items[index], self.scores[index])

    def head(self, k: int) -> Ranking:
        """The first ``k`` columns."""
        return Ranking(self.items[:, :k], self.scores[:, :k])

    def put(self, index: npt.NDArray[np.intp] | Bool, other: Ranking) -> Ranking:
        """The same with the rows of ``other`` at ``index`` (positions or a mask), as wide as the wider one."""
        width = max(self.items.shape[1], other.items.shape[1])
        items = np.full((len(self), width), -1, np.int32)
        scores = np.full((len(self), width), -np.inf, np.float32)
        items[:, : self.items.shape[1]], scores[:, : self.items.shape[1]] = self.items, self.scores
        items[index], scores[index] = -1, -np.inf
        items[index, : other.items.shape[1]], scores[index, : other.items.shape[1]] = other.items, other.scores
        return Ranking(items, scores)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a component may look at besides the query: item features and how much evidence there is.

    Attributes:
        features: per modality float32[n_items, d], memory-mapped; rows of missing items hold NaN.
        present: per modality bool[n_items], False where the item lacks that modality.
        horizon: float32[B] evidence horizon C(u) in [0, 1]; 1 = no evidence, 0 = as much as anybody has.
    """

    features: Mapping[str, Float32]
    present: Mapping[str, Bool]
    horizon: Float32

    def take(self, index: npt.NDArray[np.intp]) -> Observation:
        """The same items, the horizon of the queries at ``index``."""
        return replace(self, horizon=self.horizon[index])


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer cost: wall-clock ``seconds`` and language-model ``tokens``, for the whole batch."""

    seconds: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Deliberation:
    """A policy's answer to a batch and the steps that led to it.

    Attributes:
        steps: one tuple of steps per query.
        confidence: float32[B] in [0, 1], the policy's own, uncalibrated.
        ranking: the answer for `Task.SEQUENTIAL` and `Task.DIRECT`.
        mass: float32[B, K] the policy's probability of each ranked item being the next; a row sums to at most 1.
        probability: float32[B, C] the answer for `Task.CTR`.
        text: one string per query, the answer for `Task.EXPLAIN`.
        cost: of the whole batch.
    """

    steps: Sequence[tuple[Step, ...]]
    confidence: Float32
    ranking: Ranking | None = None
    mass: Float32 | None = None
    probability: Float32 | None = None
    text: tuple[str, ...] | None = None
    cost: Cost = field(default_factory=Cost)

    def put(self, rows: npt.NDArray[np.intp], other: Deliberation) -> Deliberation:
        """The same with another answer to the queries at ``rows``, rankings both; it cost as much as both."""
        assert self.ranking is not None
        assert other.ranking is not None
        place, confidence = {int(row): at for at, row in enumerate(rows)}, self.confidence.copy()
        confidence[rows] = other.confidence
        steps = LazySteps(len(self.steps), lambda row: other.steps[place[row]] if row in place else self.steps[row])
        cost = Cost(self.cost.seconds + other.cost.seconds, self.cost.tokens + other.cost.tokens)
        return Deliberation(steps, confidence, self.ranking.put(rows, other.ranking), cost=cost)


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """How unsure an estimator is, per query, each float32[B] in [0, 1]; 1 = knows nothing.

    ``epistemic`` (would shrink with more evidence) and ``aleatoric`` (would not) are None where an estimator
    cannot tell them apart. ``stage`` says whether it needed the answer ("after") or not ("before").
    """

    total: Float32
    stage: str
    epistemic: Float32 | None = None
    aleatoric: Float32 | None = None

    def take(self, index: npt.NDArray[np.intp] | Bool) -> Uncertainty:
        """The queries that ``index`` (positions or a mask) selects."""
        parts = (None if v is None else v[index] for v in (self.epistemic, self.aleatoric))
        return Uncertainty(self.total[index], self.stage, *parts)


class Route(StrEnum):
    """Who answers a request."""

    SELF = "self"
    REPLACE = "replace"
    CONSULT = "consult"
    ABSTAIN = "abstain"


ROUTED = "routed"
"""The label of the answers that were given, whoever gave them."""
CONSULT = "consult"
"""The label of what the policy answers with delegates' answers in view, where it was asked so."""


def format_percent(share: float, digits: int = 0) -> str:
    """A share in words for people: "35 %"; small ones keep a digit: "0.8 %"."""
    if 0 < abs(share) < 0.0005:
        return "<\N{NO-BREAK SPACE}0.1\N{NO-BREAK SPACE}%"
    text = f"{round(100 * share, 1):g}" if not digits and abs(share) < 0.02 else f"{100 * share:.{digits}f}"
    return f"{text}\N{NO-BREAK SPACE}%"


def format_digits(value: float) -> str:
    """A number with three digits that count, and at most four after the point: 0.0920, 0.117, 1.23, 12.3, 1,234."""
    size = abs(value)
    digits = 0 if not size else 4 if size < 0.1 else 3 if size < 1 else 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:,.{digits}f}"


def shorten_steps(steps: Sequence[Any], limit: int = 5) -> list[Any]:
    """The steps that tell most, in order: what a person edited, what was looked at, decided, weighed, and so on."""
    places = {"observe": 0, "decide": 1, "weigh": 2, "infer": 3, "propose": 4}
    order = [(-s.edited, places.get(s.kind, 9), -s.weight * (s.kind == "propose")) for s in steps]
    chosen = sorted(sorted(range(len(steps)), key=order.__getitem__)[:limit])
    return [steps[at] for at in chosen]
