"""Routing: who answers a request, decided by rules that are fitted to validation queries.

What a plugin with a router needs is exported here: `Router` and what it is made of.
"""

from reasonrec_core.routing.calibration import (
    CalibrationQuality,
    Recalibration,
    choose_recalibration,
    fit_monotone_platt,
    fit_recalibration,
)
from reasonrec_core.routing.calibration_data import (
    EXPLORED,
    AskingCosts,
    CalibrationData,
    ConsultedAnswers,
    expected_gain,
)
from reasonrec_core.routing.confidence import usable_estimators
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.decision import (
    Assignment,
    Decisions,
    Threshold,
    threshold_for_risk,
    threshold_for_share,
)
from reasonrec_core.routing.kinds import make_router, read_router
from reasonrec_core.routing.logistic import (
    FOLDS,
    ArrayModel,
    FloatArray,
    LinearSpline,
    Logistic,
    SplineBasis,
    cross_fit,
    place_knots,
    standardise,
)
from reasonrec_core.routing.router import Router
from reasonrec_core.routing.signals import (
    FEATURE,
    Signals,
    answer_features,
    feature_names,
    signal,
    signal_matrix,
    single,
    take_signals,
)
from reasonrec_core.routing.state import LearnedScores, RouterState, place_threshold, probability

__all__ = [
    "EXPLORED",
    "FEATURE",
    "FOLDS",
    "ArrayModel",
    "AskingCosts",
    "Assignment",
    "CalibrationData",
    "CalibrationQuality",
    "ConsultedAnswers",
    "Decisions",
    "FloatArray",
    "LearnedScores",
    "LinearSpline",
    "Logistic",
    "Recalibration",
    "Router",
    "RouterConfig",
    "RouterState",
    "Signals",
    "SplineBasis",
    "Threshold",
    "answer_features",
    "choose_recalibration",
    "cross_fit",
    "expected_gain",
    "feature_names",
    "fit_monotone_platt",
    "fit_recalibration",
    "make_router",
    "place_knots",
    "place_threshold",
    "probability",
    "read_router",
    "signal",
    "signal_matrix",
    "single",
    "standardise",
    "take_signals",
    "threshold_for_risk",
    "threshold_for_share",
    "usable_estimators",
]
