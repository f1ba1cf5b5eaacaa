"""Click probabilities as a trace holds them: a ranking of the candidates, and their losses."""

from __future__ import annotations

import numpy as np

from reasonrec_core.evaluate import Scores
from reasonrec_core.types import Float32, Float64, Int32, Ranking


def rank_candidates(candidates: Int32, probability: Float32 | None) -> Ranking:
    """Candidates int32[n, C] by probability float32[n, C], likeliest first."""
    assert probability is not None
    sure = np.where(candidates >= 0, probability, -np.inf).astype(np.float32)
    order = np.argsort(-sure, axis=1, kind="stable")
    return Ranking(np.take_along_axis(candidates, order, axis=1), np.take_along_axis(sure, order, axis=1))


def average_losses(scores: Scores, n: int) -> dict[str, Float64]:
    """Mean log loss and squared error over the candidates of each of n requests, float64[n]; NaN without any."""
    assert scores.clicks is not None
    clicks = scores.clicks
    count = np.bincount(clicks.query, minlength=n)
    with np.errstate(invalid="ignore"):
        parts = {"LogLoss": clicks.losses, "Brier": clicks.squares}
        return {name: np.bincount(clicks.query, each, n) / count for name, each in parts.items()}
