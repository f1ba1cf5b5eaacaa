"""The trace of an evaluation: test decisions, and the validation queries that the router was calibrated on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from reasonrec_core.evaluate import Scores
from reasonrec_core.pipeline import (
    Agent,
    EvaluatedRun,
    EvaluatedTask,
    Latency,
    ask_consulted,
    ask_delegate,
    ask_policy,
    collect_signals,
    compare_answers,
    make_tie_keys,
    name_goals,
    score_answers,
)
from reasonrec_core.routing import Decisions
from reasonrec_core.routing.consulting import wants_advice
from reasonrec_core.routing.decision import Names, undecided
from reasonrec_core.types import (
    CONSULT,
    Bool,
    Cases,
    Float64,
    Int64,
    QueryBatch,
    Route,
    Step,
    Task,
    Uncertainty,
    indptr_of,
)
from reasonrec_trace.asked import hide_unasked, list_asked
from reasonrec_trace.batch import TraceBatch
from reasonrec_trace.clicks import average_losses, rank_candidates
from reasonrec_trace.config import TraceConfig
from reasonrec_trace.header import make_header
from reasonrec_trace.pseudonyms import make_hasher
from reasonrec_trace.schema import TEST, VALID, Header
from reasonrec_trace.writer import TraceWriter

SUFFIXES = {"parquet": (".parquet",), "jsonl": (".jsonl",), "both": (".parquet", ".jsonl")}
FIRST = "trace"
"""The trace of a run's first task; those of others name their task."""
CHUNK = 256
"""Queries that are written, and whose steps are asked for, at a time."""
Same = Callable[[Int64, Int64], Bool]


def write_traces(run: EvaluatedRun, config: TraceConfig) -> list[Path]:
    """Write a trace per task in the wanted formats; those that an earlier run left otherwise are removed.

    The first task's trace is ``trace``, that of another ``trace-TASK``; explanations have none.
    """
    found = [each for each in run.tasks if each.task is not Task.EXPLAIN]
    stems = [FIRST if each is found[0] else f"{FIRST}-{each.task}" for each in found]
    written = [
        path for each, stem in zip(found, stems, strict=True) for path in _TaskTrace(run, each, config).write(stem)
    ]
    for stem in (FIRST, *(f"{FIRST}-{task}" for task in Task)):
        for path in {run.folder / f"{stem}{suffix}" for suffix in SUFFIXES["both"]} - {*written}:
            path.unlink(missing_ok=True)
    return written


class _TaskTrace:
    """What is written of one task."""

    def __init__(self, run: EvaluatedRun, found: EvaluatedTask, config: TraceConfig) -> None:
        self.run, self.found, self.config = run, found, config
        self.prepared, self.agent, self.hasher = run.prepared, run.agent, make_hasher(config)

    def write(self, stem: str) -> list[Path]:
        """Write it in the wanted formats; gives the files."""
        dataset, total, head = self.prepared.dataset, len(self.found.cases), self._header()
        users = dataset.users.column("user_id").to_pylist()
        paths = [self.run.folder / f"{stem}{suffix}" for suffix in SUFFIXES[self.config.format]]
        with ExitStack() as stack:
            writers = [
                stack.enter_context(
                    TraceWriter(
                        path,
                        head,
                        item_ids=dataset.catalog.ids,
                        user_ids=users,
                        hasher=self.hasher,
                        history=self.config.history,
                    )
                )
                for path in paths
            ]
            parts = [self._clicks] if self.found.task is Task.CTR else [self._decisions, self._calibration]
            for batch in (batch for part in parts for batch in part()):
                for writer in writers:
                    writer.write_batch(batch)
                self.prepared.progress(min(batch.first + CHUNK, total), total, f"trace {self.found.task}")
        return paths

    def _header(self) -> Header:
        task, prepared, found = self.found.task, self.prepared, self.found
        quality, hit = (None, None) if task is Task.CTR else name_goals(prepared, next(iter(found.scores.values())))
        return make_header(
            self.agent,
            prepared.config,
            self.config,
            task,
            prepared.dataset,
            prepared.split.hash,
            quality=quality,
            hit=hit,
            batch_seconds={label: a.seconds / max(len(found.cases), 1) for label, a in found.answers.items()},
            split=prepared.splits[task].hash,
        )

    def _batches(
        self, cases: Cases, part: str, scores: Mapping[str, Scores], same: Same
    ) -> Iterator[tuple[Int64, TraceBatch]]:
        """Chunks of queries in the order in which they are written, and where their rows stand among the answers.

        Where users are hashed, rows are shuffled and have other numbers to break ties by.
        """
        order, numbers = np.arange(len(cases), dtype=np.int64), make_tie_keys(cases)
        if self.hasher.users:
            ids = self.prepared.dataset.users.column("user_id").to_pylist()
            users = [ids[user] if user >= 0 else None for user in cases.queries.users.tolist()]
            order, numbers = self.hasher.order(users), self.hasher.keys(users, same)
            cases = cases.take(order)
        bounds = cases.target_indptr
        for start, batch in cases.queries.chunks(CHUNK):
            rows = order[start : start + len(batch)]
            quality = {
                label: {metric: values[rows] for metric, values in each.per_query.items()}
                for label, each in scores.items()
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

    def _decisions(self) -> Iterator[TraceBatch]:
        """The test decisions; steps are recorded for the decisions that the policy took."""
        agent, found = self.agent, self.found
        router, n, k = agent.routers.get(found.task), len(found.cases), max(self.prepared.config.evaluate.k)
        mine = found.answers[agent.policy.label] if agent.policy else None
        known = collect_signals(agent, found.cases.queries, found.answers) if mine else {}
        made = found.routed or _leave_undecided(agent, n)
        reasons = list(made.reason)
        spent = mine.tokens if mine and mine.tokens is not None else np.zeros(n, np.int64)
        unasked = made.replaced & (mine is None or (router is not None and router.config.stage == "before"))
        advised = found.answers.get(CONSULT)
        more = np.zeros(n, np.int64) if advised is None or advised.tokens is None else advised.tokens * made.consulted
        scores = {label: hide_unasked(each, found.answers.get(label)) for label, each in found.scores.items()}
        whole, systems = _spread_seconds(self.run.latency if found is self.run.first else None, n)
        given = next(iter(found.scores.values())).ranking
        assert given is not None

        def same(rows: Int64, drawn: Int64) -> Bool:
            if router is None or found.routed is None:
                return np.ones(len(rows), np.bool_)
            again = router.decide(_take(known, rows), drawn)
            same_route = again.route == found.routed.route[rows]
            return np.asarray(same_route & (again.who == found.routed.who[rows]), np.bool_)

        for rows, batch in self._batches(found.cases, TEST, scores, same):
            answers = {name: a for name, a in found.answers.items() if a.ranking is not None}
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
                answers={name: list_asked(each, rows, k) for name, each in answers.items()},
                steps=self._repeat_steps(batch.queries, batch.first, made.route[rows]),
                latency=whole[rows],
                seconds={label: values[rows] for label, values in systems.items()},
                tokens=(np.where(unasked, 0, spent) + more)[rows],
                policy_tokens=spent[rows] if mine else None,
            )

    def _repeat_steps(self, queries: QueryBatch, start: int, routes: Names) -> dict[int, tuple[Step, ...]]:
        """The steps of the policy's decisions, deliberated anew: an answer is kept in the run, its words are not."""
        agent, made = self.agent, dict[int, tuple[Step, ...]]()
        routes = routes[: max(self.prepared.config.report.steps - start, 0)]
        if agent.policy is None or self.config.hash_items:
            return made
        for route, decide in ((Route.SELF, agent.deliberate), (Route.CONSULT, agent.consult)):
            if len(mine := np.flatnonzero(routes == str(route))):
                asked = replace(queries.take(mine), k=agent.width)
                made |= dict(zip(mine.tolist(), decide(asked, agent.observe(asked)).steps, strict=True))
        return made

    def _calibration(self) -> Iterator[TraceBatch]:
        """The validation queries, where there is a router: what another router can be calibrated on."""
        prepared, agent, task = self.prepared, self.agent, self.found.task
        if agent.policy is None or task not in agent.routers:
            return
        cases = prepared.cases(task, "valid")
        mine = ask_policy(prepared, agent, task, "valid")
        answers = {agent.policy.label: mine}
        answers |= {label: ask_delegate(prepared, agent, label, task, "valid") for label in agent.delegates}
        scores = {label: score_answers(prepared, each, cases) for label, each in answers.items()}
        known = collect_signals(agent, cases.queries, answers)
        if (asked := wants_advice(agent.routers[task].config, known)).any():
            advised = ask_consulted(prepared, agent, task, "valid", asked)
            scores[CONSULT] = hide_unasked(score_answers(prepared, advised, cases), advised)
        known |= compare_answers(prepared, agent, answers)
        for rows, batch in self._batches(cases, VALID, scores, _any_number):
            queries = replace(batch.queries, candidates=None)
            spent = None if mine.tokens is None else mine.tokens[rows]
            yield replace(batch, queries=queries, uncertainty=_take(known, rows), policy_tokens=spent)

    def _clicks(self) -> Iterator[TraceBatch]:
        """Click probabilities, which nobody routes: the first system answers, its likeliest candidates first.

        ``quality`` holds each system's mean log loss and squared error over the candidates of a request.
        """
        agent, found = self.agent, self.found
        first, listed, shown = next(iter(found.answers)), found.cases.queries.candidates, found.cases.labels
        assert listed is not None
        assert shown is not None
        lists = {label: rank_candidates(listed, a.probability) for label, a in found.answers.items()}
        losses = {label: average_losses(each, len(found.cases)) for label, each in found.scores.items()}
        policy = agent.policy is not None and agent.policy.label == first
        for rows, batch in self._batches(found.cases, TEST, {}, _any_number):
            clicked = (shown[rows] > 0) & (listed[rows] >= 0)
            yield replace(
                batch,
                routes=[Route.SELF if policy else Route.REPLACE] * len(rows),
                reasons=["click probabilities are not routed: the first system answers every request"] * len(rows),
                ranking=lists[first].take(rows),
                target_indptr=indptr_of(clicked.sum(axis=1)),
                targets=listed[rows][clicked],
                keys=np.full(len(rows), -1, np.int64) if self.hasher.users else batch.keys,
                delegates=[None if policy else first] * len(rows),
                answers={label: ranking.take(rows) for label, ranking in lists.items()},
                quality={
                    label: {name: each[rows] for name, each in values.items()} for label, values in losses.items()
                },
            )


def _any_number(rows: Int64, drawn: Int64) -> Bool:
    """Nobody decides about these rows, so every number breaks their ties alike."""
    return drawn >= 0


def _take(known: Mapping[str, Uncertainty], rows: Int64) -> dict[str, Uncertainty]:
    """The signals of some queries."""
    return {name: value.take(rows) for name, value in known.items()}


def _leave_undecided(agent: Agent, n: int) -> Decisions:
    """The policy answers all n requests, or the first delegate where there is no policy."""
    if agent.policy is None:
        return undecided(n, next(iter(agent.delegates)), "there is no policy: the delegate answers every request")
    return undecided(n, "", "without a router, the policy answers every request")


def _spread_seconds(latency: Latency | None, n: int) -> tuple[Float64, dict[str, Float64]]:
    """float64[n] of the loop and of each system alone; NaN for requests that were not timed."""
    timed = {} if latency is None else {"": latency.whole, **latency.systems}
    found = {label: np.full(n, np.nan) for label in ("", *timed)}
    for label, values in timed.items():
        assert latency is not None
        found[label][latency.rows] = values
    return found.pop(""), found
