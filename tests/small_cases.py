"""Small test cases, and metrics written out from the definitions, slowly, over complete scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reasonrec_core.ranking import rank
from reasonrec_core.types import Cases, Float32, History, Int32, QueryBatch, Ranking, Task, indptr_of


def make_cases(
    targets: Sequence[Sequence[int]],
    *,
    history: Sequence[Sequence[int]] | None = None,
    candidates: Int32 | None = None,
    users: Sequence[int] | None = None,
) -> Cases:
    n = len(targets)
    lengths = np.array([len(t) for t in targets], np.int64)
    queries = QueryBatch(
        Task.SEQUENTIAL if candidates is None else Task.DIRECT,
        np.arange(n, dtype=np.int32) if users is None else np.array(users, np.int32),
        History.of([[]] * n if history is None else history),
        candidates=candidates,
    )
    flat = np.array([i for t in targets for i in t], np.int32)
    return Cases(queries, indptr_of(lengths), flat)


def make_clicks(labels: Sequence[float], users: Sequence[int] | None = None) -> Cases:
    n = len(labels)
    queries = QueryBatch(
        Task.CTR,
        np.arange(n, dtype=np.int32) if users is None else np.array(users, np.int32),
        History.of([[]] * n),
        candidates=np.zeros((n, 1), np.int32),
    )
    return Cases(queries, np.arange(n + 1), np.zeros(n, np.int32), np.array(labels, np.float32)[:, None])


def listed(rows: Sequence[Sequence[int]], width: int | None = None) -> Ranking:
    """Lists in order, without ties, padded to ``width``."""
    width = max(len(row) for row in rows) if width is None else width
    items = np.full((len(rows), width), -1, np.int32)
    for i, row in enumerate(rows):
        items[i, : len(row)] = row
    scores = np.where(items != -1, -np.arange(width, dtype=np.float32), -np.inf)
    return Ranking(items, scores.astype(np.float32))


def answer_with(scores: Float32):
    """A system that has these scores: float32[B, n_items] by user."""

    def answer(batch: QueryBatch) -> Ranking:
        return rank(scores[batch.users].copy(), batch)

    return answer


def by_definition(scores: Sequence[float], targets: set[int], k: int) -> dict[str, float]:
    """The metrics of one query from all scores: sort, relevant items last among equals, walk down."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i in targets))
    gains = [1 if item in targets else 0 for item in order]
    hits = [place for place, gain in enumerate(gains, 1) if gain and place <= k]
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(targets)) + 1))
    return {
        "HR": float(bool(hits)),
        "Recall": len(hits) / len(targets),
        "Precision": len(hits) / k,
        "NDCG": sum(1 / math.log2(place + 1) for place in hits) / ideal,
        "MRR": 1 / hits[0] if hits else 0.0,
        "MAP": sum(i / place for i, place in enumerate(hits, 1)) / min(k, len(targets)),
    }
