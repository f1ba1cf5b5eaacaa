"""Decision cards of an evaluated run: what was asked, what was answered, the steps that led there, what others say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.pipeline import EvaluatedRun, Outcome, Prepared
from reasonrec_core.routing import Decisions
from reasonrec_core.types import CONSULT, Cases, QueryBatch, Route, Step
from reasonrec_report.card_schema import Card
from reasonrec_report.measure.costs import list_routes

Rows = npt.NDArray[np.intp]

OTHERS = 3
"""Items of each answer that was not given that a card shows."""
CAUSES, LEAST = 3, 0.05
"""Causes of a delegate's answer that a card shows, and the least share of one."""


def make_cards(run: EvaluatedRun) -> list[Card]:
    """Of the first task: a seeded choice of hits and misses, half of them answered by the policy where that can be."""
    return [make_card(run, int(row)) for row in choose_decisions(run)]


def choose_decisions(run: EvaluatedRun) -> Rows:
    """Which decisions are shown: as many hits as misses, routes mixed, drawn with the run's seed."""
    scores = next(iter(run.first.scores.values()))
    assert scores.rank is not None
    rng, wanted = np.random.default_rng(run.config.seed), run.config.report.cards
    routes = list_routes(run.first, run.agent)
    ways, picked = sorted(set(routes)), list[int]()
    for hit in (scores.rank > 0, scores.rank == 0):
        drawn = {way: list(rng.permutation(np.flatnonzero(hit & (routes == way)))) for way in ways}
        mine, count = str(Route.SELF), 0
        while count < wanted and any(drawn.values()):
            # Every other card is the policy's, since its cards have steps; the other routes take turns.
            others = [way for way in ways if way != mine and drawn[way]]
            way = mine if drawn.get(mine) and (count % 2 == 0 or not others) else others[count // 2 % len(others)]
            picked.append(int(drawn[way].pop()))
            count += 1
    return np.array(picked, np.intp)


def make_card(run: EvaluatedRun, row: int) -> Card:
    """One decision: what was known, what followed from it, what was answered."""
    case, prepared = run.first.cases.take(np.array([row])), run.prepared
    scores = next(iter(run.first.scores.values()))
    assert scores.rank is not None
    outcome = run.agent.act(replace(case.queries, k=max(run.config.evaluate.k)))
    decided = outcome.decisions
    gone = decided.route[0] in (Route.REPLACE, Route.ABSTAIN)
    steps: tuple[Step, ...] = outcome.deliberation.steps[0] if outcome.deliberation and not gone else ()
    ranked = zip(outcome.ranking.items[0].tolist(), outcome.ranking.scores[0].tolist(), strict=True)
    shown = {
        **show_request(prepared, case, row),
        "outcome": "hit" if scores.rank[row] else "miss",
        "route": decided.route[0],
        "delegate": decided.who[0] or None,
        "reason": decided.reason[0],
        "confidence": _number(decided.confidence[0]),
        "risk": _number(decided.risk[0]),
        "target": [show_item(prepared, i) for i in case.targets.tolist()],
        "ranking": [{**show_item(prepared, i), "score": s} for i, s in ranked if i >= 0],
        "because": list_causes(run, case.queries, outcome) if decided.route[0] == Route.REPLACE else [],
        "steps": [step.to_dict() for step in steps],
        "others": list_others(run, row, outcome.decisions),
    }
    return Card.model_validate(shown)


def list_causes(run: EvaluatedRun, batch: QueryBatch, outcome: Outcome) -> list[dict[str, Any]]:
    """What of the history a delegate recommends its first item for, the largest share first."""
    shares = run.agent.attribute(outcome.decisions.who[0], batch, outcome.ranking.items[:, :1])[:, 0]
    order = np.argsort(-shares, kind="stable")[:CAUSES].tolist()
    return [{"entry": at, "share": float(shares[at])} for at in order if shares[at] >= LEAST]


def list_others(run: EvaluatedRun, row: int, decided: Decisions) -> list[dict[str, Any]]:
    """What each system that did not answer would have said: its first items, and where it puts what came next."""
    found, route, listed = run.first, decided.route[0], list[dict[str, Any]]()
    policy, k = run.agent.policy, max(run.config.evaluate.k)
    answered = {Route.REPLACE: decided.who[0], Route.CONSULT: CONSULT, Route.ABSTAIN: None}
    by = answered.get(route, policy.label if policy else None)
    targets = set(found.cases.take(np.array([row])).targets.tolist())
    for label, answers in found.answers.items():
        if label == by or answers.ranking is None or (answers.asked is not None and not answers.asked[row]):
            continue
        items = [i for i in answers.ranking.items[row, :k].tolist() if i >= 0]
        place = next((place for place, i in enumerate(items, 1) if i in targets), None)
        role = "policy" if policy and label == policy.label else "consult" if label == CONSULT else "delegate"
        first = [show_item(run.prepared, i) for i in items[:OTHERS]]
        listed.append({"system": label, "role": role, "items": first, "rank": place, "of": k})
    return listed


def show_request(prepared: Prepared, case: Cases, row: int) -> dict[str, Any]:
    """Who asked in a batch of one, and what was known."""
    past, user = case.queries.history.row(0).tolist(), int(case.queries.users[0])
    start = max(len(past) - prepared.config.report.history, 0)
    return {
        "query": row,
        "user": prepared.dataset.users.column("user_id")[user].as_py() if user >= 0 else None,
        "history": [show_item(prepared, i) for i in past[start:]],
        "history_start": start,
    }


def show_item(prepared: Prepared, index: int) -> dict[str, Any]:
    """How a card shows an item."""
    catalog = prepared.dataset.catalog
    return {"id": catalog.ids[index], "title": catalog.titles[index], "image": catalog.image_paths[index]}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
