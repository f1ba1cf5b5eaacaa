"""The figure that early stopping looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reasonrec_core.components import pick_candidates
from reasonrec_core.evaluate import evaluate_ranking, metric_name
from reasonrec_core.ranking import rank
from reasonrec_core.types import Cases, Float32, QueryBatch, Ranking

CHUNK = 128
"""Queries whose scores exist at the same time."""
M = TypeVar("M")


def mean_ndcg(answer: Callable[[QueryBatch], Ranking], cases: Cases, n_items: int, k: int = 10) -> float:
    """Mean NDCG@k of what ``answer`` gives, asked for `CHUNK` queries at a time, in order."""
    scores = evaluate_ranking(answer, cases, (k,), n_items=n_items, chunk=CHUNK, threads=1)
    return scores.values[metric_name("NDCG", k, scores.sampled)]


def ranking_figure(
    cases: Cases, score: Callable[[M, QueryBatch], Float32], n_items: int, k: int = 10
) -> Callable[[M], float]:
    """A function that gives a model's mean NDCG@k over ``cases``, for `trainer.train`'s ``validate``.

    Args:
        cases: validation queries; their candidates are ranked where they have them, else all items.
        score: float32[B, n_items] of a model and a batch; the history is masked here.
        n_items: size of the catalogue.
        k: where the ranking is cut.
    """

    def figure(model: M) -> float:
        return mean_ndcg(lambda batch: rank(pick_candidates(score(model, batch), batch), batch), cases, n_items, k)

    return figure
