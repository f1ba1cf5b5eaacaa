"""Who answers: routers calibrated on validation, and their decisions about answers that are already there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reasonrec_core.components import MetricInfo
from reasonrec_core.evaluate import RANKING_METRICS, Scores, metric_name, score_ranking
from reasonrec_core.io import content_hash, read_json, write_json
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.budget import router_for_goal
from reasonrec_core.pipeline.latency import costs
from reasonrec_core.pipeline.predict import Answers, delegate_answers, policy_answers
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.routing import Decisions, Evidence, Router
from reasonrec_core.routing.confidence_calibration import fit_stated
from reasonrec_core.routing.expected_gain import expected_gain
from reasonrec_core.routing.fit_fusion import fit_fusion
from reasonrec_core.types import Bool, Cases, Float64, Int64, QueryBatch, Ranking, Task, Uncertainty

Signals = Mapping[str, Uncertainty]


def calibrate(prepared: Prepared, agent: Agent, task: Task) -> Router | None:
    """The router for a task, calibrated on validation queries; None where the pipeline has none."""
    config = prepared.config.router
    if config is None or agent.policy is None or not task.ranks:
        return None
    mine = policy_answers(prepared, agent, task, "valid")
    theirs = {label: delegate_answers(prepared, agent, label, task, "valid") for label in agent.delegates}
    prints = [answers.digest for answers in (mine, *theirs.values())]
    policy = agent.policy.label

    def make(folder: Path) -> None:
        cases = prepared.cases(task, "valid")
        spent = costs(agent, cases.queries, prepared.config.evaluate.latency_sample, prepared.config.seed)
        evidence = replace(validation_evidence(prepared, agent, task), costs=spent)
        router, goal = router_for_goal(prepared, agent, evidence, cases.queries, mine.tokens)
        if goal is not None:
            router.note(goal={"goal": config.goal, **goal})
        if evidence.costs is not None:
            router.note(costs=evidence.costs.to_dict())
        if config.consult is not None:
            known = evidence.signals["evidence-horizon"].total
            listed = {label: each.ranking for label, each in {policy: mine, **theirs}.items() if each.ranking}
            alone = np.zeros(len(evidence), np.bool_)
            router.fusion = fit_fusion(
                listed,
                cases.target_indptr,
                cases.targets,
                known,
                config.seed,
                asked=router.consults(evidence.signals, alone),
                users=evidence.keys,
                resamples=prepared.config.evaluate.resamples,
            )
            router.note(consult=dict(router.fusion.report))
        router.stated = fit_stated(router, evidence, _hits_together(prepared, router, cases, {policy: mine, **theirs}))
        router.hold_back(evidence.signals, evidence.keys)
        write_json(folder / "router.json", router.to_dict())

    stage = prepared.run.stage(
        f"router-{task}", content_hash(config.model_dump(mode="json"), prints, prepared.splits[task].hash), make
    )
    return Router.from_dict(read_json(stage.folder / "router.json"))


def validation_evidence(prepared: Prepared, agent: Agent, task: Task) -> Evidence:
    """The validation answers, without costs; there is a policy."""
    assert agent.policy is not None
    policy, cases = agent.policy.label, prepared.cases(task, "valid")
    answers = {policy: policy_answers(prepared, agent, task, "valid")}
    answers |= {label: delegate_answers(prepared, agent, label, task, "valid") for label in agent.delegates}
    scores = {label: scored(prepared, each, cases) for label, each in answers.items()}
    quality, hit = goals(prepared, scores[policy])
    return Evidence(
        policy,
        signals(agent, cases.queries, answers),
        {label: s.per_query[quality] for label, s in scores.items()},
        {label: s.per_query[hit] > 0 for label, s in scores.items()},
        keys(cases),
        expected=expected_gains(prepared, agent, answers),
    )


def expected_gains(prepared: Prepared, agent: Agent, answers: Mapping[str, Answers]) -> dict[str, Float64] | None:
    """What each delegate is expected to gain; None where the policy does not say how likely its items are."""
    assert agent.policy is not None
    mine = answers[agent.policy.label]
    if mine.masses is None or mine.ranking is None:
        return None
    theirs, depth = {label: answers[label].ranking for label in agent.delegates}, max(prepared.config.evaluate.k)
    return {n: expected_gain(mine.ranking, mine.masses, r, depth) for n, r in theirs.items() if r is not None}


def _hits_together(prepared: Prepared, router: Router, cases: Cases, answers: Mapping[str, Answers]) -> Bool | None:
    """bool[B]: whether what policy and delegates answer together holds the target; None where nobody is consulted."""
    if (joint := fused(router, answers[next(iter(answers))].uncertainty, answers)) is None:
        return None
    found = scored(prepared, joint, cases)
    return np.asarray(found.per_query[goals(prepared, found)[1]] > 0)


def goals(prepared: Prepared, scores: Scores) -> tuple[str, str]:
    """The metrics that routers are calibrated on: quality, and whether the target was found."""
    k = max(prepared.config.evaluate.k)
    return metric_name("NDCG", k, scores.sampled), metric_name("HR", k, scores.sampled)


def scored(
    prepared: Prepared, answers: Answers, cases: Cases, metrics: Sequence[MetricInfo] = RANKING_METRICS
) -> Scores:
    """Metrics of rankings that are already there."""
    assert answers.ranking is not None
    return score_ranking(
        answers.ranking,
        cases,
        prepared.config.evaluate.k,
        n_items=prepared.dataset.n_items,
        item_counts=item_counts(prepared),
        seconds=answers.seconds,
        metrics=metrics,
    )


def item_counts(prepared: Prepared) -> Int64:
    """int64[n_items]: training interactions per item."""
    return np.bincount(prepared.split.train.items, minlength=prepared.dataset.n_items).astype(np.int64)


def keys(cases: Cases) -> Int64:
    """int64[B]: what breaks ties of equal risk; the user, as in the agent's loop."""
    return cases.queries.users.astype(np.int64)


def signals(agent: Agent, queries: QueryBatch, answers: Mapping[str, Answers]) -> dict[str, Uncertainty]:
    """The estimators' values on all queries, and clues from the delegates among ``answers`` (by system)."""
    assert agent.policy is not None
    known = answers[agent.policy.label].uncertainty
    return {label: known[label] for label in agent.estimators} | _clues(agent, queries, answers)


def _clues(agent: Agent, queries: QueryBatch, answers: Mapping[str, Answers]) -> dict[str, Uncertainty]:
    """Clues from the history and from those delegates that have answered, where there can be a router."""
    theirs = {name: a.ranking for name, a in answers.items() if name in agent.delegates and a.ranking is not None}
    return agent.clues(queries, theirs) if agent.popularity is not None else {}


def fused(router: Router, found: Signals, answers: Mapping[str, Answers]) -> Answers | None:
    """What policy and delegates answer together, to all queries; None where nobody is consulted."""
    if router.fusion is None:
        return None
    parts = {label: answers[label] for label in router.fusion.systems}
    rankings = {label: each.ranking for label, each in parts.items() if each.ranking is not None}
    seconds = sum(each.seconds for each in parts.values())
    return Answers(router.fusion(rankings, found["evidence-horizon"].total), {}, None, seconds, "")


def chosen(decisions: Decisions, mine: Ranking, theirs: Mapping[str, Ranking], together: Ranking | None) -> Ranking:
    """What those answer who are to answer, of queries that all have answered: padding where no answer is given.

    Args:
        decisions: about these queries.
        mine: the policy's answers.
        theirs: each delegate's.
        together: those of all, where there are any.
    """
    items, scores = mine.items.copy(), mine.scores.copy()
    for label, ranking in theirs.items():
        rows = decisions.who == label
        items[rows], scores[rows] = ranking.items[rows], ranking.scores[rows]
    if together is not None:
        rows = decisions.consulted
        items[rows], scores[rows] = together.items[rows], together.scores[rows]
    items[decisions.abstained], scores[decisions.abstained] = -1, -np.inf
    return Ranking(items, scores)
