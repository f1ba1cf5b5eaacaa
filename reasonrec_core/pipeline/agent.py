"""The loop: observe, deliberate, know, act. One batch in, one outcome per query out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.act import Router, answer_confidence, clues
from reasonrec_core.components import Delegate, Kind, ReasoningPolicy, UncertaintyEstimator
from reasonrec_core.contracts import checked_deliberation, checked_ranking, checked_uncertainty
from reasonrec_core.errors import RunError
from reasonrec_core.observe import ObservedItems
from reasonrec_core.observe.horizon import EvidenceHorizonScale
from reasonrec_core.pipeline.handover import Handed, ask_first, consult, hand_over, in_time, joined
from reasonrec_core.registry import Registry
from reasonrec_core.types import (
    Bool,
    Deliberation,
    Float32,
    Int64,
    Observation,
    QueryBatch,
    Ranking,
    Task,
    Uncertainty,
)

POPULARITY = "popularity.npy"
"""Where a run keeps what clues need."""
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Named:
    """A component and what it is called in the pipeline."""

    label: str
    name: str
    part: Any


@dataclass(frozen=True)
class Outcome:
    """What was done with a batch.

    Attributes:
        ranking: the answers.
        replaced: bool[B], True where the delegate answered.
        risk: float32[B] calibrated P(the policy is worse than the delegate); NaN without a router.
        confidence: float32[B] calibrated P(the target is in the top k); NaN without a router.
        uncertainty: per estimator float32[B], NaN where it was not needed.
        consulted: bool[B], True where policy and delegates answered together.
        deliberated: positions of the queries that the policy deliberated on.
        deliberation: of those, or None where there were none.
        delegates: per query the delegate that answered, None where none did.
        why: gives the reason for a query's route, in words.
        seconds: for the whole batch.
    """

    ranking: Ranking
    replaced: Bool
    consulted: Bool
    risk: Float32
    confidence: Float32
    uncertainty: Mapping[str, Float32]
    deliberated: Rows
    deliberation: Deliberation | None
    delegates: tuple[str | None, ...]
    why: Callable[[int], str]
    seconds: float


@dataclass(frozen=True)
class Agent:
    """The fitted parts of a pipeline, ready to answer.

    ``width`` is the length of the rankings that routers are calibrated on. Uncertainty is read off rankings of this
    length, however many items a request wants: how sure an answer is must not depend on how much of it is shown.
    ``popularity`` (int64[n_items] training interactions) is what clues need; None where no router looks at them.
    """

    registry: Registry
    n_items: int
    width: int
    items: ObservedItems
    horizon: EvidenceHorizonScale
    delegates: Mapping[str, Named]
    policy: Named | None = None
    estimators: Mapping[str, Named] = field(default_factory=dict)
    routers: Mapping[Task, Router] = field(default_factory=dict)
    popularity: Int64 | None = None

    def observe(self, batch: QueryBatch) -> Observation:
        """Item features and the evidence horizon of each query."""
        return Observation(self.items.features, self.items.present, self.horizon(batch))

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        """The policy's answer, checked."""
        assert self.policy is not None
        policy: ReasoningPolicy[Any] = self.policy.part
        with self.registry.guard(Kind.POLICY, self.policy.name, "deliberate"):
            return checked_deliberation(policy.deliberate(batch, observation), batch, self.n_items)

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
                    found[label] = checked_uncertainty(
                        estimator.estimate(batch, observation, answer), batch, estimator.stage
                    )
        return found

    def delegate(self, label: str, batch: QueryBatch, observation: Observation) -> Ranking:
        """A delegate's answer."""
        named = self.delegates[label]
        part: Delegate[Any] = named.part
        with self.registry.guard(Kind.DELEGATE, named.name, "recommend"):
            return checked_ranking(part.recommend(batch, observation), batch, self.n_items)

    def clues(self, batch: QueryBatch, answers: Mapping[str, Ranking]) -> dict[str, Uncertainty]:
        """What the request and the delegates' answers to it tell (`reasonrec_core.act.clues`)."""
        if self.popularity is None:
            raise RunError(
                "the run holds no popularity of its items, which its router looks at",
                fix="Fit it again with this version.",
            )
        heads = {label: ranking.head(self.width) for label, ranking in answers.items()}
        return clues(batch.history, self.popularity, heads)

    def act(self, batch: QueryBatch) -> Outcome:
        """Answer a batch: decide who answers each query, then let them."""
        wanted, batch = batch.k, replace(batch, k=max(batch.k, self.width))
        outcome = self._act(batch)
        return replace(outcome, ranking=outcome.ranking.head(wanted))

    def _act(self, batch: QueryBatch) -> Outcome:
        begin = time.perf_counter()
        observation = self.observe(batch)
        router = self.routers.get(batch.task)
        if self.policy is None:
            return self._delegate_only(batch, observation, begin)
        if router is None:
            return self._policy_only(batch, observation, begin)
        limit = router.config.timeout and router.config.timeout / 1000
        asked, missing = ask_first(
            router.asks, lambda label: in_time(lambda: self.delegate(label, batch, observation), limit)
        )
        if missing:
            return self._policy_only(batch, observation, begin, f"the policy answers: {missing}", router)

        def ask(label: str, rows: Rows) -> Ranking:
            if label in asked:
                return asked[label].take(rows)
            return in_time(lambda: self.delegate(label, batch.take(rows), observation.take(rows)), limit)

        keys, early = batch.users.astype(np.int64), router.config.stage == "before"
        found = self.estimate("before", batch, observation, None)
        found |= self.clues(batch, asked) if asked else {}
        handed = Handed(np.full(len(batch), None, object), (), {})
        if early:
            handed = hand_over(_chosen(router, found, keys), ask)
        thinking = np.flatnonzero([label is None for label in handed.who])
        deliberation = None
        if len(thinking):
            part, seen = batch.take(thinking), observation.take(thinking)
            deliberation = self.deliberate(part, seen)
            after = self.estimate("after", part, seen, deliberation)
            found |= {label: _spread(value, thinking, len(batch)) for label, value in after.items()}
        if not early:
            handed = hand_over(_chosen(router, found, keys), ask)
        replaced = np.array([label is not None for label in handed.who], np.bool_)
        handed, consulted = self._consulted(router, found, handed, thinking, deliberation, observation, ask)

        def why(row: int) -> str:
            failed = handed.failed.get(row)
            return f"the policy answers: {failed}" if failed else router.reason(found, row, keys)

        return Outcome(
            ranking=joined(batch, handed, thinking, deliberation),
            replaced=replaced,
            consulted=consulted,
            risk=router.risk(found),
            confidence=answer_confidence(router, found, replaced),
            uncertainty={label: value.total for label, value in found.items()},
            deliberated=thinking,
            deliberation=deliberation,
            delegates=tuple(handed.who.tolist()),
            why=why,
            seconds=time.perf_counter() - begin,
        )

    def _consulted(
        self,
        router: Router,
        found: Mapping[str, Uncertainty],
        handed: Handed,
        thinking: Rows,
        deliberation: Deliberation | None,
        observation: Observation,
        ask: Callable[[str, Rows], Ranking],
    ) -> tuple[Handed, Bool]:
        """Fused answers where delegates are consulted, and which those are."""
        replaced = np.array([label is not None for label in handed.who], np.bool_)
        at = np.flatnonzero(router.consults(found, replaced)[thinking])
        rows, nobody = thinking[at], np.zeros(len(replaced), np.bool_)
        if router.fusion is None or not len(rows) or deliberation is None or deliberation.ranking is None:
            return handed, nobody
        mine = deliberation.ranking.take(at)
        fused, failed = consult(router.fusion, rows, mine, observation.horizon[rows], self.width, ask)
        if fused is None:
            said = dict.fromkeys(rows.tolist(), failed or "")
            return replace(handed, failed={**handed.failed, **said}), nobody
        nobody[rows] = True
        return replace(handed, answers=(*handed.answers, (rows, fused))), nobody

    def _policy_only(
        self,
        batch: QueryBatch,
        observation: Observation,
        begin: float,
        reason: str = "there is no router: the policy answers all",
        router: Router | None = None,
    ) -> Outcome:
        deliberation = self.deliberate(batch, observation)
        assert deliberation.ranking is not None
        signals = self.estimate(None, batch, observation, deliberation)
        unknown = np.full(len(batch), np.nan, np.float32)
        return Outcome(
            deliberation.ranking,
            np.zeros(len(batch), np.bool_),
            np.zeros(len(batch), np.bool_),
            unknown,
            router.confidence(signals) if router else unknown,
            {label: value.total for label, value in signals.items()},
            np.arange(len(batch)),
            deliberation,
            (None,) * len(batch),
            _said(reason),
            time.perf_counter() - begin,
        )

    def _delegate_only(self, batch: QueryBatch, observation: Observation, begin: float) -> Outcome:
        label = next(iter(self.delegates))
        unknown = np.full(len(batch), np.nan, np.float32)
        ranking = self.delegate(label, batch, observation)
        all_to_it = _said("there is no policy: the delegate answers all")
        yes, nobody = np.ones(len(batch), np.bool_), np.empty(0, np.intp)
        return Outcome(
            ranking,
            yes,
            ~yes,
            unknown,
            unknown,
            {},
            nobody,
            None,
            (label,) * len(batch),
            all_to_it,
            time.perf_counter() - begin,
        )


def _chosen(router: Router, found: Mapping[str, Uncertainty], keys: Int64) -> npt.NDArray[np.object_]:
    """Per query the delegate that should answer, None where the policy should."""
    who = router.who(found)
    who[~router.replace(found, keys)] = None
    return who


def _head(deliberation: Deliberation | None, width: int) -> Deliberation | None:
    """The same answer, cut to ``width`` items."""
    if deliberation is None or deliberation.ranking is None:
        return deliberation
    mass = None if deliberation.mass is None else deliberation.mass[:, :width]
    return replace(deliberation, ranking=deliberation.ranking.head(width), mass=mass)


def _said(reason: str) -> Callable[[int], str]:
    return lambda row: reason


def _spread(value: Uncertainty, rows: Rows, size: int) -> Uncertainty:
    """The same for ``size`` queries, NaN but at ``rows``."""
    total = np.full(size, np.nan, np.float32)
    total[rows] = value.total
    return Uncertainty(total, value.stage)
