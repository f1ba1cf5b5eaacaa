"""The trace of an evaluation: test decisions, and the validation queries that the router was calibrated on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from reasonrec_core.evaluate import Scores
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.calibrate_router import expected_gains, goals, keys, scored, signals
from reasonrec_core.pipeline.evaluate import EvaluatedTask
from reasonrec_core.pipeline.latency import Latency
from reasonrec_core.pipeline.predict import CHUNK, delegate_answers, policy_answers
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.pipeline.request_trace import make_header
from reasonrec_core.routing import Decisions
from reasonrec_core.routing.calibration_data import EXPECTED, encode_gain
from reasonrec_core.routing.decision import undecided
from reasonrec_core.trace import Hasher, TraceBatch, TraceWriter, make_hasher
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
    Task,
    Uncertainty,
    indptr_of,
)

SUFFIXES = {"parquet": (".parquet",), "jsonl": (".jsonl",), "both": (".parquet", ".jsonl")}
FIRST = "trace"
"""The trace of a run's first task; those of others name their task."""
Same = Callable[[Int64, Int64], Bool]


def write_traces(
    prepared: Prepared, agent: Agent, found: Sequence[EvaluatedTask], latency: Latency | None, folder: Path
) -> None:
    """Write a trace per task in the wanted formats; those that an earlier run left otherwise are removed.

    Args:
        prepared, agent: the run.
        found: its tasks; the first one's trace is ``trace``, that of another ``trace-TASK``; explanations have none.
        latency: of requests of the first.
        folder: the run folder.
    """
    found = [each for each in found if each.task is not Task.EXPLAIN]
    wanted = {each.task: FIRST if each is found[0] else f"{FIRST}-{each.task}" for each in found}
    for each in found:
        _write(prepared, agent, each, latency if each is found[0] else None, folder / wanted[each.task])
    kept = {f"{stem}{suffix}" for stem in wanted.values() for suffix in SUFFIXES[prepared.config.trace.format]}
    for stem in (FIRST, *(f"{FIRST}-{task}" for task in Task)):
        for name in {f"{stem}{suffix}" for suffix in SUFFIXES["both"]} - kept:
            (folder / name).unlink(missing_ok=True)


def _write(prepared: Prepared, agent: Agent, found: EvaluatedTask, latency: Latency | None, stem: Path) -> None:
    config, dataset, total = prepared.config.trace, prepared.dataset, len(found.cases)
    clicks, hasher = found.task is Task.CTR, make_hasher(config)
    users = dataset.users.column("user_id").to_pylist()
    quality, hit = (None, None) if clicks else goals(prepared, next(iter(found.scores.values())))
    head = make_header(
        agent,
        prepared.config,
        found.task,
        dataset,
        prepared.split.hash,
        quality=quality,
        hit=hit,
        batch_seconds={label: a.seconds / max(total, 1) for label, a in found.answers.items()},
        split=prepared.splits[found.task].hash,
    )
    parts = [_clicks] if clicks else [_decisions, _calibration]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                TraceWriter(
                    stem.parent / f"{stem.name}{suffix}",
                    head,
                    item_ids=dataset.catalog.ids,
                    user_ids=users,
                    hasher=hasher,
                    history=config.history,
                )
            )
            for suffix in SUFFIXES[config.format]
        ]
        for batch in (batch for part in parts for batch in part(prepared, agent, found, latency, hasher)):
            for writer in writers:
                writer.write_batch(batch)
            prepared.progress(min(batch.first + CHUNK, total), total, f"trace {found.task}")


def _batches(
    prepared: Prepared, cases: Cases, part: str, scores: Mapping[str, Scores], hasher: Hasher, same: Same
) -> Iterator[tuple[Int64, TraceBatch]]:
    """Chunks of queries in the order in which they are written, and where their rows stand among the answers.

    Where users are hashed, rows are shuffled and have other numbers to break ties by.
    """
    order, numbers = np.arange(len(cases), dtype=np.int64), keys(cases)
    if hasher.users:
        ids = prepared.dataset.users.column("user_id").to_pylist()
        users = [ids[user] if user >= 0 else None for user in cases.queries.users.tolist()]
        order, numbers = hasher.order(users), hasher.keys(users, same)
        cases = cases.take(order)
    bounds = cases.target_indptr
    for start, batch in cases.queries.chunks(CHUNK):
        rows = order[start : start + len(batch)]
        quality = {
            label: {metric: values[rows] for metric, values in each.per_query.items()} for label, each in scores.items()
        }
        yield (
            rows,
            TraceBatch(
                start,
                batch,
                part,
                target_indptr=bounds[start : start + len(rows) + 1],
                targets=cases.targets,
                keys=numbers[rows],
                quality=quality,
            ),
        )


def _decisions(
    prepared: Prepared, agent: Agent, found: EvaluatedTask, latency: Latency | None, hasher: Hasher
) -> Iterator[TraceBatch]:
    """The test decisions; steps are recorded for the decisions that the policy took."""
    router, n, k = agent.routers.get(found.task), len(found.cases), max(prepared.config.evaluate.k)
    mine = found.answers[agent.policy.label] if agent.policy else None
    known = signals(agent, found.cases.queries, found.answers) if mine else {}
    made = found.routed or _leave_undecided(agent, n)
    reasons = list(made.reason)
    spent = mine.tokens if mine and mine.tokens is not None else np.zeros(n, np.int64)
    unasked = made.replaced & (mine is None or (router is not None and router.config.stage == "before"))
    whole, alone = _spread_seconds(latency, n)
    given = next(iter(found.scores.values())).ranking
    assert given is not None

    def same(rows: Int64, drawn: Int64) -> Bool:
        if router is None or found.routed is None:
            return np.ones(len(rows), np.bool_)
        again = router.decide(_take(known, rows), drawn)
        return np.asarray((again.route == found.routed.route[rows]) & (again.who == found.routed.who[rows]), np.bool_)

    for rows, batch in _batches(prepared, found.cases, TEST, found.scores, hasher, same):
        yield replace(
            batch,
            routes=[Route(each) for each in made.route[rows]],
            reasons=[reasons[row] for row in rows],
            ranking=given.take(rows).head(k),
            risk=made.risk[rows] if found.routed else None,
            gain=made.gain[rows] if found.routed else None,
            confidence=made.confidence[rows] if found.routed else None,
            uncertainty=_take(known, rows),
            delegates=[label or None for label in made.who[rows]],
            answers={name: a.ranking.take(rows).head(k) for name, a in found.answers.items() if a.ranking is not None},
            steps=_repeat_steps(prepared, agent, batch.queries, batch.first, (made.replaced | made.abstained)[rows]),
            latency=whole[rows],
            seconds={label: values[rows] for label, values in alone.items()},
            tokens=np.where(unasked, 0, spent)[rows],
            policy_tokens=spent[rows] if mine else None,
        )


def _calibration(
    prepared: Prepared, agent: Agent, found: EvaluatedTask, latency: Latency | None, hasher: Hasher
) -> Iterator[TraceBatch]:
    """The validation queries, where there is a router: what another router can be calibrated on."""
    if agent.policy is None or found.task not in agent.routers:
        return
    task, cases = found.task, prepared.cases(found.task, "valid")
    mine = policy_answers(prepared, agent, task, "valid")
    answers = {agent.policy.label: mine}
    answers |= {label: delegate_answers(prepared, agent, label, task, "valid") for label in agent.delegates}
    scores = {label: scored(prepared, each, cases) for label, each in answers.items()}
    known = signals(agent, cases.queries, answers)
    for label, gains in (expected_gains(prepared, agent, answers) or {}).items():
        known[f"{EXPECTED}{label}"] = Uncertainty(encode_gain(gains), "after")
    for rows, batch in _batches(prepared, cases, VALID, scores, hasher, lambda rows, drawn: drawn >= 0):
        queries = replace(batch.queries, candidates=None)
        spent = None if mine.tokens is None else mine.tokens[rows]
        yield replace(batch, queries=queries, uncertainty=_take(known, rows), policy_tokens=spent)


def _clicks(
    prepared: Prepared, agent: Agent, found: EvaluatedTask, latency: Latency | None, hasher: Hasher
) -> Iterator[TraceBatch]:
    """Click probabilities, which nobody routes: the first system answers, its likeliest candidates first.

    ``quality`` holds each system's mean log loss and squared error over the candidates of a request.
    """
    first, listed, shown = next(iter(found.answers)), found.cases.queries.candidates, found.cases.labels
    assert listed is not None
    assert shown is not None
    lists = {label: _rank_candidates(listed, a.probability) for label, a in found.answers.items()}
    quality = {label: _average_losses(each, len(found.cases)) for label, each in found.scores.items()}
    policy = agent.policy is not None and agent.policy.label == first
    for rows, batch in _batches(prepared, found.cases, TEST, {}, hasher, lambda rows, drawn: drawn >= 0):
        clicked = (shown[rows] > 0) & (listed[rows] >= 0)
        yield replace(
            batch,
            routes=[Route.SELF if policy else Route.REPLACE] * len(rows),
            reasons=["nobody routes click probabilities: the first system answers all"] * len(rows),
            ranking=lists[first].take(rows),
            target_indptr=indptr_of(clicked.sum(axis=1)),
            targets=listed[rows][clicked],
            keys=np.full(len(rows), -1, np.int64) if hasher.users else batch.keys,
            delegates=[None if policy else first] * len(rows),
            answers={label: ranking.take(rows) for label, ranking in lists.items()},
            quality={label: {name: each[rows] for name, each in values.items()} for label, values in quality.items()},
        )


def _rank_candidates(candidates: Int32, probability: Float32 | None) -> Ranking:
    """Candidates by probability."""
    assert probability is not None
    sure = np.where(candidates >= 0, probability, -np.inf).astype(np.float32)
    order = np.argsort(-sure, axis=1, kind="stable")
    return Ranking(np.take_along_axis(candidates, order, axis=1), np.take_along_axis(sure, order, axis=1))


def _average_losses(scores: Scores, n: int) -> dict[str, Float64]:
    assert scores.clicks is not None
    clicks = scores.clicks
    count = np.bincount(clicks.query, minlength=n)
    with np.errstate(invalid="ignore"):
        parts = {"LogLoss": clicks.losses, "Brier": clicks.squares}
        return {name: np.bincount(clicks.query, each, n) / count for name, each in parts.items()}


def _take(known: Mapping[str, Uncertainty], rows: Int64) -> dict[str, Uncertainty]:
    """The signals of some queries."""
    return {name: value.take(rows) for name, value in known.items()}


def _leave_undecided(agent: Agent, n: int) -> Decisions:
    """The policy answers all n requests, or the first delegate where there is no policy."""
    if agent.policy is None:
        return undecided(n, next(iter(agent.delegates)), "there is no policy: the delegate answers all")
    return undecided(n, "", "there is no router: the policy answers all")


def _spread_seconds(latency: Latency | None, n: int) -> tuple[Float64, dict[str, Float64]]:
    """float64[n] of the loop and of each system alone; NaN for requests that were not timed."""
    timed = {} if latency is None else {"": latency.whole, **latency.systems}
    found = {label: np.full(n, np.nan) for label in ("", *timed)}
    for label, values in timed.items():
        assert latency is not None
        found[label][latency.rows] = values
    return found.pop(""), found


def _repeat_steps(
    prepared: Prepared, agent: Agent, queries: QueryBatch, start: int, replaced: Bool
) -> dict[int, tuple[Step, ...]]:
    """The steps of the policy's decisions, deliberated anew: an answer is kept in the run, its words are not."""
    mine = np.flatnonzero(~replaced[: max(prepared.config.report.steps - start, 0)])
    if agent.policy is None or not len(mine) or prepared.config.trace.hash_items:
        return {}
    asked = replace(queries.take(mine), k=agent.width)
    steps = agent.deliberate(asked, agent.observe(asked)).steps
    return {int(row): steps[i] for i, row in enumerate(mine)}
