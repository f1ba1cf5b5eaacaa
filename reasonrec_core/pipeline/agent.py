"""The agent: the fitted parts of a pipeline, ready to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from reasonrec_core.components import (
    ConsultingPolicy,
    Delegate,
    DistributionPolicy,
    EditablePolicy,
    Kind,
    ReasoningPolicy,
    UncertaintyEstimator,
    leave_entries_out,
)
from reasonrec_core.errors import ConfigError, RunError
from reasonrec_core.observe import ObservedItems
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.pipeline.act import Outcome, act
from reasonrec_core.registry import Registry
from reasonrec_core.routing import AnswerFeatures, Router, Signals, list_features
from reasonrec_core.types import (
    Deliberation,
    Edits,
    Float32,
    Int32,
    Int64,
    Observation,
    QueryBatch,
    Ranking,
    Task,
    Uncertainty,
)
from reasonrec_core.validation import (
    check_attribution,
    check_beliefs,
    check_deliberation,
    check_edits,
    check_ranking,
    check_shares,
    check_uncertainty,
)

POPULARITY = "popularity.npy"
"""Where a run keeps what features of answers need."""


@dataclass(frozen=True)
class Named:
    """A component and what it is called in the pipeline.

    ``identity`` is that of the stage that fitted it, ``seconds`` what that took when it was really done. ``final``:
    fitted to all interactions, those that it would be tested on among them.
    """

    label: str
    name: str
    part: Any
    identity: str = ""
    seconds: float = 0.0
    final: bool = False


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

    @property
    def parts(self) -> list[tuple[Kind, Named]]:
        """All fitted components."""
        parts = [(Kind.DELEGATE, each) for each in self.delegates.values()]
        parts += [(Kind.POLICY, self.policy)] if self.policy else []
        return parts + [(Kind.UNCERTAINTY, each) for each in self.estimators.values()]

    @property
    def models(self) -> str:
        """ "final" where a part has learned from all interactions, else "evaluated"."""
        return "final" if any(named.final for _, named in self.parts) else "evaluated"

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

    def attribute(self, label: str, batch: QueryBatch, items: Int32) -> Float32:
        """float32[L, K]: each history entry's share of why the policy or a delegate recommends int32[B, K] items.

        See `Delegate.attribute`. A policy is asked how likely they are without each entry; 0 where it cannot say.
        """
        named, observation = self.delegates.get(label) or self.policy, self.observe(batch)
        assert named is not None
        kind = Kind.DELEGATE if label in self.delegates else Kind.POLICY
        with self.registry.guard(kind, named.name, "attribute"):
            if kind is Kind.DELEGATE:
                found = named.part.attribute(batch, observation, items)
            elif isinstance(named.part, DistributionPolicy):
                found = leave_entries_out(named.part.distribution, batch, observation, items)
            else:
                found = np.zeros((len(batch.history.items), items.shape[1]), np.float32)
            return check_shares(found, batch, items)

    def features(self, batch: QueryBatch, answers: Mapping[str, Ranking], request: bool = True) -> Signals:
        """What the request and the delegates' answers to it tell (`reasonrec_core.routing.AnswerFeatures`)."""
        if self.popularity is None:
            what = "the run does not hold its items' popularity, which its router needs"
            raise RunError(what, fix="Fit it again with this version.")
        heads = {label: ranking.head(self.width) for label, ranking in answers.items()}
        found: dict[str, Uncertainty] = {}
        for each in self.looks_at:
            found.update(each.read(batch.history, self.popularity, heads, request=request))
        return found

    @cached_property
    def looks_at(self) -> tuple[AnswerFeatures, ...]:
        """What installed kinds of routers look at besides estimators."""
        return list_features(self.registry)


def _head(deliberation: Deliberation | None, width: int) -> Deliberation | None:
    """The same answer, cut to ``width`` items."""
    if deliberation is None or deliberation.ranking is None:
        return deliberation
    mass = None if deliberation.mass is None else deliberation.mass[:, :width]
    return replace(deliberation, ranking=deliberation.ranking.head(width), mass=mass)


@dataclass(frozen=True)
class EditedPolicy:
    """An agent's policy, asked without its router; every answer is guarded and checked."""

    agent: Agent

    @classmethod
    def of(cls, agent: Agent) -> EditedPolicy:
        """The agent's policy.

        Raises:
            ConfigError: there is none, or its steps cannot be edited.
        """
        why = cls.refusal(agent)
        if why is not None:
            raise ConfigError(why, fix="Use a policy whose steps can be edited, such as profile.")
        return cls(agent)

    @staticmethod
    def refusal(agent: Agent) -> str | None:
        """Why the agent's steps cannot be edited, or None where they can."""
        if agent.policy is None:
            return "the run has no policy, so there are no steps to edit"
        if not isinstance(agent.policy.part, EditablePolicy):
            return f"the steps of the policy {agent.policy.label!r} cannot be edited"
        return None

    @property
    def _policy(self) -> EditablePolicy[Any]:
        assert self.agent.policy is not None
        policy: EditablePolicy[Any] = self.agent.policy.part
        return policy

    def _guard(self, verb: str) -> Any:
        assert self.agent.policy is not None
        return self.agent.registry.guard(Kind.POLICY, self.agent.policy.name, verb)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """See `EditablePolicy.labels`."""
        with self._guard("labels"):
            return self._policy.labels

    def membership(self, field: str) -> sparse.csr_matrix:
        """See `EditablePolicy.membership`."""
        with self._guard("membership"):
            return self._policy.membership(field)

    def infer_labels(self, batch: QueryBatch) -> Mapping[str, Float32]:
        """Per field float32[B, labels]: what the policy infers."""
        with self._guard("infer_labels"):
            found = self._policy.infer_labels(batch, self.agent.observe(batch))
            return check_beliefs(found, batch, self._policy.labels)

    def attribution(self, batch: QueryBatch) -> Float32:
        """float32[L]: how much each history entry caused the answer."""
        with self._guard("attribution"):
            return check_attribution(self._policy.attribution(batch, self.agent.observe(batch)), batch)

    def deliberate(self, batch: QueryBatch, edits: Edits | None = None) -> Deliberation:
        """The answer from edited steps."""
        if edits is not None:
            check_edits(edits, batch, self.labels)
        with self._guard("deliberate"):
            answer = self._policy.deliberate(batch, self.agent.observe(batch), edits)
            return check_deliberation(answer, batch, self.agent.n_items)
