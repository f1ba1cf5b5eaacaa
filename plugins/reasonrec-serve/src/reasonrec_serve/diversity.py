"""Lists of items that are less alike: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)."""

from __future__ import annotations

import numpy as np

from reasonrec_core.types import Ranking
from reasonrec_serve.likeness import ItemLikeness


def choose_depth(k: int, n_items: int) -> int:
    """How many of the best items a diverse list of ``k`` is chosen from."""
    return min(n_items, max(5 * k, 50))


def diversify(ranking: Ranking, content: ItemLikeness, diversity: float, k: int) -> Ranking:
    """Choose ``k`` items one after another, each by ``(1 - diversity) * relevance - diversity * likeness``.

    Relevance is the place in the ranking, from 1 for the first to 0 for the last: scores of recommenders have any
    unit. Likeness is the largest cosine with an item that was chosen before. The scores stay those of the ranking, so
    they need not descend.

    Args:
        ranking: int32[B, P], best first.
        content: what items are compared by.
        diversity: in [0, 1].
        k: how many are chosen.
    """
    items = ranking.items
    rows, width = np.arange(len(items)), items.shape[1]
    relevance = 1 - np.arange(width, dtype=np.float32) / max(width - 1, 1)
    gathered = content.gather(items)
    alike = np.full(items.shape, -1, np.float32)
    left = items >= 0
    order = np.full((len(items), min(k, width)), -1, np.int64)
    for place in range(order.shape[1]):
        value = (1 - diversity) * relevance - diversity * (alike if place else 0)
        chosen = np.where(left, value, -np.inf).argmax(axis=1)
        order[:, place] = np.where(left[rows, chosen], chosen, -1)
        left[rows, chosen] = False
        alike = np.maximum(alike, gathered.compare(chosen.astype(np.int32)))
    at = np.maximum(order, 0)
    chosen_items = np.where(order >= 0, np.take_along_axis(items, at, axis=1), np.int32(-1))
    scores = np.where(order >= 0, np.take_along_axis(ranking.scores, at, axis=1), np.float32(-np.inf))
    return Ranking(chosen_items.astype(np.int32), scores)
