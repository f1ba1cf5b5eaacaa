"""The loop. What other packages may use of it and of an evaluated run is named here, imported when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_core.pipeline.act import Outcome as Outcome
    from reasonrec_core.pipeline.agent import Agent as Agent
    from reasonrec_core.pipeline.agent import EditedPolicy as EditedPolicy
    from reasonrec_core.pipeline.agent import Named as Named
    from reasonrec_core.pipeline.calibrate_router import collect_calibration_data as collect_calibration_data
    from reasonrec_core.pipeline.calibrate_router import collect_signals as collect_signals
    from reasonrec_core.pipeline.calibrate_router import compare_answers as compare_answers
    from reasonrec_core.pipeline.calibrate_router import make_tie_keys as make_tie_keys
    from reasonrec_core.pipeline.calibrate_router import name_goals as name_goals
    from reasonrec_core.pipeline.calibrate_router import score_answers as score_answers
    from reasonrec_core.pipeline.evaluate import EvaluatedRun as EvaluatedRun
    from reasonrec_core.pipeline.evaluate import EvaluatedTask as EvaluatedTask
    from reasonrec_core.pipeline.evaluate import list_primary_metrics as list_primary_metrics
    from reasonrec_core.pipeline.finished_run import FinishedRun as FinishedRun
    from reasonrec_core.pipeline.finished_run import load_agent as load_agent
    from reasonrec_core.pipeline.latency import Latency as Latency
    from reasonrec_core.pipeline.latency import compare_seconds as compare_seconds
    from reasonrec_core.pipeline.latency import list_ways_to_ask as list_ways_to_ask
    from reasonrec_core.pipeline.latency import summarise_seconds as summarise_seconds
    from reasonrec_core.pipeline.latency import time_in_turn as time_in_turn
    from reasonrec_core.pipeline.predict import Answers as Answers
    from reasonrec_core.pipeline.predict import ask_consulted as ask_consulted
    from reasonrec_core.pipeline.predict import ask_delegate as ask_delegate
    from reasonrec_core.pipeline.predict import ask_policy as ask_policy
    from reasonrec_core.pipeline.prepare import Prepared as Prepared
    from reasonrec_core.pipeline.prepare import hash_encoders as hash_encoders
    from reasonrec_core.pipeline.prepare import is_learned as is_learned
    from reasonrec_core.pipeline.prepare import make_encoders as make_encoders
    from reasonrec_core.pipeline.run_folder import RunFolder as RunFolder
    from reasonrec_core.pipeline.serving_catalog import ServingCatalog as ServingCatalog
    from reasonrec_core.pipeline.stage_stamp import stamp_folder as stamp_folder

_NAMES = {
    "act": "Outcome",
    "agent": "Agent EditedPolicy Named",
    "calibrate_router": "collect_calibration_data collect_signals compare_answers make_tie_keys name_goals "
    "score_answers",
    "evaluate": "EvaluatedRun EvaluatedTask list_primary_metrics",
    "finished_run": "FinishedRun load_agent",
    "latency": "Latency compare_seconds list_ways_to_ask time_in_turn summarise_seconds",
    "predict": "Answers ask_consulted ask_delegate ask_policy",
    "prepare": "Prepared hash_encoders is_learned make_encoders",
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
