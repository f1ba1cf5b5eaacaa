"""What a run leaves for readers: per-user values, decision cards, the environment."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from dataclasses import replace as dataclass_replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from reasonrec_core import __version__
from reasonrec_core.components import Kind
from reasonrec_core.io import whole_file, write_json
from reasonrec_core.pipeline.agent import Agent, Outcome
from reasonrec_core.pipeline.cost_report import routes_of
from reasonrec_core.pipeline.evaluate import Assessed
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.trace import step_as_dict
from reasonrec_core.trace.schema import CONSULT
from reasonrec_core.types import Route, Step

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


def write_users(folder: Path, found: Assessed) -> None:
    """One Parquet file per system: every query's values and answer."""
    for label, scores in found.scores.items():
        with whole_file(folder / "users" / f"{found.task}-{label}.parquet") as aside:
            pq.write_table(scores.table(), aside)


def write_cards(prepared: Prepared, agent: Agent, found: Assessed, path: Path) -> None:
    """Decision cards: a seeded choice of hits and misses, half of them answered by the policy where that can be."""
    rows = chosen_rows(prepared, agent, found)
    write_json(path, [card(prepared, agent, found, int(row)) for row in rows])


def chosen_rows(prepared: Prepared, agent: Agent, found: Assessed) -> np.ndarray:
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


def card(prepared: Prepared, agent: Agent, found: Assessed, row: int) -> dict[str, Any]:
    """One decision, told: what was known, what followed from it, what was answered."""
    case = found.cases.take(np.array([row]))
    scores = next(iter(found.scores.values()))
    assert scores.rank is not None
    assert scores.ranking is not None
    batch, k = case.queries, max(prepared.config.evaluate.k)
    outcome = agent.act(dataclass_replace(batch, k=k))
    decided = outcome.decisions
    gone = decided.route[0] in (Route.REPLACE, Route.ABSTAIN)
    past = batch.history.row(0).tolist()
    start = max(len(past) - prepared.config.report.history, 0)
    steps: tuple[Step, ...] = outcome.deliberation.steps[0] if outcome.deliberation and not gone else ()
    user = int(batch.users[0])
    ranked = zip(outcome.ranking.items[0].tolist(), outcome.ranking.scores[0].tolist(), strict=True)
    return {
        "query": row,
        "user": prepared.dataset.users.column("user_id")[user].as_py() if user >= 0 else None,
        "outcome": "hit" if scores.rank[row] else "miss",
        "route": decided.route[0],
        "delegate": decided.who[0] or None,
        "reason": decided.reason[0],
        "confidence": _number(decided.confidence[0]),
        "risk": _number(decided.risk[0]),
        "history": [item(prepared, i) for i in past[start:]],
        "history_start": start,
        "target": [item(prepared, i) for i in case.targets.tolist()],
        "ranking": [{**item(prepared, i), "score": s} for i, s in ranked if i >= 0],
        "steps": [step_as_dict(step) for step in steps],
        "others": others(prepared, agent, found, row, outcome),
    }


def others(prepared: Prepared, agent: Agent, found: Assessed, row: int, outcome: Outcome) -> list[dict[str, Any]]:
    """What each system that did not answer would have said: its first items, and where it puts what came next."""
    route, told = outcome.decisions.route[0], list[dict[str, Any]]()
    answered = {Route.REPLACE: outcome.decisions.who[0], Route.CONSULT: CONSULT, Route.ABSTAIN: None}
    by = answered.get(route, agent.policy.label if agent.policy else None)
    k = max(prepared.config.evaluate.k)
    targets = set(found.cases.take(np.array([row])).targets.tolist())
    for label, answers in found.answers.items():
        if label == by or answers.ranking is None:
            continue
        items = [i for i in answers.ranking.items[row, :k].tolist() if i >= 0]
        place = next((place for place, i in enumerate(items, 1) if i in targets), None)
        role = (
            "policy" if agent.policy and label == agent.policy.label else "consult" if label == CONSULT else "delegate"
        )
        first = [item(prepared, i) for i in items[:OTHERS]]
        told.append({"system": label, "role": role, "items": first, "rank": place, "of": k})
    return told


def item(prepared: Prepared, index: int) -> dict[str, Any]:
    """How a card shows an item."""
    catalog = prepared.dataset.catalog
    return {"id": catalog.ids[index], "title": catalog.titles[index], "image": catalog.image_paths[index]}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
