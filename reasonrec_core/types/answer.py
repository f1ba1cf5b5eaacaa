"""What is answered: rankings, deliberations, how sure they are, what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from reasonrec_core.types.arrays import Bool, Float32, Int32
from reasonrec_core.types.steps import Step


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
