"""The rows of an evaluation's trace: test decisions, and the validation queries that the router was calibrated on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.evaluate import Scores
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.calibrate_router import expected_gains, keys, scored, signals
from reasonrec_core.pipeline.evaluate import Assessed
from reasonrec_core.pipeline.latency import Latency
from reasonrec_core.pipeline.predict import CHUNK, delegate_answers, policy_answers
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.routing import Decisions
from reasonrec_core.routing.calibration_data import EXPECTED, encode_gain
from reasonrec_core.routing.decision import undecided
from reasonrec_core.trace import Hasher, TraceBatch
from reasonrec_core.trace.schema import TEST, VALID
from reasonrec_core.types import (
    Bool,
    Cases,
    Float32,
    Float64,
    Int32,
    Int64,
    QueryBatch,
    Ranking,
    Route,
    Step,
    Uncertainty,
    indptr_of,
)


@dataclass(frozen=True)
class Asked:
    """Queries that every system answered, in the order in which they are written.

    Attributes:
        order: int64[B] position of each row among the queries that were answered.
        cases: in that order.
        known: every estimator's values, in the order of the answers, like all that follows.
        scores: by system.
        keys: int64[B] what breaks ties.
    """

    order: Int64
    cases: Cases
    known: Mapping[str, Uncertainty]
    scores: Mapping[str, Scores]
    keys: Int64

    def batches(self, part: str) -> Iterator[tuple[Int64, TraceBatch]]:
        """Chunks with what both parts tell, and where their rows stand among the answers."""
        bounds = self.cases.target_indptr
        for start, batch in self.cases.queries.chunks(CHUNK):
            rows = self.order[start : start + len(batch)]
            quality = {
                label: {metric: values[rows] for metric, values in scores.per_query.items()}
                for label, scores in self.scores.items()
            }
            yield (
                rows,
                TraceBatch(
                    start,
                    batch,
                    part,
                    target_indptr=bounds[start : start + len(rows) + 1],
                    targets=self.cases.targets,
                    keys=self.keys[rows],
                    uncertainty=taken(self.known, rows),
                    quality=quality,
                ),
            )


def decisions(
    prepared: Prepared, agent: Agent, found: Assessed, latency: Latency | None, hasher: Hasher
) -> Iterator[TraceBatch]:
    """The test decisions in chunks; steps are recorded for the decisions that the policy took."""
    router, n, k = agent.routers.get(found.task), len(found.cases), max(prepared.config.evaluate.k)
    mine = found.answers[agent.policy.label] if agent.policy else None
    known = signals(agent, found.cases.queries, found.answers) if mine else {}
    made = found.routed or _nobody_decides(agent, n)
    reasons = list(made.reason)
    spent = mine.tokens if mine and mine.tokens is not None else np.zeros(n, np.int64)
    unasked = made.replaced & (mine is None or (router is not None and router.config.stage == "before"))
    whole, alone = _seconds(latency, n)
    given = next(iter(found.scores.values())).ranking
    assert given is not None
    for rows, batch in _asked(prepared, agent, found, known, hasher).batches(TEST):
        yield replace(
            batch,
            routes=[Route(each) for each in made.route[rows]],
            reasons=[reasons[row] for row in rows],
            ranking=given.take(rows).head(k),
            risk=made.risk[rows] if found.routed else None,
            gain=made.gain[rows] if found.routed else None,
            confidence=made.confidence[rows] if found.routed else None,
            delegates=[label or None for label in made.who[rows]],
            answers={name: a.ranking.take(rows).head(k) for name, a in found.answers.items() if a.ranking is not None},
            steps=_steps(prepared, agent, batch.queries, batch.first, (made.replaced | made.abstained)[rows]),
            latency=whole[rows],
            seconds={label: values[rows] for label, values in alone.items()},
            tokens=np.where(unasked, 0, spent)[rows],
            policy_tokens=spent[rows] if mine else None,
        )


def click_rows(prepared: Prepared, agent: Agent, found: Assessed, hasher: Hasher) -> Iterator[TraceBatch]:
    """Click probabilities in chunks: the first system answers, its candidates from the likeliest to the least.

    ``quality`` holds each system's mean log loss and squared error over the candidates of a request.
    """
    cases, first = found.cases, next(iter(found.answers))
    lists = {label: _ranked(a.probability, cases.queries) for label, a in found.answers.items()}
    quality = {label: _click_quality(scores, len(cases)) for label, scores in found.scores.items()}
    order = hasher.order(_user_ids(prepared, cases)) if hasher.users else np.arange(len(cases), dtype=np.int64)
    policy, whole = agent.policy is not None and agent.policy.label == first, cases.take(order)
    indptr, targets = _clicked(cases, order)
    for start, batch in whole.queries.chunks(CHUNK):
        rows = order[start : start + len(batch)]
        yield TraceBatch(
            start,
            batch,
            TEST,
            routes=[Route.SELF if policy else Route.REPLACE] * len(rows),
            reasons=["nobody routes click probabilities: the first system answers all"] * len(rows),
            ranking=lists[first].take(rows),
            target_indptr=indptr[start : start + len(rows) + 1],
            targets=targets,
            keys=np.full(len(rows), -1, np.int64) if hasher.users else keys(cases)[rows],
            delegates=[None if policy else first] * len(rows),
            answers={label: ranking.take(rows) for label, ranking in lists.items()},
            quality={label: {name: each[rows] for name, each in values.items()} for label, values in quality.items()},
        )


def _ranked(probability: Float32 | None, queries: QueryBatch) -> Ranking:
    """Candidates by probability."""
    assert probability is not None
    assert queries.candidates is not None
    sure = np.where(queries.candidates >= 0, probability, -np.inf).astype(np.float32)
    order = np.argsort(-sure, axis=1, kind="stable")
    return Ranking(np.take_along_axis(queries.candidates, order, axis=1), np.take_along_axis(sure, order, axis=1))


def _clicked(cases: Cases, order: Int64) -> tuple[Int64, Int32]:
    """Row bounds and items of the candidates that were clicked, in the order that is written."""
    assert cases.labels is not None
    assert cases.queries.candidates is not None
    items = cases.queries.candidates[order]
    clicked = (cases.labels[order] > 0) & (items >= 0)
    return indptr_of(clicked.sum(axis=1)), items[clicked]


def _click_quality(scores: Scores, n: int) -> dict[str, Float64]:
    assert scores.clicks is not None
    clicks = scores.clicks
    count = np.bincount(clicks.query, minlength=n)
    with np.errstate(invalid="ignore"):
        parts = {"LogLoss": clicks.losses, "Brier": clicks.squares}
        return {name: np.bincount(clicks.query, each, n) / count for name, each in parts.items()}


def _asked(
    prepared: Prepared, agent: Agent, found: Assessed, known: Mapping[str, Uncertainty], hasher: Hasher
) -> Asked:
    """The test queries; where users are hashed, shuffled and with other numbers to break ties by."""
    cases = found.cases
    if not hasher.users:
        return Asked(np.arange(len(cases), dtype=np.int64), cases, known, found.scores, keys(cases))
    router, users = agent.routers.get(found.task), _user_ids(prepared, cases)

    def same(rows: Int64, drawn: Int64) -> Bool:
        if router is None or found.routed is None:
            return np.ones(len(rows), np.bool_)
        again = router.decide(taken(known, rows), drawn)
        same = (again.route == found.routed.route[rows]) & (again.who == found.routed.who[rows])
        return np.asarray(same, np.bool_)

    order = hasher.order(users)
    return Asked(order, cases.take(order), known, found.scores, hasher.keys(users, same))


def calibration_rows(prepared: Prepared, agent: Agent, found: Assessed, hasher: Hasher) -> Iterator[TraceBatch]:
    """The validation queries in chunks, where there is a router: what another router can be calibrated on."""
    if agent.policy is None or found.task not in agent.routers:
        return
    task, cases = found.task, prepared.cases(found.task, "valid")
    mine = policy_answers(prepared, agent, task, "valid")
    theirs = {label: delegate_answers(prepared, agent, label, task, "valid") for label in agent.delegates}
    scores = {label: scored(prepared, each, cases) for label, each in {agent.policy.label: mine, **theirs}.items()}
    order, numbers = np.arange(len(cases), dtype=np.int64), keys(cases)
    if hasher.users:
        users = _user_ids(prepared, cases)
        order, numbers = hasher.order(users), hasher.keys(users, lambda rows, drawn: drawn >= 0)
    known = signals(agent, cases.queries, {agent.policy.label: mine, **theirs})
    for label, gains in (expected_gains(prepared, agent, {agent.policy.label: mine, **theirs}) or {}).items():
        known[f"{EXPECTED}{label}"] = Uncertainty(encode_gain(gains), "after")
    asked = Asked(order, cases.take(order) if hasher.users else cases, known, scores, numbers)
    for rows, batch in asked.batches(VALID):
        spent = None if mine.tokens is None else mine.tokens[rows]
        yield replace(batch, queries=replace(batch.queries, candidates=None), policy_tokens=spent)


def taken(known: Mapping[str, Uncertainty], rows: Int64) -> dict[str, Uncertainty]:
    """The signals of some queries."""
    return {name: value.take(rows) for name, value in known.items()}


def _user_ids(prepared: Prepared, cases: Cases) -> list[str | None]:
    """String ids, None for unknown users."""
    ids = prepared.dataset.users.column("user_id").to_pylist()
    return [ids[user] if user >= 0 else None for user in cases.queries.users.tolist()]


def _nobody_decides(agent: Agent, n: int) -> Decisions:
    """The policy answers all n requests, or the first delegate where there is no policy."""
    if agent.policy is None:
        return undecided(n, next(iter(agent.delegates)), "there is no policy: the delegate answers all")
    return undecided(n, "", "there is no router: the policy answers all")


def _seconds(latency: Latency | None, n: int) -> tuple[Float64, dict[str, Float64]]:
    """float64[n] of the loop and of each system alone; NaN for requests that were not timed."""
    unknown = np.full(n, np.nan)
    if latency is None:
        return unknown, {}

    def spread(values: Float64) -> Float64:
        full = unknown.copy()
        full[latency.rows] = values
        return full

    return spread(latency.whole), {label: spread(values) for label, values in latency.systems.items()}


def _steps(
    prepared: Prepared, agent: Agent, queries: QueryBatch, start: int, replaced: Bool
) -> dict[int, tuple[Step, ...]]:
    """The steps of the policy's decisions, deliberated anew: an answer is kept in the run, its words are not."""
    mine = np.flatnonzero(~replaced[: max(prepared.config.report.steps - start, 0)])
    if agent.policy is None or not len(mine) or prepared.config.trace.hash_items:
        return {}
    asked = replace(queries.take(mine), k=agent.width)
    steps = agent.deliberate(asked, agent.observe(asked)).steps
    return {int(row): steps[i] for i, row in enumerate(mine)}
