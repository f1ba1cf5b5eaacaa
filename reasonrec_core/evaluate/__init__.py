"""Protocols, metrics, calibration and significance.

`evaluate_ranking` asks a system, `score_ranking` and `score_ctr` take answers made elsewhere; all return `Scores`.
`summarise` and `compare_all` say how sure the numbers are.
"""

from __future__ import annotations

from reasonrec_core.evaluate.calibration import reliability as reliability
from reasonrec_core.evaluate.ctr_metrics import CLICK_METRICS as CLICK_METRICS
from reasonrec_core.evaluate.ctr_metrics import Clicks as Clicks
from reasonrec_core.evaluate.loop import evaluate_ranking as evaluate_ranking
from reasonrec_core.evaluate.loop import find_thread_pools as find_thread_pools
from reasonrec_core.evaluate.loop import score_ctr as score_ctr
from reasonrec_core.evaluate.loop import score_ranking as score_ranking
from reasonrec_core.evaluate.metrics import Totals as Totals
from reasonrec_core.evaluate.ranking_metrics import RANKING_METRICS as RANKING_METRICS
from reasonrec_core.evaluate.ranking_metrics import Hits as Hits
from reasonrec_core.evaluate.ranking_metrics import RankedLists as RankedLists
from reasonrec_core.evaluate.ranking_metrics import metric_name as metric_name
from reasonrec_core.evaluate.scores import Claim as Claim
from reasonrec_core.evaluate.scores import JudgingPolicy as JudgingPolicy
from reasonrec_core.evaluate.scores import Scores as Scores
from reasonrec_core.evaluate.significance import Comparison as Comparison
from reasonrec_core.evaluate.significance import compare as compare
from reasonrec_core.evaluate.significance import compare_all as compare_all
from reasonrec_core.evaluate.significance import correct as correct
from reasonrec_core.evaluate.significance import holm as holm
from reasonrec_core.evaluate.significance import summarise as summarise
