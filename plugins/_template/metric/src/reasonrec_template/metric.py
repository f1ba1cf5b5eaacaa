"""A metric of ranked lists: one value per query, which is all that intervals and comparisons need."""

from __future__ import annotations

from reasonrec_core.components import MetricInfo
from reasonrec_core.evaluate import RankedLists
from reasonrec_core.types import Float64

PATIENCE = 0.8
"""Probability that a reader goes on to the next item."""


def rank_biased_precision(lists: RankedLists, k: int) -> Float64:
    """float64[B]: ``(1 - p) * sum over the hits of p^(rank - 1)`` (Moffat and Zobel, TOIS 2008); NaN if undefined."""
    gain = (1 - PATIENCE) * PATIENCE ** (lists.hits.rank - 1.0)
    return lists.sum_hits(gain, k) + lists.undefined


METRIC = MetricInfo(
    "template",
    rank_biased_precision,
    better="higher",
    meaning="gain of a reader who goes on to the next of the first {k} items four times out of five",
    definition="0.2 * sum over the relevant items of 0.8^(rank - 1), ranks up to k",
)
