"""The loop: observe, deliberate, know, act."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reasonrec_core.pipeline.delegate_calls import DelegateAnswers, DelegateCalls, Rows, hand_over, join_answers
from reasonrec_core.routing import FEATURE, Assignment, Decisions, Router, take_signals
from reasonrec_core.routing.decision import Reasons, undecided
from reasonrec_core.types import Bool, Deliberation, Float32, Int64, Observation, QueryBatch, Ranking, Uncertainty

if TYPE_CHECKING:
    from reasonrec_core.pipeline.agent import Agent


@dataclass(frozen=True)
class Outcome:
    """What was done with a batch.

    Attributes:
        ranking: the answers; rows of padding where none is given.
        decisions: who answered, how sure the answer is, and why; risk and confidence are NaN without a router.
        uncertainty: per estimator float32[B], NaN where it was not needed.
        deliberated: positions of the queries that the policy deliberated on.
        deliberation: of those, the last one where it decided again; None where there were none.
        seconds: for the whole batch.
        attempts: query -> what went wrong with the delegates that were asked for it and did not answer, in turn.
    """

    ranking: Ranking
    decisions: Decisions
    uncertainty: Mapping[str, Float32]
    deliberated: Rows
    deliberation: Deliberation | None
    seconds: float = 0.0
    attempts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


def act(agent: Agent, batch: QueryBatch) -> Outcome:
    """Answer a batch: decide who answers each query, then let them."""
    begin = time.perf_counter()
    wanted, batch = batch.k, replace(batch, k=max(batch.k, agent.width))
    observation, router = agent.observe(batch), agent.routers.get(batch.task)
    if agent.policy is None:
        outcome = _delegate_only(agent, batch, observation)
    elif router is None:
        outcome = _policy_only(agent, batch, observation)
    else:
        outcome = _Routing(agent, batch, observation, router).outcome()
    ranking = outcome.ranking.head(wanted)
    return replace(outcome, ranking=ranking, seconds=time.perf_counter() - begin)


class _Routing:
    """One batch on its way: what is known of it so far, and who has answered what."""

    def __init__(self, agent: Agent, batch: QueryBatch, observation: Observation, router: Router[Any]) -> None:
        self.agent, self.batch, self.observation, self.router = agent, batch, observation, router.for_batch(len(batch))
        self.keys: Int64 = batch.users.astype(np.int64)
        self.limit = router.config.timeout and router.config.timeout / 1000
        self.ask = DelegateCalls(self._ask, len(batch), self.limit)
        self.found = agent.estimate("before", batch, observation, None)
        self.assigned: Assignment | None = None
        self.handed = DelegateAnswers(np.full(len(batch), "", object), (), {})
        self.thinking: Rows = np.arange(len(batch))
        self.deliberation: Deliberation | None = None

    def _ask(self, label: str, rows: Rows | None) -> Ranking:
        if rows is None:
            return self.agent.delegate(label, self.batch, self.observation)
        return self.agent.delegate(label, self.batch.take(rows), self.observation.take(rows))

    def outcome(self) -> Outcome:
        """Ask, decide, deliberate where nobody else answers."""
        if not self.router.config.idle and any(name.startswith(FEATURE) for name in self.router.signals):
            self.found |= self.agent.features(self.batch, {})
        if self.router.in_turn and not self.router.config.idle:
            self._ask_in_turn()
        elif not self._look_first():
            return self._undecided()
        elif self.router.config.stage == "before":
            self._hand_over()
        self._think()
        if self.assigned is None:
            self._hand_over()
        consulted = self._consult()
        decisions = self.router.decide(
            self.found, self.keys, assigned=self.assigned, answered=self.handed.who, consulted=consulted
        )
        return self._outcome(decisions)

    def _look_first(self) -> bool:
        """Read the answers that it is decided by; without one of them another router decides, if there is one."""
        if self.router.config.idle or not self.router.asks:
            return True
        answers = {label: self.ask(label) for label in self.router.asks}
        known = {label: ranking for label, ranking in answers.items() if ranking is not None}
        if len(known) < len(answers):
            fallback = self.router.fallback
            if fallback is None:
                return False
            self.router = fallback
            return True
        self.found |= self.agent.features(self.batch, known, request=False)
        return True

    def _ask_in_turn(self) -> None:
        """Delegates answer one after another, until an answer is good enough."""
        router, size = self.router, len(self.batch)
        left, who = np.arange(size), np.full(size, "", object)
        answers, attempts = list[tuple[Rows, Ranking]](), dict[int, tuple[str, ...]]()
        for level, label in enumerate(router.delegates):
            if not len(left):
                break
            ranking = self.ask(label, left)
            if ranking is None:
                attempts |= {row: (*attempts.get(row, ()), self.ask.failed[label]) for row in left.tolist()}
                continue
            part = self.batch if len(left) == size else self.batch.take(left)
            for name, value in self.agent.features(part, {label: ranking}, request=False).items():
                self.found[name] = _spread(value, left, size)
            known = self.found if len(left) == size else take_signals(self.found, left)
            good = router.accepts_level(level, known, self.keys[left])
            if good.any():
                who[left[good]] = label
                answers.append((left[good], ranking if good.all() else ranking.take(np.flatnonzero(good))))
            left = left[~good]
        self.assigned = router.assign(self.found, self.keys)
        self._handed(DelegateAnswers(who, tuple(answers), attempts))

    def _hand_over(self) -> None:
        """Decide, and ask those who are to answer."""
        self.assigned = assigned = self.router.assign(self.found, self.keys)
        if assigned.replaced.any():
            self._handed(hand_over(assigned.who, assigned.fallbacks, self.ask))

    def _handed(self, handed: DelegateAnswers) -> None:
        self.handed = handed
        if self.router.config.stage == "before":
            self.thinking = np.flatnonzero(handed.who == "")

    def _think(self) -> None:
        """The policy answers what is left to it."""
        rows, size = self.thinking, len(self.batch)
        if not len(rows):
            return
        part, seen = self.batch, self.observation
        if len(rows) < size:
            part, seen = part.take(rows), seen.take(rows)
        self.deliberation = self.agent.deliberate(part, seen)
        after = self.agent.estimate("after", part, seen, self.deliberation)
        self.found |= {label: _spread(value, rows, size) for label, value in after.items()}

    def _consult(self) -> Bool:
        """The policy decides again where delegates are to be consulted; bool[B] where that came about."""
        made = np.zeros(len(self.batch), np.bool_)
        if not self.router.state.consults:
            return made
        at = np.flatnonzero(self.router.consults(self.found, self.handed.who != "")[self.thinking])
        if not len(at):
            return made
        rows, answers = self.thinking[at], dict[str, Ranking]()
        for label in self.agent.delegates:
            theirs = self.ask(label, rows)
            if theirs is None:  # whoever decides with less in view than on validation may decide worse
                said = {row: (*self.handed.attempts.get(row, ()), self.ask.failed[label]) for row in rows.tolist()}
                self.handed = replace(self.handed, attempts={**self.handed.attempts, **said})
                return made
            answers[label] = theirs
        assert self.deliberation is not None
        again = self.agent.consult(self.batch.take(rows), self.observation.take(rows), answers)
        self.deliberation = self.deliberation.put(at, again)
        made[rows] = True
        return made

    def _outcome(self, decisions: Decisions) -> Outcome:
        """What was done, without the answers that are withheld."""
        ranking = join_answers(self.batch, self.handed, self.thinking, self.deliberation)
        if (withheld := decisions.abstained).any():
            ranking = Ranking(ranking.items.copy(), ranking.scores.copy())
            ranking.items[withheld], ranking.scores[withheld] = -1, -np.inf
        if self.handed.attempts or self.ask.failed:
            decisions = replace(decisions, reason=self._with_failures(decisions))
        return Outcome(
            ranking=ranking,
            decisions=decisions,
            uncertainty={label: value.total for label, value in self.found.items()},
            deliberated=self.thinking if self.deliberation is not None else self.thinking[:0],
            deliberation=self.deliberation,
            attempts=self.handed.attempts,
        )

    def _with_failures(self, decisions: Decisions) -> Reasons:
        """The router's reasons, and what went wrong on the way."""
        handed, assigned, failed = self.handed, self.assigned, dict(self.ask.failed)
        assert assigned is not None

        def explain(rows: Rows) -> list[str]:
            explained = []
            for row in rows.tolist():
                tried = handed.attempts.get(row, ())
                if tried and handed.who[row] != assigned.best[row]:
                    explained.append(f"{handed.who[row] or 'the policy'} answers: {'; '.join(tried)}")
                else:
                    explained.append("; ".join((decisions.reason[row], *(tried or tuple(failed.values())))))
            return explained

        return Reasons(len(decisions), explain)

    def _undecided(self) -> Outcome:
        """The policy answers: what it would be decided by is not there."""
        said = tuple(self.ask.failed.values())
        outcome = _policy_only(self.agent, self.batch, self.observation, f"the policy answers: {'; '.join(said)}")
        stages = {label: str(named.part.stage) for label, named in self.agent.estimators.items()}
        signals = {name: Uncertainty(value, stages[name]) for name, value in outcome.uncertainty.items()}
        sure = self.router.state_confidence(signals, outcome.decisions.route, outcome.decisions.who)
        attempts = dict.fromkeys(range(len(self.batch)), said)
        return replace(outcome, decisions=replace(outcome.decisions, confidence=sure), attempts=attempts)


def _policy_only(
    agent: Agent,
    batch: QueryBatch,
    observation: Observation,
    reason: str = "without a router, the policy answers every request",
) -> Outcome:
    deliberation = agent.deliberate(batch, observation)
    assert deliberation.ranking is not None
    signals = agent.estimate(None, batch, observation, deliberation)
    return Outcome(
        ranking=deliberation.ranking,
        decisions=undecided(len(batch), "", reason),
        uncertainty={label: value.total for label, value in signals.items()},
        deliberated=np.arange(len(batch)),
        deliberation=deliberation,
    )


def _delegate_only(agent: Agent, batch: QueryBatch, observation: Observation) -> Outcome:
    first = (next(iter(agent.delegates)), "there is no policy: the delegate answers every request")
    label, reason = agent.alone.get(batch.task) or next(iter(agent.alone.values()), first)
    decisions = undecided(len(batch), label, reason)
    return Outcome(agent.delegate(label, batch, observation), decisions, {}, np.empty(0, np.intp), None)


def _spread(value: Uncertainty, rows: Rows, size: int) -> Uncertainty:
    """The same for ``size`` queries, NaN but at ``rows``."""
    if len(rows) == size:
        return value
    total = np.full(size, np.nan, np.float32)
    total[rows] = value.total
    return Uncertainty(total, value.stage)
