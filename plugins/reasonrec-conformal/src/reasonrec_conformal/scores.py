"""Conformity scores of items, and the sizes of the sets that a limit on them gives.

- LAC: ``s(i) = 1 - p(i)`` (Sadinle, Lei and Wasserman, JASA 2019).
- APS: ``s(i)`` = mass of the items likelier than ``i``, and ``u`` times ``i``'s own (Romano, Sesia and Candes, NeurIPS
  2020, eq. 5-8; u = 1: all of it, the form of Angelopoulos and Bates, 2021, section 2.1).
- RAPS: APS + ``penalty * max(0, rank(i) - free)`` (Angelopoulos, Bates, Malik and Jordan, ICLR 2021, eq. 4).

Items of equal probability share one score, the one of all of them together, so that a set never depends on the order
in which items happen to be numbered. What has no probability (the masked history, padding, what a policy rules out)
scores infinity: it is only in a set without a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reasonrec_core.types import Float32, Float64, Int64

Kind = Literal["lac", "aps", "raps"]


@dataclass(frozen=True)
class ConformalScore:
    """Which score, and its parameters (used by RAPS alone)."""

    kind: Kind = "aps"
    penalty: float = 0.0
    free: int = 0


@dataclass(frozen=True)
class ScoreLadder:
    """The distributions of B queries, likeliest first, and what `ConformalScore` says of each step.

    Attributes:
        values: float32[B, W] probabilities, descending.
        mass: float64[B, W] their running sum.
        inside: float64[B] what share of its own mass an item's score holds, in [0, 1].
    """

    score: ConformalScore
    values: Float32
    mass: Float64
    inside: Float64

    @classmethod
    def of(cls, score: ConformalScore, probability: Float32, inside: Float64 | None = None) -> ScoreLadder:
        """From float32[B, W] probabilities of the catalogue or of candidates."""
        values: Float32 = -np.sort(-probability, axis=1)
        share = np.ones(len(values)) if inside is None else inside
        return cls(score, values, np.cumsum(values, axis=1, dtype=np.float64), share)

    def scores(self, probability: Float32) -> Float64:
        """float64[B]: the score of an item of float32[B] probability that is on each query's ladder."""
        first = (self.values > probability[:, None]).sum(axis=1)
        last = (self.values >= probability[:, None]).sum(axis=1)
        rows = np.arange(len(probability))
        before = np.where(first > 0, self.mass[rows, np.maximum(first - 1, 0)], 0.0)
        through = self.mass[rows, np.maximum(last - 1, 0)]
        found = self._of(probability.astype(np.float64), before, through, last, self.inside)
        return np.where(probability > 0, found, np.inf)

    def sizes(self, limit: Float64, listed: Int64) -> Int64:
        """int64[B]: how many items score at most float64[B] ``limit``; ``listed`` of them where there is none."""
        size, width = self.values.shape
        if not width:
            return np.zeros(size, np.int64)
        ends = np.ones((size, width), np.bool_)
        np.not_equal(self.values[:, 1:], self.values[:, :-1], out=ends[:, :-1])
        starts = np.ones((size, width), np.bool_)
        starts[:, 1:] = ends[:, :-1]
        first = np.maximum.accumulate(np.where(starts, np.arange(width), 0), axis=1)
        before = np.where(first > 0, np.take_along_axis(self.mass, np.maximum(first - 1, 0), axis=1), 0.0)
        ranks = np.arange(1, width + 1)
        found = self._of(self.values.astype(np.float64), before, self.mass, ranks, self.inside[:, None])
        covered = ends & (self.values > 0) & (found <= limit[:, None])
        return np.where(np.isposinf(limit), listed, (covered * ranks).max(axis=1)).astype(np.int64)

    def _of(self, own: Float64, before: Float64, through: Float64, rank: Int64, inside: Float64) -> Float64:
        if self.score.kind == "lac":
            return np.asarray(1.0 - own)
        # `through` as it is where all counts: the difference and its sum would not give back the same number.
        found = np.where(inside == 1.0, through, before + inside * (through - before))
        if self.score.kind == "raps":
            found = found + self.score.penalty * np.maximum(rank - self.score.free, 0)
        return np.asarray(found)
