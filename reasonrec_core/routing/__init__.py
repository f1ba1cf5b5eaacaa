"""Act: who answers a request, decided by rules that are calibrated on validation data."""

from reasonrec_core.routing.calibration_data import Evidence, fit_router
from reasonrec_core.routing.confidence import answer_confidence
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.costs import Costs
from reasonrec_core.routing.decision import Decisions
from reasonrec_core.routing.features import CLUE, clue_names, clues
from reasonrec_core.routing.router import Router

__all__ = [
    "CLUE",
    "Costs",
    "Decisions",
    "Evidence",
    "Router",
    "RouterConfig",
    "answer_confidence",
    "clue_names",
    "clues",
    "fit_router",
]
