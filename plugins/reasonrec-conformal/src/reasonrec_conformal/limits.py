"""The limit on scores that gives sets their coverage, overall or per group of the evidence horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reasonrec_core.types import Float32, Float64, Int64


def compute_limit(scores: Float64, coverage: float) -> float:
    """The ``ceil((n + 1) * coverage)``-th smallest of n scores; infinity where n is too small for that.

    With exchangeable queries a new one's score is below it with a probability of at least ``coverage``, and, where
    scores are distinct, of at most ``coverage + 1 / (n + 1)`` (Lei et al., JASA 2018; Angelopoulos and Bates, 2021).
    """
    place = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return math.inf if place > len(scores) else float(np.partition(scores, place - 1)[place - 1])


@dataclass(frozen=True)
class GroupLimits:
    """A limit per group of queries (Vovk's Mondrian prediction): coverage holds within each.

    Attributes:
        edges: float64[G - 1] ascending; group g holds horizons in (edges[g - 1], edges[g]].
        limits: float64[G].
        counts: int64[G] calibration queries.
    """

    edges: Float64
    limits: Float64
    counts: Int64

    @classmethod
    def fit(cls, scores: Float64, horizon: Float32, coverage: float, groups: int) -> GroupLimits:
        """Groups of about equally many queries by evidence horizon; equal horizons are always together."""
        edges = np.zeros(0)
        if len(horizon):
            values = np.unique(horizon.astype(np.float64))
            edges = np.quantile(horizon.astype(np.float64), np.arange(1, groups) / groups)
            # An edge at the largest horizon would leave nobody above it: those just below are kept apart instead.
            edges = np.unique(np.minimum(edges, values[-2])) if len(values) > 1 else edges[:0]
        group = np.searchsorted(edges, horizon.astype(np.float64), side="left")
        each = np.array([compute_limit(scores[group == g], coverage) for g in range(len(edges) + 1)])
        return cls(edges, each, np.bincount(group, minlength=len(edges) + 1).astype(np.int64))

    def group(self, horizon: Float32) -> Int64:
        """int64[B]: the group of each query."""
        return np.searchsorted(self.edges, horizon.astype(np.float64), side="left").astype(np.int64)

    def __call__(self, horizon: Float32) -> Float64:
        """float64[B]: the limit of each query."""
        return np.asarray(self.limits[self.group(horizon)])
