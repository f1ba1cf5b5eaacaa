"""Act: who answers a request, decided by rules that are calibrated on validation data."""

from reasonrec_core.act.answered import answer_confidence
from reasonrec_core.act.config import RouterConfig
from reasonrec_core.act.router import Router

__all__ = ["Router", "RouterConfig", "answer_confidence"]
