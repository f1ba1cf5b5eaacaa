"""The agent: the fitted parts of a pipeline, ready to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reasonrec_core.components import ConsultingPolicy, Delegate, Kind, ReasoningPolicy, UncertaintyEstimator
from reasonrec_core.errors import RunError
from reasonrec_core.observe import ObservedItems
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.pipeline.act import Outcome, act
from reasonrec_core.registry import Registry
from reasonrec_core.routing import Router, Signals, answer_features
from reasonrec_core.types import Deliberation, Int64, Observation, QueryBatch, Ranking, Task, Uncertainty
from reasonrec_core.validation import check_deliberation, check_ranking, check_uncertainty

POPULARITY = "popularity.npy"
"""Where a run keeps what features of answers need."""


@dataclass(frozen=True)
class Named:
    """A component and what it is called in the pipeline; ``identity`` is that of the stage that fitted it."""

    label: str
    name: str
    part: Any
    identity: str = ""


@dataclass(frozen=True)
class Agent:
    """Observes, deliberates, knows, acts: a pipeline's fitted parts, each asked and its answer checked.

    ``width`` is the length of the rankings that routers are calibrated on. Uncertainty is read off rankings of this
    length, however many items a request wants: how sure an answer is must not depend on how much of it is shown.
    ``popularity`` (int64[n_items] training interactions) is what features need; None where no router looks at them.
    ``alone``: where there is no policy, which delegate answers a task, and why.
    """

    registry: Registry
    n_items: int
    width: int
    items: ObservedItems
    horizon: EvidenceHorizonScale
    delegates: Mapping[str, Named]
    policy: Named | None = None
    estimators: Mapping[str, Named] = field(default_factory=dict)
    routers: Mapping[Task, Router[Any]] = field(default_factory=dict)
    popularity: Int64 | None = None
    alone: Mapping[Task, tuple[str, str]] = field(default_factory=dict)

    def act(self, batch: QueryBatch) -> Outcome:
        """Answer a batch: decide who answers each query, then let them."""
        return act(self, batch)

    def observe(self, batch: QueryBatch) -> Observation:
        """Item features and the evidence horizon of each query."""
        return Observation(self.items.features, self.items.present, self.horizon(batch))

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        """The policy's answer, checked."""
        assert self.policy is not None
        policy: ReasoningPolicy[Any] = self.policy.part
        with self.registry.guard(Kind.POLICY, self.policy.name, "deliberate"):
            return check_deliberation(policy.deliberate(batch, observation), batch, self.n_items)

    def consult(
        self, batch: QueryBatch, observation: Observation, answers: Mapping[str, Ranking] | None = None
    ) -> Deliberation:
        """The policy's answer with the first ``width`` items of the delegates' in view, who are asked if need be."""
        assert self.policy is not None
        policy: ConsultingPolicy = self.policy.part
        if answers is None:
            answers = {label: self.delegate(label, batch, observation) for label in self.delegates}
        heads = {label: ranking.head(self.width) for label, ranking in answers.items()}
        with self.registry.guard(Kind.POLICY, self.policy.name, "consult"):
            return check_deliberation(policy.consult(batch, observation, heads), batch, self.n_items)

    def estimate(
        self, stage: str | None, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None
    ) -> dict[str, Uncertainty]:
        """Every estimator of a stage ("before", "after"; None for both)."""
        found: dict[str, Uncertainty] = {}
        for label, named in self.estimators.items():
            estimator: UncertaintyEstimator[Any] = named.part
            if stage is None or estimator.stage == stage:
                with self.registry.guard(Kind.UNCERTAINTY, named.name, "estimate"):
                    answer = None if estimator.stage == "before" else _head(deliberation, self.width)
                    found[label] = check_uncertainty(
                        estimator.estimate(batch, observation, answer), batch, estimator.stage
                    )
        return found

    def delegate(self, label: str, batch: QueryBatch, observation: Observation) -> Ranking:
        """A delegate's answer."""
        named = self.delegates[label]
        part: Delegate[Any] = named.part
        with self.registry.guard(Kind.DELEGATE, named.name, "recommend"):
            return check_ranking(part.recommend(batch, observation), batch, self.n_items)

    def features(self, batch: QueryBatch, answers: Mapping[str, Ranking], request: bool = True) -> Signals:
        """What the request and the delegates' answers to it tell (`reasonrec_core.routing.answer_features`)."""
        if self.popularity is None:
            raise RunError(
                "the run holds no popularity of its items, which its router looks at",
                fix="Fit it again with this version.",
            )
        heads = {label: ranking.head(self.width) for label, ranking in answers.items()}
        return answer_features(batch.history, self.popularity, heads, request=request)


def _head(deliberation: Deliberation | None, width: int) -> Deliberation | None:
    """The same answer, cut to ``width`` items."""
    if deliberation is None or deliberation.ranking is None:
        return deliberation
    mass = None if deliberation.mass is None else deliberation.mass[:, :width]
    return replace(deliberation, ranking=deliberation.ranking.head(width), mass=mass)
