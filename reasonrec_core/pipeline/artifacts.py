"""What a run leaves for readers: the environment, per-user values, cards of decisions, samples of explanations."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import replace as dataclass_replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from reasonrec_core import __version__
from reasonrec_core.components import Kind
from reasonrec_core.evaluate import Scores
from reasonrec_core.evaluate.cards import Card, Explanation
from reasonrec_core.io import whole_file, write_json
from reasonrec_core.pipeline.act import Outcome
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.cost_report import routes_of
from reasonrec_core.pipeline.evaluate import EvaluatedTask, primary
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.types import CONSULT, Cases, Route, Step

LIBRARIES = ("numpy", "scipy", "scikit-learn", "pyarrow", "torch", "transformers", "timm", "open_clip_torch")
OTHERS = 3
"""Items of each answer that was not given that a card shows."""


def environment(command: list[str] | None = None) -> dict[str, Any]:
    """What the run was made with."""
    versions = {"reasonrec": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "command": command or [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": versions,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }


def component_versions(agent: Agent, dataset: str, split: str) -> dict[str, str]:
    """Owner and version of every component, and the hashes of the data and the split: what a decision depends on."""
    found = {"reasonrec": __version__, "dataset": dataset, "split": split}
    kinds = [(Kind.POLICY, agent.policy)] if agent.policy else []
    kinds += [(Kind.DELEGATE, named) for named in agent.delegates.values()]
    kinds += [(Kind.UNCERTAINTY, named) for named in agent.estimators.values()]
    for kind, named in kinds:
        owner = agent.registry.spec(kind, named.name)
        found[f"{kind}:{named.label}"] = f"{named.name} of {owner.distribution} {owner.version}"
    return found


def write_users(folder: Path, found: EvaluatedTask) -> None:
    """One Parquet file per system: every query's values and answer."""
    for label, scores in found.scores.items():
        with whole_file(folder / "users" / f"{found.task}-{label}.parquet") as aside:
            pq.write_table(scores.table(), aside)


def _write_records(path: Path, records: Sequence[Card | Explanation]) -> None:
    write_json(path, [record.model_dump(mode="json", exclude_unset=True) for record in records])


def write_cards(prepared: Prepared, agent: Agent, found: EvaluatedTask, path: Path) -> None:
    """Decision cards: a seeded choice of hits and misses, half of them answered by the policy where that can be."""
    rows = choose_decisions(prepared, agent, found)
    _write_records(path, [make_card(prepared, agent, found, int(row)) for row in rows])


def choose_decisions(prepared: Prepared, agent: Agent, found: EvaluatedTask) -> np.ndarray:
    """Which decisions are shown: as many hits as misses, routes mixed, drawn with the run's seed."""
    scores = next(iter(found.scores.values()))
    assert scores.rank is not None
    rng, wanted = np.random.default_rng(prepared.config.seed), prepared.config.report.cards
    routes = routes_of(found, agent)
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


def make_card(prepared: Prepared, agent: Agent, found: EvaluatedTask, row: int) -> Card:
    """One decision: what was known, what followed from it, what was answered."""
    case = found.cases.take(np.array([row]))
    scores = next(iter(found.scores.values()))
    assert scores.rank is not None
    assert scores.ranking is not None
    batch, k = case.queries, max(prepared.config.evaluate.k)
    outcome = agent.act(dataclass_replace(batch, k=k))
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
        "steps": [step.to_dict() for step in steps],
        "others": list_others(prepared, agent, found, row, outcome),
    }
    return Card.model_validate(shown)


def list_others(
    prepared: Prepared, agent: Agent, found: EvaluatedTask, row: int, outcome: Outcome
) -> list[dict[str, Any]]:
    """What each system that did not answer would have said: its first items, and where it puts what came next."""
    route, listed = outcome.decisions.route[0], list[dict[str, Any]]()
    answered = {Route.REPLACE: outcome.decisions.who[0], Route.CONSULT: CONSULT, Route.ABSTAIN: None}
    by = answered.get(route, agent.policy.label if agent.policy else None)
    k = max(prepared.config.evaluate.k)
    targets = set(found.cases.take(np.array([row])).targets.tolist())
    for label, answers in found.answers.items():
        if label == by or answers.ranking is None or (answers.asked is not None and not answers.asked[row]):
            continue
        items = [i for i in answers.ranking.items[row, :k].tolist() if i >= 0]
        place = next((place for place, i in enumerate(items, 1) if i in targets), None)
        role = (
            "policy" if agent.policy and label == agent.policy.label else "consult" if label == CONSULT else "delegate"
        )
        first = [show_item(prepared, i) for i in items[:OTHERS]]
        listed.append({"system": label, "role": role, "items": first, "rank": place, "of": k})
    return listed


def write_explanations(prepared: Prepared, agent: Agent, found: EvaluatedTask, path: Path) -> None:
    """Write ``report.cards`` explanations of the policy of each kind, with their steps, and what others said."""
    metric = primary(prepared, found)[0]
    label, scores = next(iter(found.scores.items()))
    if scores.text is None or metric not in scores.per_query:
        return
    chosen = choose_explanations(scores.per_query[metric], prepared.config.report.cards, prepared.config.seed)
    rows = np.array([row for _, row in chosen], np.intp)
    batch = found.cases.take(rows).queries
    steps = agent.deliberate(batch, agent.observe(batch)).steps if len(rows) else []
    records = [
        {"shown": shown, "metric": metric, "steps": [step.to_dict() for step in steps[at]]}
        | _show_explanation(prepared, found, int(row))
        | _judge(scores, int(row), metric)
        | {"others": _others({n: s for n, s in found.scores.items() if n != label}, int(row), metric)}
        for at, (shown, row) in enumerate(chosen)
    ]
    _write_records(path, [Explanation.model_validate(each) for each in records])


def choose_explanations(values: np.ndarray, wanted: int, seed: int) -> list[tuple[str, int]]:
    """Why and which: so many of the best, of those drawn from the rest, and of the worst; ties and draws by seed."""
    order = np.random.default_rng(seed).permutation(len(values))
    known = order[~np.isnan(values[order])]
    ranked = known[np.argsort(-values[known], kind="stable")]
    best, worst = ranked[:wanted], ranked[max(wanted, len(ranked) - wanted) :][::-1]
    drawn = known[~np.isin(known, np.concatenate([best, worst]))][:wanted]
    groups = (("best", best), ("drawn", drawn), ("worst", worst))
    return [(shown, int(row)) for shown, group in groups for row in group]


def _show_explanation(prepared: Prepared, found: EvaluatedTask, row: int) -> dict[str, Any]:
    """Who asked about what, and what was known."""
    case = found.cases.take(np.array([row]))
    return {**show_request(prepared, case, row), "item": show_item(prepared, int(case.targets[0]))}


def _judge(scores: Scores, row: int, metric: str) -> dict[str, Any]:
    """The explanation, what it is compared with, and what the check of its claims found."""
    assert scores.text is not None
    claims = None if scores.claims is None else scores.claims[row]
    return {
        "text": scores.text[row],
        "reference": None if scores.references is None else scores.references[row],
        "value": float(scores.per_query[metric][row]),
        "claims": claims and [{"kind": c.kind, "text": c.text, "verified": c.verified} for c in claims],
    }


def _others(scores: dict[str, Scores], row: int, metric: str) -> list[dict[str, Any]]:
    """What the systems said with which the policy is compared."""
    return [
        {"system": name, "text": each.text[row], "value": float(each.per_query[metric][row])}
        for name, each in scores.items()
        if each.text is not None
    ]


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
