"""Metrics of ranked lists, one value per query; `docs/metrics.md` has the formulas and where others differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reasonrec_core.evaluate.hits import Hits
from reasonrec_core.types import Float64, Int32, Int64

ACCURACY = ("HR", "Recall", "Precision", "NDCG", "MRR", "MAP")
"""Metrics of what was found, each between 0 and 1."""
BEYOND = ("Novelty", "Popularity")
"""Metrics of what was shown, whether it was relevant or not."""


def metric_name(metric: str, k: int, sampled: str = "") -> str:
    """``NDCG@10``, or ``NDCG@10[uni99]`` where the ranking was among sampled candidates."""
    return f"{metric}@{k}[{sampled}]" if sampled else f"{metric}@{k}"


def accuracy(hits: Hits, ks: Sequence[int], sampled: str = "") -> dict[str, Float64]:
    """The `ACCURACY` metrics at each cutoff, float64[B]; NaN for queries without a relevant item."""
    n = len(hits.relevant)
    relevant = np.where(hits.relevant > 0, hits.relevant, np.nan)
    undefined = np.where(hits.relevant > 0, 0.0, np.nan)
    gain = 1.0 / np.log2(hits.rank + 1.0)
    deepest = max(ks)
    ideal = np.concatenate([[1.0], np.cumsum(1.0 / np.log2(np.arange(2, deepest + 2)))])
    columns: dict[str, Float64] = {}
    for k in ks:
        within = hits.rank <= k
        query = hits.query[within]
        found = np.bincount(query, minlength=n).astype(np.float64)
        best = within & (hits.ordinal == 1)
        reciprocal = np.zeros(n)
        reciprocal[hits.query[best]] = 1.0 / hits.rank[best]
        possible = np.minimum(relevant, k)
        precision_at_hits = (hits.ordinal / hits.rank)[within]
        values = {
            "HR": (found > 0) + undefined,
            "Recall": found / relevant,
            "Precision": found / k + undefined,
            "NDCG": np.bincount(query, gain[within], n) / ideal[np.minimum(hits.relevant, k)] + undefined,
            "MRR": reciprocal + undefined,
            "MAP": np.bincount(query, precision_at_hits, n) / possible,
        }
        columns.update({metric_name(name, k, sampled): value for name, value in values.items()})
    return columns


def beyond_accuracy(items: Int32, item_counts: Int64, ks: Sequence[int], sampled: str = "") -> dict[str, Float64]:
    """The `BEYOND` metrics at each cutoff, float64[B]; NaN for queries with an empty list.

    Args:
        items: int32[B, K] ranked items, -1 pads at the end.
        item_counts: int64[n_items] interactions of each item in the training part.
        ks: cutoffs.
        sampled: see `metric_name`.
    """
    real = items >= 0
    place = np.maximum(items, 0)
    columns: dict[str, Float64] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, table in (("Novelty", self_information(item_counts)), ("Popularity", item_counts.astype(float))):
            total = np.cumsum(np.where(real, table[place], 0.0), axis=1)
            shown = np.cumsum(real, axis=1)
            for k in ks:
                last = min(k, items.shape[1]) - 1
                columns[metric_name(name, k, sampled)] = total[:, last] / shown[:, last]
    return columns


def self_information(item_counts: Int64) -> Float64:
    """float64[n_items]: ``-log2`` of each item's share of the training interactions, in bits.

    Shares are smoothed by one interaction per item (Laplace), so that an item unseen in training is very novel
    rather than infinitely so.
    """
    share: Float64 = (item_counts + 1.0) / (item_counts.sum() + len(item_counts))
    return -np.log2(share)


def coverage(items: Int32, n_items: int, ks: Sequence[int], sampled: str = "") -> dict[str, float]:
    """Share of the catalogue that stands in at least one list, at each cutoff."""
    values = {}
    for k in ks:
        shown = np.zeros(n_items + 1, np.bool_)
        shown[items[:, :k]] = True  # -1 falls on the extra last place
        values[metric_name("Coverage", k, sampled)] = float(shown[:n_items].mean())
    return values
