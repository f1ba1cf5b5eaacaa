"""Who answers: routers fitted to validation queries, and answers by their decisions where all have answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import MetricInfo
from reasonrec_core.evaluate import CLICK_METRICS, RANKING_METRICS, Scores, metric_name, score_ctr, score_ranking
from reasonrec_core.hookspecs import Kind
from reasonrec_core.io import read_json, write_json
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.component_key import component_key
from reasonrec_core.pipeline.latency import measure_costs
from reasonrec_core.pipeline.predict import Answers, ask_consulted, ask_delegate, everybodys_answers
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.pipeline.router_goal import GoalSearch
from reasonrec_core.routing import CalibrationData, ConsultedAnswers, Decisions, Router, make_router, read_router
from reasonrec_core.routing.consulting import wants_advice
from reasonrec_core.types import Cases, Int64, QueryBatch, Ranking, Task, Uncertainty


def calibrate_router(prepared: Prepared, agent: Agent, task: Task) -> Router[Any] | None:
    """The router for a task, fitted to validation queries alone; None where the pipeline has none."""
    if prepared.config.router is None or agent.policy is None or not task.ranks:
        return None
    router = make_router(prepared.config.router, prepared.registry)
    answers = everybodys_answers(prepared, agent, task, "valid")

    def make(folder: Path) -> None:
        with prepared.registry.guard(Kind.ROUTER, router.config.kind, "fit"):
            made = _fit(prepared, agent, task, router, answers)
        write_json(folder / "router.json", made.to_dict())

    key = {
        **component_key(prepared.registry, Kind.ROUTER, router.config.kind, router.config.model_dump(mode="json")),
        "answers": [each.digest for each in answers.values()],
        "split": prepared.splits[task].hash,
    }
    stage = prepared.run.stage(f"router-{task}", key, make)
    return read_router(read_json(stage.folder / "router.json"), prepared.registry)


def _fit(
    prepared: Prepared, agent: Agent, task: Task, router: Router[Any], answers: Mapping[str, Answers]
) -> Router[Any]:
    """The fitted router, from answers to the validation queries, the policy's first."""
    settings, queries = prepared.config.evaluate, prepared.cases(task, "valid").queries
    costs = measure_costs(agent, queries, settings.latency_sample, prepared.config.seed)
    data = replace(collect_calibration_data(prepared, agent, task), costs=costs)
    made, goal = GoalSearch(prepared, agent, task, data, answers[data.policy].tokens).fit(router)
    if goal is not None:
        made.note(goal=goal)
    if costs is not None:
        made.note(costs=costs.model_dump())
    made.learn_consulting(data, resamples=settings.resamples)
    made.calibrate_confidence(data)
    made.place_abstention(data)
    return made


def collect_calibration_data(prepared: Prepared, agent: Agent, task: Task) -> CalibrationData:
    """The validation answers, without costs; there is a policy."""
    assert agent.policy is not None
    policy, cases = agent.policy.label, prepared.cases(task, "valid")
    answers = everybodys_answers(prepared, agent, task, "valid")
    scores = {label: score_answers(prepared, each, cases) for label, each in answers.items()}
    quality, hit = name_goals(prepared, scores[policy])
    known, consulted = collect_signals(agent, cases.queries, answers), None
    assert prepared.config.router is not None
    if (asked := wants_advice(prepared.config.router, known)).any():
        found = score_answers(prepared, ask_consulted(prepared, agent, task, "valid", asked), cases).per_query
        consulted = ConsultedAnswers(asked, found[quality], found[hit] > 0)
    return CalibrationData(
        policy,
        {**known, **compare_answers(prepared, agent, answers)},
        {label: s.per_query[quality] for label, s in scores.items()},
        {label: s.per_query[hit] > 0 for label, s in scores.items()},
        make_tie_keys(cases),
        consulted=consulted,
    )


def compare_answers(prepared: Prepared, agent: Agent, answers: Mapping[str, Answers]) -> dict[str, Uncertainty]:
    """What routers learn from the policy's word on delegates; nothing where it says not how likely items are."""
    assert agent.policy is not None
    mine, found = answers[agent.policy.label], dict[str, Uncertainty]()
    if mine.masses is not None and mine.ranking is not None:
        theirs = {n: r for n in agent.delegates if (r := answers[n].ranking) is not None}
        for each in agent.looks_at:
            found |= each.compare(mine.ranking, mine.masses, theirs, max(prepared.config.evaluate.k))
    return found


def choose_delegate(prepared: Prepared, agent: Agent, task: Task) -> tuple[str, str] | None:
    """Who answers where there is no policy, and why: the best delegate on validation, the first listed among equals.

    Of rankings by NDCG, of clicks by AUC. None where there is a policy, or nobody to choose from.
    """
    if agent.policy is not None or len(agent.delegates) < 2 or task is Task.EXPLAIN:
        return None
    cases, found = prepared.cases(task, "valid"), dict[str, float]()
    metrics = CLICK_METRICS[:1] if task is Task.CTR else RANKING_METRICS  # of clicks AUC, as no map to chances moves it
    for label in agent.delegates if len(cases) else ():
        scores = score_answers(prepared, ask_delegate(prepared, agent, label, task, "valid"), cases, metrics)
        metric = scores.metrics[0] if task is Task.CTR else name_goals(prepared, scores)[0]
        if np.isfinite(scores.values[metric]):
            found[label] = scores.values[metric]
    if not found:
        label = next(iter(agent.delegates))
        return label, f"without a policy and validation data, {label} answers all, because it is listed first"
    best = max(found, key=found.__getitem__)
    why = f"the best delegate on {len(cases)} validation requests ({metric} {found[best]:.4f})"
    return best, f"there is no policy: {best} answers every request, {why}"


def name_goals(prepared: Prepared, scores: Scores) -> tuple[str, str]:
    """The metrics that routers are calibrated on: quality, and whether the target was found."""
    k = max(prepared.config.evaluate.k)
    return metric_name("NDCG", k, scores.sampled), metric_name("HR", k, scores.sampled)


def score_answers(
    prepared: Prepared, answers: Answers, cases: Cases, metrics: Sequence[MetricInfo] = RANKING_METRICS
) -> Scores:
    """Metrics of rankings or click probabilities that are already there."""
    if answers.probability is not None:
        return score_ctr(answers.probability, cases, seconds=answers.seconds, metrics=metrics)
    assert answers.ranking is not None
    return score_ranking(
        answers.ranking,
        cases,
        prepared.config.evaluate.k,
        n_items=prepared.dataset.n_items,
        item_counts=prepared.item_counts,
        seconds=answers.seconds,
        metrics=metrics,
    )


def make_tie_keys(cases: Cases) -> Int64:
    """int64[B]: what breaks ties of equal risk; the user, as in the agent's loop."""
    return cases.queries.users.astype(np.int64)


def collect_signals(agent: Agent, queries: QueryBatch, answers: Mapping[str, Answers]) -> dict[str, Uncertainty]:
    """The estimators' values on all queries, and features from the delegates among ``answers`` (by system)."""
    assert agent.policy is not None
    known = answers[agent.policy.label].uncertainty
    found: dict[str, Uncertainty] = {label: known[label] for label in agent.estimators}
    if agent.popularity is None:  # there can be no router
        return found
    theirs = {name: a.ranking for name, a in answers.items() if name in agent.delegates and a.ranking is not None}
    return {**found, **agent.features(queries, theirs)}


def choose_answers(
    decisions: Decisions, mine: Ranking, theirs: Mapping[str, Ranking], consulted: Ranking | None
) -> Ranking:
    """What those answer who are to answer, of queries that all have answered: padding where no answer is given.

    ``mine`` are the policy's answers, ``theirs`` each delegate's, ``consulted`` the policy's with those in view.
    """
    items, scores = mine.items.copy(), mine.scores.copy()
    for label, ranking in theirs.items():
        rows = decisions.who == label
        items[rows], scores[rows] = ranking.items[rows], ranking.scores[rows]
    if consulted is not None:
        rows = decisions.consulted
        items[rows], scores[rows] = consulted.items[rows], consulted.scores[rows]
    items[decisions.abstained], scores[decisions.abstained] = -1, -np.inf
    return Ranking(items, scores)
