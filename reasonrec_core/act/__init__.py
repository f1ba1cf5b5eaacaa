"""Act: who answers a request, decided by rules that are calibrated on validation data."""

from reasonrec_core.act.answered import answer_confidence
from reasonrec_core.act.clues import CLUE, clue_names, clues
from reasonrec_core.act.config import RouterConfig
from reasonrec_core.act.costs import Costs
from reasonrec_core.act.evidence import Evidence, fit_router
from reasonrec_core.act.router import Router

__all__ = [
    "CLUE",
    "Costs",
    "Evidence",
    "Router",
    "RouterConfig",
    "answer_confidence",
    "clue_names",
    "clues",
    "fit_router",
]
