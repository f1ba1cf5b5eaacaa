"""Routing: who answers a request, decided by rules that are fitted to validation queries.

What a plugin with a router needs is exported here: `Router` and what it is made of.
"""

from reasonrec_core.routing.calibration import CalibrationQuality as CalibrationQuality
from reasonrec_core.routing.calibration import Recalibration as Recalibration
from reasonrec_core.routing.calibration import choose_recalibration as choose_recalibration
from reasonrec_core.routing.calibration import fit_monotone_platt as fit_monotone_platt
from reasonrec_core.routing.calibration_data import EXPLORED as EXPLORED
from reasonrec_core.routing.calibration_data import AskingCosts as AskingCosts
from reasonrec_core.routing.calibration_data import CalibrationData as CalibrationData
from reasonrec_core.routing.calibration_data import ConsultedAnswers as ConsultedAnswers
from reasonrec_core.routing.config import RouterConfig as RouterConfig
from reasonrec_core.routing.decision import Assignment as Assignment
from reasonrec_core.routing.decision import Decisions as Decisions
from reasonrec_core.routing.decision import Threshold as Threshold
from reasonrec_core.routing.decision import threshold_for_risk as threshold_for_risk
from reasonrec_core.routing.decision import threshold_for_share as threshold_for_share
from reasonrec_core.routing.logistic import FOLDS as FOLDS
from reasonrec_core.routing.logistic import ArrayModel as ArrayModel
from reasonrec_core.routing.logistic import FloatArray as FloatArray
from reasonrec_core.routing.logistic import Logistic as Logistic
from reasonrec_core.routing.logistic import SplineSum as SplineSum
from reasonrec_core.routing.logistic import cross_fit as cross_fit
from reasonrec_core.routing.logistic import design_matrix as design_matrix
from reasonrec_core.routing.logistic import place_knots as place_knots
from reasonrec_core.routing.logistic import standardise as standardise
from reasonrec_core.routing.router import Router as Router
from reasonrec_core.routing.router_registry import list_features as list_features
from reasonrec_core.routing.router_registry import make_router as make_router
from reasonrec_core.routing.router_registry import read_router as read_router
from reasonrec_core.routing.signals import FEATURE as FEATURE
from reasonrec_core.routing.signals import AnswerFeatures as AnswerFeatures
from reasonrec_core.routing.signals import Signals as Signals
from reasonrec_core.routing.signals import read_columns as read_columns
from reasonrec_core.routing.signals import signal as signal
from reasonrec_core.routing.signals import signal_matrix as signal_matrix
from reasonrec_core.routing.signals import single as single
from reasonrec_core.routing.signals import take_signals as take_signals
from reasonrec_core.routing.state import LearnedScores as LearnedScores
from reasonrec_core.routing.state import RouterState as RouterState
from reasonrec_core.routing.state import place_threshold as place_threshold
from reasonrec_core.routing.state import probability as probability
