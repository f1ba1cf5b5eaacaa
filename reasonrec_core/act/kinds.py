"""The kinds of routers: how each learns, and what it has learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reasonrec_core.act.cascade import Cascade, learn_cascade
from reasonrec_core.act.config import RouterConfig
from reasonrec_core.act.deferral import learn_deferral
from reasonrec_core.act.fitted import Fitted
from reasonrec_core.act.learned import Learned
from reasonrec_core.act.learning import Lessons, learn_threshold
from reasonrec_core.act.risk_control import learn_risk_control
from reasonrec_core.act.table import Table, learn_table

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
