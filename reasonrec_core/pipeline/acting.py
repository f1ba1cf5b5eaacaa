"""The loop: observe, deliberate, know, act."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from reasonrec_core.pipeline.delegate_calls import Asking, Handed, Rows, consult, hand_over, joined
from reasonrec_core.pipeline.outcome import Outcome
from reasonrec_core.pipeline.parts import Parts
from reasonrec_core.routing import CLUE, Decisions, Router, answer_confidence
from reasonrec_core.routing.decision import Judged, Reasons, undecided
from reasonrec_core.types import Bool, Deliberation, Int64, Observation, QueryBatch, Ranking, Uncertainty


def act(parts: Parts, batch: QueryBatch) -> Outcome:
    """Answer a batch: decide who answers each query, then let them."""
    begin = time.perf_counter()
    wanted, batch = batch.k, replace(batch, k=max(batch.k, parts.width))
    observation, router = parts.observe(batch), parts.routers.get(batch.task)
    if parts.policy is None:
        outcome = _delegate_only(parts, batch, observation)
    elif router is None:
        outcome = _policy_only(parts, batch, observation)
    else:
        outcome = _Routing(parts, batch, observation, router).outcome()
    ranking = outcome.ranking.head(wanted)
    return replace(outcome, ranking=ranking, seconds=time.perf_counter() - begin)


class _Routing:
    """One batch on its way: what is known of it so far, and who has answered what."""

    def __init__(self, parts: Parts, batch: QueryBatch, observation: Observation, router: Router) -> None:
        self.parts, self.batch, self.observation, self.router = parts, batch, observation, router
        self.keys: Int64 = batch.users.astype(np.int64)
        self.limit = router.config.timeout and router.config.timeout / 1000
        self.ask = Asking(self._ask, len(batch), self.limit)
        self.found = parts.estimate("before", batch, observation, None)
        self.judged: Judged | None = None
        self.handed = Handed(np.full(len(batch), "", object), (), {})
        self.thinking: Rows = np.arange(len(batch))
        self.deliberation: Deliberation | None = None

    def _ask(self, label: str, rows: Rows | None) -> Ranking:
        if rows is None:
            return self.parts.delegate(label, self.batch, self.observation)
        return self.parts.delegate(label, self.batch.take(rows), self.observation.take(rows))

    def outcome(self) -> Outcome:
        """Ask, decide, deliberate where nobody else answers."""
        if any(name.startswith(CLUE) for name in self.router.signals):
            self.found |= self.parts.clues(self.batch, {})
        if self.router.in_turn:
            self._ask_in_turn()
        elif not self._look_first():
            return self._undecided()
        elif self.router.config.stage == "before":
            self._hand_over()
        self._think()
        if self.judged is None:
            self._hand_over()
        assert self.judged is not None
        fused = self._consult(self.handed.who != "")
        decisions = self.router.decide(self.found, self.keys, judged=self.judged, answered=self.handed.who, fused=fused)
        return self._outcome(decisions)

    def _look_first(self) -> bool:
        """Clues from the answers that it is decided by; without one of them another router decides, if there is one."""
        if not self.router.asks:
            return True
        answers = {label: self.ask(label) for label in self.router.asks}
        known = {label: ranking for label, ranking in answers.items() if ranking is not None}
        if len(known) < len(answers):
            spare = self.router.spare
            if spare is None:
                return False
            self.router = spare
            return True
        self.found |= self.parts.clues(self.batch, known, request=False)
        return True

    def _ask_in_turn(self) -> None:
        """Delegates answer one after another, until an answer is good enough."""
        router, size = self.router, len(self.batch)
        left, who, scores = (
            np.arange(size),
            np.full(size, "", object),
            np.full((size, len(router.delegates)), -np.inf),
        )
        answers, attempts = list[tuple[Rows, Ranking]](), dict[int, tuple[str, ...]]()
        for level, label in enumerate(router.delegates):
            if not len(left):
                break
            ranking = self.ask(label, left)
            if ranking is None:
                attempts |= {row: (*attempts.get(row, ()), self.ask.failed[label]) for row in left.tolist()}
                continue
            part = self.batch if len(left) == size else self.batch.take(left)
            for name, value in self.parts.clues(part, {label: ranking}, request=False).items():
                self.found[name] = _spread(value, left, size)
            known = self.found if len(left) == size else {n: v.take(left) for n, v in self.found.items()}
            scores[left, level] = router.level(level, known)
            good = router.accepts(scores[left, level], self.keys[left])
            if good.any():
                who[left[good]] = label
                answers.append((left[good], ranking if good.all() else ranking.take(np.flatnonzero(good))))
            left = left[~good]
        self.judged = router.judge_levels(scores, self.keys)
        self._handed(Handed(who, tuple(answers), attempts))

    def _hand_over(self) -> None:
        """Decide, and ask those who are to answer."""
        self.judged = judged = self.router.judge(self.found, self.keys)
        replaced = self.router.replaced(judged, self.keys)
        if not replaced.any():
            return
        who = judged.who.copy()
        who[~replaced] = ""
        self._handed(hand_over(who, judged.after, self.ask))

    def _handed(self, handed: Handed) -> None:
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
        self.deliberation = self.parts.deliberate(part, seen)
        after = self.parts.estimate("after", part, seen, self.deliberation)
        self.found |= {label: _spread(value, rows, size) for label, value in after.items()}

    def _consult(self, replaced: Bool) -> Bool:
        """Fuse the answers where delegates are consulted; which those are."""
        nobody = np.zeros(len(replaced), np.bool_)
        fusion, deliberation = self.router.fusion, self.deliberation
        if fusion is None or deliberation is None or deliberation.ranking is None:
            return nobody
        at = np.flatnonzero(self.router.consults(self.found, replaced)[self.thinking])
        if not len(at):
            return nobody
        rows, mine = self.thinking[at], deliberation.ranking.take(at)
        fused, failed = consult(fusion, rows, mine, self.observation.horizon[rows], self.parts.width, self.ask)
        if fused is None:
            said = {row: (*self.handed.attempts.get(row, ()), failed or "") for row in rows.tolist()}
            self.handed = replace(self.handed, attempts={**self.handed.attempts, **said})
            return nobody
        nobody[rows] = True
        self.handed = replace(self.handed, answers=(*self.handed.answers, (rows, fused)))
        return nobody

    def _outcome(self, decisions: Decisions) -> Outcome:
        """What was done, without the answers that are held back."""
        ranking = joined(self.batch, self.handed, self.thinking, self.deliberation)
        if (held := decisions.abstained).any():
            ranking = Ranking(ranking.items.copy(), ranking.scores.copy())
            ranking.items[held], ranking.scores[held] = -1, -np.inf
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
        handed, judged, failed = self.handed, self.judged, dict(self.ask.failed)
        assert judged is not None

        def explain(rows: Rows) -> list[str]:
            told = []
            for row in rows.tolist():
                tried = handed.attempts.get(row, ())
                if tried and handed.who[row] != judged.who[row]:
                    told.append(f"{handed.who[row] or 'the policy'} answers: {'; '.join(tried)}")
                else:
                    told.append("; ".join((decisions.reason[row], *(tried or tuple(failed.values())))))
            return told

        return Reasons(len(decisions), explain)

    def _undecided(self) -> Outcome:
        """The policy answers: what it would be decided by is not there."""
        said = tuple(self.ask.failed.values())
        outcome = _policy_only(self.parts, self.batch, self.observation, f"the policy answers: {'; '.join(said)}")
        signals = {n: Uncertainty(v, _stage(self.parts, n)) for n, v in outcome.uncertainty.items()}
        sure = answer_confidence(self.router, signals, outcome.decisions.replaced)
        attempts = dict.fromkeys(range(len(self.batch)), said)
        return replace(outcome, decisions=replace(outcome.decisions, confidence=sure), attempts=attempts)


def _policy_only(
    parts: Parts,
    batch: QueryBatch,
    observation: Observation,
    reason: str = "there is no router: the policy answers all",
) -> Outcome:
    deliberation = parts.deliberate(batch, observation)
    assert deliberation.ranking is not None
    signals = parts.estimate(None, batch, observation, deliberation)
    return Outcome(
        ranking=deliberation.ranking,
        decisions=undecided(len(batch), "", reason),
        uncertainty={label: value.total for label, value in signals.items()},
        deliberated=np.arange(len(batch)),
        deliberation=deliberation,
    )


def _delegate_only(parts: Parts, batch: QueryBatch, observation: Observation) -> Outcome:
    label = next(iter(parts.delegates))
    decisions = undecided(len(batch), label, "there is no policy: the delegate answers all")
    return Outcome(parts.delegate(label, batch, observation), decisions, {}, np.empty(0, np.intp), None)


def _stage(parts: Parts, label: str) -> str:
    return str(parts.estimators[label].part.stage)


def _spread(value: Uncertainty, rows: Rows, size: int) -> Uncertainty:
    """The same for ``size`` queries, NaN but at ``rows``."""
    if len(rows) == size:
        return value
    total = np.full(size, np.nan, np.float32)
    total[rows] = value.total
    return Uncertainty(total, value.stage)
