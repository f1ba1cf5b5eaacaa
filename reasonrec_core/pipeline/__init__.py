"""The loop. What packages with reporters may use of an evaluated run is named here, imported when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_core.pipeline.agent import Agent as Agent
    from reasonrec_core.pipeline.agent import Named as Named
    from reasonrec_core.pipeline.evaluate import EvaluatedTask as EvaluatedTask
    from reasonrec_core.pipeline.evaluated_run import EvaluatedRun as EvaluatedRun
    from reasonrec_core.pipeline.interactive import EditedPolicy as EditedPolicy
    from reasonrec_core.pipeline.latency import Latency as Latency
    from reasonrec_core.pipeline.prepare import Prepared as Prepared

_MODULES = {
    "Agent": "agent",
    "EditedPolicy": "interactive",
    "EvaluatedRun": "evaluated_run",
    "EvaluatedTask": "evaluate",
    "Latency": "latency",
    "Named": "agent",
    "Prepared": "prepare",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
