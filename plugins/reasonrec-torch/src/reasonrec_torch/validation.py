"""The figure that early stopping looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reasonrec_core.components import FitData
from reasonrec_core.evaluate import evaluate_ranking, metric_name
from reasonrec_core.types import Cases, QueryBatch, Ranking

CHUNK = 128
"""Queries whose scores exist at the same time."""
M = TypeVar("M")


def choose_cases(data: FitData, most: int | None = None) -> Cases | None:
    """The validation queries that choose the epoch, at most ``most`` drawn at random; None where there are none."""
    cases = data.valid
    if cases is None or not len(cases.targets):
        return None
    return cases if most is None else cases.sample(most, data.seed)


def mean_ndcg(answer: Callable[[QueryBatch], Ranking], cases: Cases, n_items: int, k: int = 10) -> float:
    """Mean NDCG@k of what ``answer`` gives, asked for `CHUNK` queries at a time, in order."""
    scores = evaluate_ranking(answer, cases, (k,), n_items=n_items, chunk=CHUNK, threads=1)
    return scores.values[metric_name("NDCG", k, scores.sampled)]
