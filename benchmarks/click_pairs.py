"""Two click models in pairs, over seeds: differences of AUC, UAUC and LogLoss by resampled users.

AUC and UAUC are no means of rows, so that what `models.py` keeps of clicks are the clicks themselves: whose, their
labels and probabilities. Each resample draws users with all their rows, the same for both models and for all seeds;
the difference is averaged over the seeds. AUC is resampled to first order (`reasonrec_core.evaluate.ctr_metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reasonrec_core.errors import DataError
from reasonrec_core.evaluate import CLICK_METRICS, Clicks, Comparison, Scores, Totals, compare
from reasonrec_core.evaluate.bootstrap import sum_by_user
from reasonrec_core.evaluate.scores import score_clicks, user_units
from reasonrec_core.types import Float64, Task

COMPARED = ("AUC", "UAUC", "LogLoss")


def list_clicks(scores: Scores) -> dict[str, Any]:
    """The clicks of one answer as arrays, for `compare_clicks`."""
    clicks = scores.clicks
    assert clicks is not None
    return {"users": scores.users, "query": clicks.query, "label": clicks.label, "probability": clicks.probability}


def compare_clicks(first: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> list[Comparison]:
    """``first`` less ``other`` by each of `COMPARED`; every metric is a family of its own.

    Args:
        first, other: of each seed what `list_clicks` gave, the same seeds for both.

    Raises:
        DataError: they did not answer the same clicks, or have different seeds.
    """
    answers = [*first, *other]
    if len(first) != len(other):
        what = f"one has answers of {len(first)} seeds, the other of {len(other)}"
        raise DataError(what, fix="Measure the rest.")
    for each in answers:
        if any(not np.array_equal(each[name], answers[0][name]) for name in ("users", "query", "label")):
            raise DataError("the two were not asked about the same clicks", fix="Measure them again.")
    one, two = average_seeds(first), average_seeds(other)
    return [row for metric in COMPARED for row in compare(one, two, [metric])]


def average_seeds(answers: Sequence[Mapping[str, Any]]) -> Scores:
    """The metrics of several answers to the same clicks, averaged, as metrics of the same users."""
    parts = [sum_by_user(rebuild(each), COMPARED) for each in answers]
    means = {metric: average_totals([each[metric] for each in parts]) for metric in COMPARED}
    return Scores(Task.CTR, answers[0]["users"], {}, totals=means)


def average_totals(answers: Sequence[Totals]) -> Totals:
    """The mean of some metrics, as one metric of the same users."""
    ends = np.cumsum([each.parts.shape[1] for each in answers])[:-1]

    def combine(sums: Float64) -> Float64:
        parts = np.split(sums, ends, axis=1)
        mean: Float64 = np.mean([each.combine(part) for each, part in zip(answers, parts, strict=True)], axis=0)
        return mean

    exact = float(np.mean([each.value for each in answers]))
    return Totals(np.concatenate([each.parts for each in answers], axis=1), combine, "user", exact=exact)


def rebuild(arrays: Mapping[str, Any]) -> Scores:
    """The scores that `list_clicks` was given, with the metrics that are compared."""
    users, query = arrays["users"], arrays["query"]
    units = user_units(users)
    clicks = Clicks(query, units[query], arrays["label"], arrays["probability"], int(units.max()) + 1)
    return score_clicks(clicks, users, [m for m in CLICK_METRICS if m.name in COMPARED])
