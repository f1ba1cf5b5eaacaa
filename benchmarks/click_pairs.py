"""Two click models in pairs, over seeds: differences of AUC, UAUC and LogLoss by resampled users.

AUC and UAUC are no means of rows, so that what `models.py` keeps of clicks are the clicks themselves: whose, their
labels and probabilities. Each resample draws users with all their rows, the same for both models and for all seeds;
the difference is averaged over the seeds. AUC is resampled to first order (`reasonrec_core.evaluate.ctr_metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reasonrec_core.evaluate import CLICK_METRICS, Clicks, Scores, Totals
from reasonrec_core.evaluate.bootstrap import interval, resample, sum_by_user
from reasonrec_core.evaluate.scores import score_clicks, user_units
from reasonrec_core.types import Float64

COMPARED = ("AUC", "UAUC", "LogLoss")


def list_clicks(scores: Scores) -> dict[str, Any]:
    """The clicks of one answer as arrays, for `compare_clicks`."""
    clicks = scores.clicks
    assert clicks is not None
    return {"users": scores.users, "query": clicks.query, "label": clicks.label, "probability": clicks.probability}


def compare_clicks(first: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a metric; ``|`` stands for the names.

    Args:
        first, other: of each seed what `list_clicks` gave, the same seeds for both.

    Raises:
        ValueError: they did not answer the same clicks, or have different seeds.
    """
    answers = [*first, *other]
    if len(first) != len(other):
        raise ValueError(f"one has answers of {len(first)} seeds, the other of {len(other)}; measure the rest")
    for each in answers:
        if any(not np.array_equal(each[name], answers[0][name]) for name in ("users", "query", "label")):
            raise ValueError("the two were not asked about the same clicks; measure them again")
    parts = [sum_by_user(rebuild(each), COMPARED) for each in answers]
    lines = []
    for metric in COMPARED:
        one, two = ([p[metric] for p in some] for some in (parts[: len(first)], parts[len(first) :]))
        gap = subtract_means(one, two)
        exact = float(np.mean([t.value for t in one]) - np.mean([t.value for t in two]))
        low, high = interval(resample({metric: gap}, seed=0)[metric], exact)
        lines.append(f"{metric} |, {len(first)} seeds: {exact:+.4f} ({low:+.4f} to {high:+.4f})")
    return lines


def subtract_means(first: Sequence[Totals], other: Sequence[Totals]) -> Totals:
    """The mean of some metrics less that of others, as one metric of the same users."""
    answers = [*first, *other]
    ends = np.cumsum([each.parts.shape[1] for each in answers])[:-1]

    def combine(sums: Float64) -> Float64:
        parts = np.split(sums, ends, axis=1)
        values = [each.combine(part) for each, part in zip(answers, parts, strict=True)]
        gap: Float64 = np.mean(values[: len(first)], axis=0) - np.mean(values[len(first) :], axis=0)
        return gap

    return Totals(np.concatenate([each.parts for each in answers], axis=1), combine, "user")


def rebuild(arrays: Mapping[str, Any]) -> Scores:
    """The scores that `list_clicks` was given, with the metrics that are compared."""
    users, query = arrays["users"], arrays["query"]
    units = user_units(users)
    clicks = Clicks(query, units[query], arrays["label"], arrays["probability"], int(units.max()) + 1)
    return score_clicks(clicks, users, [m for m in CLICK_METRICS if m.name in COMPARED])
