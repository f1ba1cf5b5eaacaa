"""Explanations that the report shows: some of those most and least like what users wrote, and some drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.evaluate import Scores
from reasonrec_core.io import write_json
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.artifacts import item
from reasonrec_core.pipeline.evaluate import Assessed, primary
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.trace import step_as_dict


def write_explanations(prepared: Prepared, agent: Agent, found: Assessed, path: Path) -> None:
    """Write ``report.cards`` explanations of the policy of each kind, with their steps, and what others said."""
    metric = primary(prepared, found)[0]
    label, scores = next(iter(found.scores.items()))
    if scores.text is None or metric not in scores.per_query:
        return
    chosen = chosen_rows(scores.per_query[metric], prepared.config.report.cards, prepared.config.seed)
    rows = np.array([row for _, row in chosen], np.intp)
    batch = found.cases.take(rows).queries
    steps = agent.deliberate(batch, agent.observe(batch)).steps if len(rows) else []
    write_json(
        path,
        [
            {"shown": shown, "metric": metric, "steps": [step_as_dict(step) for step in steps[at]]}
            | _asked(prepared, found, int(row))
            | _said(scores, int(row), metric)
            | {"others": _others({n: s for n, s in found.scores.items() if n != label}, int(row), metric)}
            for at, (shown, row) in enumerate(chosen)
        ],
    )


def chosen_rows(values: np.ndarray, wanted: int, seed: int) -> list[tuple[str, int]]:
    """Why and which: so many of the best, of those drawn from the rest, and of the worst; ties and draws by seed."""
    order = np.random.default_rng(seed).permutation(len(values))
    known = order[~np.isnan(values[order])]
    ranked = known[np.argsort(-values[known], kind="stable")]
    best, worst = ranked[:wanted], ranked[max(wanted, len(ranked) - wanted) :][::-1]
    drawn = known[~np.isin(known, np.concatenate([best, worst]))][:wanted]
    groups = (("best", best), ("drawn", drawn), ("worst", worst))
    return [(shown, int(row)) for shown, group in groups for row in group]


def _asked(prepared: Prepared, found: Assessed, row: int) -> dict[str, Any]:
    """Who asked about what, and what was known."""
    case = found.cases.take(np.array([row]))
    past, user = case.queries.history.row(0).tolist(), int(case.queries.users[0])
    start = max(len(past) - prepared.config.report.history, 0)
    return {
        "query": row,
        "user": prepared.dataset.users.column("user_id")[user].as_py() if user >= 0 else None,
        "item": item(prepared, int(case.targets[0])),
        "history": [item(prepared, i) for i in past[start:]],
        "history_start": start,
    }


def _said(scores: Scores, row: int, metric: str) -> dict[str, Any]:
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
