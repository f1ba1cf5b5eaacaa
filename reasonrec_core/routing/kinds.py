"""The kinds of routers: how each learns, and what it has learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reasonrec_core.routing.cascade import Cascade, learn_cascade
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.deferral import learn_deferral
from reasonrec_core.routing.deferral_model import Learned
from reasonrec_core.routing.fitting import Lessons, learn_threshold
from reasonrec_core.routing.risk_control import learn_risk_control
from reasonrec_core.routing.table import Table, learn_table
from reasonrec_core.routing.threshold import Fitted

LEARN: Mapping[str, Callable[[RouterConfig, Lessons], Fitted | Learned]] = {
    "threshold": learn_threshold,
    "deferral": learn_deferral,
    "cascade": learn_cascade,
    "risk-control": learn_risk_control,
    "table": learn_table,
}
STATES: Mapping[str, type[Fitted] | type[Learned]] = {
    "threshold": Fitted,
    "deferral": Learned,
    "cascade": Cascade,
    "risk-control": Learned,
    "table": Table,
}
