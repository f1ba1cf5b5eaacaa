"""The test part, touched once: everybody's answers and scores, and everybody there to be asked more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from reasonrec_core.components import Kind, MetricInfo
from reasonrec_core.config import PipelineConfig
from reasonrec_core.errors import PluginError
from reasonrec_core.evaluate import CLICK_METRICS, RANKING_METRICS, JudgingPolicy, Scores, metric_name
from reasonrec_core.io import content_hash, read_json, whole_file, write_json
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.calibrate_router import choose_answers, collect_signals, make_tie_keys, score_answers
from reasonrec_core.pipeline.component_key import component_key
from reasonrec_core.pipeline.latency import Latency, measure_latency
from reasonrec_core.pipeline.predict import Answers, ask_consulted, ask_delegate, ask_delegate_for_clicks, ask_policy
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.routing import Decisions
from reasonrec_core.types import CONSULT, ROUTED, Cases, Task

SECTION = "section.json"


@dataclass(frozen=True)
class EvaluatedTask:
    """Everything found about one task.

    Attributes:
        cases: the test queries.
        answers: per system as it answered all queries.
        scores: per system, the routed one first where there is one.
        routed: the router's decisions, or None.
    """

    task: Task
    cases: Cases
    answers: Mapping[str, Answers]
    scores: Mapping[str, Scores]
    routed: Decisions | None


@dataclass(frozen=True)
class EvaluatedRun:
    """A run after its test part was answered and scored, before its results are written.

    Attributes:
        prepared: data, split, item features, settings.
        agent: the fitted parts, with their routers.
        tasks: everything found about each task, the first one in full.
        latency: of requests of the first task; None where nothing was timed.
        reporter: the name of the reporter that is asked.
    """

    prepared: Prepared
    agent: Agent
    tasks: tuple[EvaluatedTask, ...]
    latency: Latency | None
    reporter: str = ""

    @property
    def first(self) -> EvaluatedTask:
        """The task that the run is about."""
        return self.tasks[0]

    @property
    def config(self) -> PipelineConfig:
        """The settings."""
        return self.prepared.config

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.prepared.run.path

    def keep(self, name: str, key: object, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What ``make`` gives (JSON values), kept in the run folder: made anew only where something changed.

        Args:
            name: of the stage.
            key: what it depends on beside the code of the reporter.
            make: measures it.
        """
        whole = content_hash(key, component_key(self.prepared.registry, Kind.REPORTER, self.reporter))

        def write(folder: Path) -> None:
            write_json(folder / SECTION, dict(make()))

        return dict(read_json(self.prepared.run.stage(name, whole, write).folder / SECTION))


def evaluate_tasks(prepared: Prepared, agent: Agent) -> EvaluatedRun:
    """Ask every system the test queries of every task, and time some of the first one's."""
    config = prepared.config
    tasks = tuple(evaluate_task(prepared, agent, task) for task in config.tasks)
    queries, k = tasks[0].cases.queries, max(config.evaluate.k)
    latency = measure_latency(agent, queries, config.evaluate.latency_sample, k, config.seed)
    return EvaluatedRun(prepared, agent, tasks, latency)


def evaluate_task(prepared: Prepared, agent: Agent, task: Task) -> EvaluatedTask:
    """Ask every system the test queries and score the answers."""
    cases = prepared.cases(task, "test")
    answers: dict[str, Answers] = {}
    if agent.policy is not None:
        answers[agent.policy.label] = ask_policy(prepared, agent, task, "test")
    if task is Task.EXPLAIN:
        return EvaluatedTask(task, cases, answers, judge_explanations(prepared, agent, answers), None)
    for label in agent.delegates:
        if task is Task.CTR:
            answers[label] = ask_delegate_for_clicks(prepared, agent, label)
        else:
            answers[label] = ask_delegate(prepared, agent, label, task, "test")
    metrics = list_metrics(prepared, task)
    scores: dict[str, Scores] = {}
    routed, router = None, agent.routers.get(task)
    if router is not None and agent.policy is not None:
        mine, known = answers[agent.policy.label], collect_signals(agent, cases.queries, answers)
        assert mine.ranking is not None
        theirs = {label: a.ranking for label in agent.delegates if (a := answers[label]).ranking is not None}
        if (asked := router.consults(known, np.zeros(len(cases), np.bool_))).any():
            answers[CONSULT] = ask_consulted(prepared, agent, task, "test", asked)
        consulted = answers[CONSULT].ranking if CONSULT in answers else None
        routed = router.decide(known, make_tie_keys(cases))
        answered = Answers(choose_answers(routed, mine.ranking, theirs, consulted), {}, None, mine.seconds, "")
        scores[ROUTED] = score_answers(prepared, answered, cases, metrics)
    for label, each in answers.items():
        scores[label] = score_answers(prepared, each, cases, metrics)
    return EvaluatedTask(task, cases, answers, scores, routed)


def list_metrics(prepared: Prepared, task: Task) -> list[MetricInfo]:
    """What is computed: the metrics that the settings name, else all that are installed, and what runs need."""
    names = prepared.config.evaluate.metrics
    needed = {"ctr": ("auc", "uauc", "logloss")}.get(task, ("ndcg", "hr")) if task is not Task.EXPLAIN else ()
    found = prepared.registry.metrics(task, None if names is None else list(dict.fromkeys((*needed, *names))))
    # Built-in ones as they have always been drawn, so that an added one changes no number.
    usual = [m for m in (*RANKING_METRICS, *CLICK_METRICS) if m in found]
    return usual + [m for m in found if m not in usual and m.function is not None]


def judge_explanations(prepared: Prepared, agent: Agent, answers: Mapping[str, Answers]) -> Mapping[str, Scores]:
    """The policy's explanations and what it sets beside them, scored by what the policy judges them with."""
    assert agent.policy is not None
    policy, name = agent.policy.part, agent.policy.name
    if not isinstance(policy, JudgingPolicy):
        what = f"policy {name!r} explains, but brings nothing to judge explanations with"
        fix = "Take explain out, or see reasonrec_core.evaluate.JudgingPolicy."
        raise PluginError(what, where="evaluate.tasks", fix=fix)
    said = {label: each.text for label, each in answers.items() if each.text is not None}
    with prepared.registry.guard(Kind.POLICY, name, "judge"):
        return policy.judge(prepared.dataset, prepared.split, "test", said)


def list_primary_metrics(prepared: Prepared, found: EvaluatedTask) -> tuple[str, ...]:
    """The metrics that comparisons are made on; those that plugins add come last, at the largest cut-off."""
    if found.task is Task.EXPLAIN:
        return ("ROUGE-L", "BLEU-4")
    first, k = next(iter(found.scores.values())), max(prepared.config.evaluate.k)
    usual: tuple[str, ...] = ("AUC", "UAUC", "LogLoss")
    if found.task is not Task.CTR:
        usual = tuple(metric_name(name, k, first.sampled) for name in ("NDCG", "HR"))
    infos = [m for m in list_metrics(prepared, found.task) if m.better != "neither"]
    names = [metric_name(m.name, k if m.cutoff else 0, first.sampled) for m in infos]
    resampled = {*first.per_query, *first.totals}
    return (*usual, *(name for name in names if name in first.added and name in resampled))


def write_users(folder: Path, found: EvaluatedTask) -> None:
    """One Parquet file per system: every query's values and answer."""
    for label, scores in found.scores.items():
        with whole_file(folder / "users" / f"{found.task}-{label}.parquet") as aside:
            pq.write_table(scores.table(), aside)
