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
from reasonrec_core.files import whole_file, write_json
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.assess import Assessed
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.trace import step_as_dict
from reasonrec_core.types import Step

LIBRARIES = ("numpy", "scipy", "scikit-learn", "pyarrow", "torch", "transformers", "timm", "open_clip_torch")


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


def component_versions(prepared: Prepared, agent: Agent) -> dict[str, str]:
    """Owner and version of every component, the data and the split: what a decision depends on."""
    found = {"reasonrec": __version__, "dataset": prepared.dataset.hash, "split": prepared.split.hash}
    kinds = [(Kind.POLICY, agent.policy)] if agent.policy else []
    kinds += [(Kind.DELEGATE, named) for named in agent.delegates.values()]
    kinds += [(Kind.UNCERTAINTY, named) for named in agent.estimators.values()]
    for kind, named in kinds:
        owner = prepared.registry.spec(kind, named.name)
        found[f"{kind}:{named.label}"] = f"{named.name} of {owner.distribution} {owner.version}"
    return found


def write_users(folder: Path, found: Assessed) -> None:
    """One Parquet file per system: every query's values and answer."""
    for label, scores in found.scores.items():
        with whole_file(folder / "users" / f"{found.task}-{label}.parquet") as aside:
            pq.write_table(scores.table(), aside)


def write_cards(prepared: Prepared, agent: Agent, found: Assessed, path: Path) -> None:
    """Decision cards: a seeded choice of hits and misses, half of them answered by the policy where that can be."""
    rows = chosen_rows(prepared, found)
    write_json(path, [card(prepared, agent, found, int(row)) for row in rows])


def chosen_rows(prepared: Prepared, found: Assessed) -> np.ndarray:
    """Which decisions are shown: as many hits as misses, routes mixed, drawn with the run's seed."""
    scores = next(iter(found.scores.values()))
    assert scores.rank is not None
    rng, wanted = np.random.default_rng(prepared.config.seed), prepared.config.report.cards
    replaced = found.routed.replaced if found.routed else np.zeros(len(scores), np.bool_)
    picked: list[int] = []
    for hit in (scores.rank > 0, scores.rank == 0):
        mine, theirs = (rng.permutation(np.flatnonzero(hit & side)) for side in (~replaced, replaced))
        few = max(wanted - len(theirs), (2 * wanted + 2) // 3)
        picked += [*mine[:few], *theirs[: wanted - min(few, len(mine))]]
    return np.array(picked, np.intp)


def card(prepared: Prepared, agent: Agent, found: Assessed, row: int) -> dict[str, Any]:
    """One decision, told: what was known, what followed from it, what was answered."""
    case = found.cases.take(np.array([row]))
    scores = next(iter(found.scores.values()))
    assert scores.rank is not None
    assert scores.ranking is not None
    batch, k = case.queries, max(prepared.config.evaluate.k)
    outcome = agent.act(dataclass_replace(batch, k=k))
    gone = bool(outcome.replaced[0])
    past = batch.history.row(0).tolist()
    start = max(len(past) - prepared.config.report.history, 0)
    steps: tuple[Step, ...] = outcome.deliberation.steps[0] if outcome.deliberation and not gone else ()
    user = int(batch.users[0])
    ranked = zip(outcome.ranking.items[0].tolist(), outcome.ranking.scores[0].tolist(), strict=True)
    return {
        "query": row,
        "user": prepared.dataset.users.column("user_id")[user].as_py() if user >= 0 else None,
        "outcome": "hit" if scores.rank[row] else "miss",
        "route": "consult" if outcome.consulted[0] else "replace" if gone else "self",
        "delegate": outcome.delegates[0],
        "reason": outcome.why(0),
        "confidence": _number(outcome.confidence[0]),
        "risk": _number(outcome.risk[0]),
        "history": [item(prepared, i) for i in past[start:]],
        "history_start": start,
        "target": [item(prepared, i) for i in case.targets.tolist()],
        "ranking": [{**item(prepared, i), "score": s} for i, s in ranked if i >= 0],
        "steps": [step_as_dict(step) for step in steps],
    }


def item(prepared: Prepared, index: int) -> dict[str, Any]:
    """How a card shows an item."""
    catalog = prepared.dataset.catalog
    return {"id": catalog.ids[index], "title": catalog.titles[index], "image": catalog.image_paths[index]}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
