"""Answers of a system that was asked about some queries alone: what it was not asked is not recorded as its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_core.evaluate import Scores
from reasonrec_core.pipeline import Answers
from reasonrec_core.types import Int64, Ranking


def hide_unasked(scores: Scores, answers: Answers | None) -> Scores:
    """The same, NaN where a system was not asked and another's answers stand."""
    if answers is None or answers.asked is None:
        return scores
    known = {name: np.where(answers.asked, values, np.nan) for name, values in scores.per_query.items()}
    return replace(scores, per_query=known)


def list_asked(answers: Answers, rows: Int64, k: int) -> Ranking:
    """The first ``k`` items of some answers; padding where the system was not asked."""
    assert answers.ranking is not None
    ranking = answers.ranking.take(rows).head(k)
    if answers.asked is None:
        return ranking
    asked = answers.asked[rows][:, None]
    return Ranking(np.where(asked, ranking.items, -1).astype(np.int32), ranking.scores)
