"""Samples of the explanations that an evaluated run gave: the best, the worst and some drawn, with their steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reasonrec_core.evaluate import Scores
from reasonrec_core.pipeline import EvaluatedRun, EvaluatedTask, Prepared, list_primary_metrics
from reasonrec_core.types import Float64
from reasonrec_report.card_schema import Explanation
from reasonrec_report.export_cards import show_item, show_request


def sample_explanations(run: EvaluatedRun, found: EvaluatedTask) -> list[Explanation] | None:
    """``report.cards`` explanations of the policy of each kind, with their steps, and what others said.

    None where the policy's judge gives no texts, or not the metric that they are chosen by.
    """
    metric = list_primary_metrics(run.prepared, found)[0]
    label, scores = next(iter(found.scores.items()))
    if scores.text is None or metric not in scores.per_query:
        return None
    chosen = choose_explanations(scores.per_query[metric], run.config.report.cards, run.config.seed)
    rows = np.array([row for _, row in chosen], np.intp)
    batch = found.cases.take(rows).queries
    steps = run.agent.deliberate(batch, run.agent.observe(batch)).steps if len(rows) else []
    others = {name: each for name, each in found.scores.items() if name != label}
    records = [
        {"shown": shown, "metric": metric, "steps": [step.to_dict() for step in steps[at]]}
        | _show_explanation(run.prepared, found, int(row))
        | _judge(scores, int(row), metric)
        | {"others": _others(others, int(row), metric)}
        for at, (shown, row) in enumerate(chosen)
    ]
    return [Explanation.model_validate(each) for each in records]


def choose_explanations(values: Float64, wanted: int, seed: int) -> list[tuple[str, int]]:
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


def _others(scores: Mapping[str, Scores], row: int, metric: str) -> list[dict[str, Any]]:
    """What the systems said with which the policy is compared."""
    return [
        {"system": name, "text": each.text[row], "value": float(each.per_query[metric][row])}
        for name, each in scores.items()
        if each.text is not None
    ]
