"""The loop. What other packages may use of it and of an evaluated run is named here, imported when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_core.pipeline.act import Outcome as Outcome
    from reasonrec_core.pipeline.agent import Agent as Agent
    from reasonrec_core.pipeline.agent import EditedPolicy as EditedPolicy
    from reasonrec_core.pipeline.agent import Named as Named
    from reasonrec_core.pipeline.calibrate_router import calibration_data as calibration_data
    from reasonrec_core.pipeline.calibrate_router import compare_answers as compare_answers
    from reasonrec_core.pipeline.calibrate_router import goals as goals
    from reasonrec_core.pipeline.calibrate_router import keys as keys
    from reasonrec_core.pipeline.calibrate_router import scored as scored
    from reasonrec_core.pipeline.calibrate_router import signals as signals
    from reasonrec_core.pipeline.evaluate import EvaluatedRun as EvaluatedRun
    from reasonrec_core.pipeline.evaluate import EvaluatedTask as EvaluatedTask
    from reasonrec_core.pipeline.evaluate import primary_metrics as primary_metrics
    from reasonrec_core.pipeline.finished_run import FinishedRun as FinishedRun
    from reasonrec_core.pipeline.finished_run import load_agent as load_agent
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
    from reasonrec_core.pipeline.serving_catalog import ServingCatalog as ServingCatalog
    from reasonrec_core.pipeline.stage_stamp import stamp_folder as stamp_folder

_NAMES = {
    "act": "Outcome",
    "agent": "Agent EditedPolicy Named",
    "calibrate_router": "calibration_data compare_answers goals keys scored signals",
    "evaluate": "EvaluatedRun EvaluatedTask primary_metrics",
    "finished_run": "FinishedRun load_agent",
    "latency": "Latency ask_functions seconds_of summarise_seconds",
    "predict": "Answers consulted_answers delegate_answers policy_answers",
    "prepare": "Prepared hash_encoders learns make_encoders",
    "run_folder": "RunFolder",
    "serving_catalog": "ServingCatalog",
    "stage_stamp": "stamp_folder",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    # An answer to a request imports a part of the loop alone.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
