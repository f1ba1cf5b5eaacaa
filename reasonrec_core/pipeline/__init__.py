"""The loop. What other packages may use of it and of an evaluated run is named here, imported when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_core.pipeline.act import Outcome as Outcome
    from reasonrec_core.pipeline.agent import Agent as Agent
    from reasonrec_core.pipeline.agent import Named as Named
    from reasonrec_core.pipeline.calibrate_router import calibration_data as calibration_data
    from reasonrec_core.pipeline.calibrate_router import expected_gains as expected_gains
    from reasonrec_core.pipeline.calibrate_router import goals as goals
    from reasonrec_core.pipeline.calibrate_router import keys as keys
    from reasonrec_core.pipeline.calibrate_router import scored as scored
    from reasonrec_core.pipeline.calibrate_router import signals as signals
    from reasonrec_core.pipeline.evaluate import EvaluatedTask as EvaluatedTask
    from reasonrec_core.pipeline.evaluate import primary_metrics as primary_metrics
    from reasonrec_core.pipeline.evaluated_run import EvaluatedRun as EvaluatedRun
    from reasonrec_core.pipeline.interactive import EditedPolicy as EditedPolicy
    from reasonrec_core.pipeline.latency import Latency as Latency
    from reasonrec_core.pipeline.latency import ask_functions as ask_functions
    from reasonrec_core.pipeline.latency import seconds_of as seconds_of
    from reasonrec_core.pipeline.latency import summarise_seconds as summarise_seconds
    from reasonrec_core.pipeline.predict import Answers as Answers
    from reasonrec_core.pipeline.predict import consulted_answers as consulted_answers
    from reasonrec_core.pipeline.predict import delegate_answers as delegate_answers
    from reasonrec_core.pipeline.predict import policy_answers as policy_answers
    from reasonrec_core.pipeline.prepare import Prepared as Prepared
    from reasonrec_core.pipeline.prepare import hash_encoders as hash_encoders
    from reasonrec_core.pipeline.prepare import learns as learns
    from reasonrec_core.pipeline.prepare import make_encoders as make_encoders
    from reasonrec_core.pipeline.run_folder import RunFolder as RunFolder
    from reasonrec_core.pipeline.serve import Recommender as Recommender
    from reasonrec_core.pipeline.serve import load_agent as load_agent
    from reasonrec_core.pipeline.serving_catalog import ServingCatalog as ServingCatalog
    from reasonrec_core.pipeline.stage_stamp import stamp_folder as stamp_folder

_MODULES = {
    "Agent": "agent",
    "Answers": "predict",
    "EditedPolicy": "interactive",
    "EvaluatedRun": "evaluated_run",
    "EvaluatedTask": "evaluate",
    "Latency": "latency",
    "Named": "agent",
    "Outcome": "act",
    "Prepared": "prepare",
    "Recommender": "serve",
    "RunFolder": "run_folder",
    "ServingCatalog": "serving_catalog",
    "ask_functions": "latency",
    "calibration_data": "calibrate_router",
    "consulted_answers": "predict",
    "delegate_answers": "predict",
    "expected_gains": "calibrate_router",
    "goals": "calibrate_router",
    "hash_encoders": "prepare",
    "keys": "calibrate_router",
    "learns": "prepare",
    "load_agent": "serve",
    "make_encoders": "prepare",
    "policy_answers": "predict",
    "primary_metrics": "evaluate",
    "scored": "calibrate_router",
    "seconds_of": "latency",
    "signals": "calibrate_router",
    "stamp_folder": "stage_stamp",
    "summarise_seconds": "latency",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
