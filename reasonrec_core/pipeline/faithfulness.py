"""Faithfulness of the policy in a run: the stage that edits its steps on test queries, and what it came to."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.evaluate import Effects, choose_queries, measure_effects, summarise_effects
from reasonrec_core.evaluate.faithfulness import DRAWS, LISTED, SHARES, SHORTEST
from reasonrec_core.evaluate.schema import FaithfulnessResult
from reasonrec_core.io import content_hash
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.evaluate import Assessed
from reasonrec_core.pipeline.interactive import EditedPolicy
from reasonrec_core.pipeline.prepare import Prepared


def faithfulness(prepared: Prepared, agent: Agent, found: Assessed) -> FaithfulnessResult | None:
    """The tables, or why there are none; None without a policy or switched off."""
    wanted = prepared.config.evaluate.faithfulness
    if not wanted or agent.policy is None:
        return None
    why = EditedPolicy.refusal(agent) if found.task.ranks else f"the task {found.task} asks for no ranking"
    rows = choose_queries(found.cases.queries, wanted, prepared.config.seed)
    if why is None and not len(rows):
        why = f"no test query has {SHORTEST} history entries"
    if why is not None:
        return FaithfulnessResult(skipped=why)
    effects = _effects(prepared, agent, found, rows)
    seed, resamples = prepared.config.seed, prepared.config.evaluate.resamples
    tables = summarise_effects(effects, seed=seed, resamples=resamples)
    facts = {"task": str(found.task), "policy": agent.policy.label, "k": LISTED, "draws": DRAWS}
    return FaithfulnessResult.model_validate(facts | tables)


def _effects(prepared: Prepared, agent: Agent, found: Assessed, rows: np.ndarray[Any, np.dtype[np.intp]]) -> Effects:
    """The effects of editing, kept in the run folder."""
    assert agent.policy is not None
    label, seed = agent.policy.label, prepared.config.seed

    def make(folder: Path) -> None:
        effects = measure_effects(
            EditedPolicy.of(agent),
            found.cases.queries.take(rows),
            n_items=agent.n_items,
            seed=seed,
            progress=lambda done, total: prepared.progress(done, total, f"faithfulness of {label}"),
        )
        np.savez(folder / "effects.npz", **_flat(effects))  # type: ignore[arg-type]

    key = content_hash(found.answers[label].digest, rows.tobytes(), seed, SHARES, DRAWS, LISTED)
    stage = prepared.run.stage(f"faithfulness-{found.task}", key, make)
    with np.load(stage.folder / "effects.npz", allow_pickle=False) as saved:
        return _effects_of(dict(saved))


def _flat(effects: Effects) -> dict[str, np.ndarray[Any, Any]]:
    """As arrays with names: ``cited:NAME`` for what is kept by name."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for part in (f.name for f in fields(Effects)):
        value = getattr(effects, part)
        arrays |= {part: value} if isinstance(value, np.ndarray) else {f"{part}:{n}": v for n, v in value.items()}
    return arrays


def _effects_of(arrays: dict[str, np.ndarray[Any, Any]]) -> Effects:
    """What `_flat` took apart."""
    parts: dict[str, dict[str, np.ndarray[Any, Any]]] = {"cited": {}, "random": {}, "before": {}, "after": {}}
    for name, value in arrays.items():
        part, sign, rest = name.partition(":")
        if sign:
            parts[part][rest] = value
    return Effects(arrays["users"], arrays["mass"], **parts)
