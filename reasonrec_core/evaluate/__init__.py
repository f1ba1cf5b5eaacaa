"""Protocols, metrics, calibration and significance.

`evaluate_ranking` asks a system, `score_ranking` and `score_ctr` take answers made elsewhere; all return `Scores`.
`summarise` and `compare_all` say how sure the numbers are.
"""

from __future__ import annotations

from reasonrec_core.evaluate.calibration import Reliability, reliability
from reasonrec_core.evaluate.ctr_metrics import CLICK_METRICS, Clicks
from reasonrec_core.evaluate.loop import evaluate_ranking, find_thread_pools, score_ctr, score_ranking
from reasonrec_core.evaluate.metrics import Totals
from reasonrec_core.evaluate.ranking_metrics import RANKING_METRICS, RankedLists, metric_name
from reasonrec_core.evaluate.scores import Claim, JudgingPolicy, Scores
from reasonrec_core.evaluate.significance import (
    Comparison,
    compare,
    compare_all,
    holm,
    summarise,
)

__all__ = [
    "CLICK_METRICS",
    "RANKING_METRICS",
    "Claim",
    "Clicks",
    "Comparison",
    "JudgingPolicy",
    "RankedLists",
    "Reliability",
    "Scores",
    "Totals",
    "compare",
    "compare_all",
    "evaluate_ranking",
    "find_thread_pools",
    "holm",
    "metric_name",
    "reliability",
    "score_ctr",
    "score_ranking",
    "summarise",
]
