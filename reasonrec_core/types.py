"""The frozen value objects that flow through a pipeline.

Shapes: ``B`` queries in a batch, ``K`` ranked items, ``C`` candidates, ``n_items`` items in the catalogue.
Items and users are dense indices here; string ids exist only at public borders (`Dataset`, the command line).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import overload

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]


class Task(StrEnum):
    """What is asked of a recommender."""

    SEQUENTIAL = "sequential"
    """Rank the whole catalogue for a user's next item; what the user already has is masked."""
    DIRECT = "direct"
    """Rank a given list of candidates."""
    CTR = "ctr"
    """Give the probability of a click for each given item."""
    EXPLAIN = "explain"
    """Say why an item suits a user."""


@dataclass(frozen=True, slots=True)
class Interactions:
    """A log as parallel arrays, sorted by user and, within a user, oldest first (ties keep the log's order).

    Attributes:
        users: int32[N] dense user indices.
        items: int32[N] dense item indices.
        times: int64[N] seconds since 1970, or positions where the source has an order and no clock.
        values: float32[N] ratings or click labels (0/1), or None for implicit feedback.
    """

    users: Int32
    items: Int32
    times: Int64
    values: Float32 | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, index: npt.NDArray[np.intp] | Bool) -> Interactions:
        """The rows that ``index`` (positions or a mask) selects."""
        values = None if self.values is None else self.values[index]
        return Interactions(self.users[index], self.items[index], self.times[index], values)


@dataclass(frozen=True, slots=True)
class History:
    """Ragged item sequences, oldest first: row ``b`` is ``items[indptr[b]:indptr[b + 1]]``.

    Attributes:
        indptr: int64[B + 1].
        items: int32[L] dense item indices, all of them known items.
        times: int64[L] like `Interactions.times`.
        skipped: how many unknown items were left out when the history was made.
    """

    indptr: Int64
    items: Int32
    times: Int64
    skipped: int = 0

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], *, skipped: int = 0) -> History:
        """Build from lists of dense item indices; positions serve as times."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        items = np.array([item for row in rows for item in row], dtype=np.int32)
        times = np.arange(len(items), dtype=np.int64) - np.repeat(indptr[:-1], lengths)
        return cls(indptr, items, times, skipped)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> Int64:
        """int64[B]: items per row."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> Int32:
        """int32[L]: the row that each entry belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    @property
    def ages(self) -> Int64:
        """int64[L]: 0 for the newest entry of its row, 1 for the one before, and so on."""
        ends = np.repeat(self.indptr[1:], self.lengths)
        return ends - 1 - np.arange(self.indptr[0], self.indptr[-1], dtype=np.int64)

    def row(self, index: int) -> Int32:
        """int32[length]: the items of one row, oldest first."""
        return self.items[self.indptr[index] - self.indptr[0] : self.indptr[index + 1] - self.indptr[0]]

    def slice(self, start: int, stop: int) -> History:
        """Rows ``start:stop``, with ``indptr`` starting at 0."""
        low, high = self.indptr[start], self.indptr[stop]
        return History(self.indptr[start : stop + 1] - low, self.items[low:high], self.times[low:high], self.skipped)

    def take(self, index: npt.NDArray[np.intp]) -> History:
        """The rows at ``index``, in that order."""
        lengths = self.lengths[index]
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        offset = np.repeat(self.indptr[:-1][index] - indptr[:-1], lengths)
        source = offset + np.arange(indptr[-1], dtype=np.int64)
        return History(indptr, self.items[source], self.times[source], self.skipped)


@dataclass(frozen=True, slots=True)
class QueryBatch:
    """A batch of requests; a single request is a batch of one.

    Attributes:
        task: what is asked.
        users: int32[B] dense user indices, -1 where the user is unknown (normal: the history speaks).
        history: B rows of what each user did before, oldest first.
        k: how many items are wanted.
        candidates: int32[B, C] for `Task.DIRECT` and `Task.CTR` (-1 pads), None for the whole catalogue.
        times: int64[B] time of the request in the log's unit, or None where it is unknown.
    """

    task: Task
    users: Int32
    history: History
    k: int = 10
    candidates: Int32 | None = None
    times: Int64 | None = None

    def __len__(self) -> int:
        return len(self.users)

    def slice(self, start: int, stop: int) -> QueryBatch:
        """Queries ``start:stop``."""
        return replace(
            self,
            users=self.users[start:stop],
            history=self.history.slice(start, stop),
            candidates=None if self.candidates is None else self.candidates[start:stop],
            times=None if self.times is None else self.times[start:stop],
        )

    def take(self, index: npt.NDArray[np.intp]) -> QueryBatch:
        """The queries at ``index``, in that order."""
        return replace(
            self,
            users=self.users[index],
            history=self.history.take(index),
            candidates=None if self.candidates is None else self.candidates[index],
            times=None if self.times is None else self.times[index],
        )

    def chunks(self, size: int) -> Iterator[tuple[int, QueryBatch]]:
        """Consecutive slices of at most ``size`` queries, each with the position of its first query."""
        for start in range(0, len(self), size):
            yield start, self.slice(start, min(start + size, len(self)))


@dataclass(frozen=True, slots=True)
class Cases:
    """Queries with their known answers: what validation and test consist of.

    Attributes:
        queries: B queries.
        target_indptr: int64[B + 1] row bounds into ``targets``.
        targets: int32[T] relevant items of each query (one per query under leave-one-out).
        labels: float32[B, C] click labels for `Task.CTR`, else None.
    """

    queries: QueryBatch
    target_indptr: Int64
    targets: Int32
    labels: Float32 | None = None

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, index: npt.NDArray[np.intp]) -> Cases:
        """The cases at ``index``, in that order."""
        lengths = np.diff(self.target_indptr)[index]
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        source = np.repeat(self.target_indptr[:-1][index] - indptr[:-1], lengths) + np.arange(indptr[-1])
        labels = None if self.labels is None else self.labels[index]
        return Cases(self.queries.take(index), indptr, self.targets[source], labels)


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
    """

    kind: StepKind
    claim: str
    evidence: tuple[int | str, ...] = ()
    weight: float = 1.0
    alternatives: tuple[tuple[str, float], ...] = ()


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


@dataclass(frozen=True, slots=True)
class Action:
    """What was done with one request, and why.

    Attributes:
        kind: who answered.
        delegates: names of the delegates that took part.
        reason: in words.
        risk: calibrated probability that the policy's answer is worse than the delegate's.
        latency: seconds.
        tokens: language-model tokens.
    """

    kind: Route
    reason: str
    risk: float
    delegates: tuple[str, ...] = ()
    latency: float = 0.0
    tokens: int = 0
