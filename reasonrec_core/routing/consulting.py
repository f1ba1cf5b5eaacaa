"""Consulting: where little is known about a user, the policy decides again with the delegates' answers in view.

Whether that is worth it is measured on validation, on the queries that it is about: where the lower end of the 95 %
interval of the gain is not above 0, the policy's own answers stand.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from reasonrec_core.routing.budget import relative_difference, renumber_users
from reasonrec_core.routing.calibration_data import CalibrationData
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.signals import Signals, count_queries, signal
from reasonrec_core.types import Bool

HORIZON = "evidence-horizon"
"""The signal that says how little is known about a user."""


def wants_advice(config: RouterConfig, signals: Signals) -> Bool:
    """bool[B]: where less is known about the user than ``consult`` allows, whoever answers then."""
    if config.consult is None:
        return np.zeros(count_queries(signals), np.bool_)
    return np.asarray(signal(signals, HORIZON).total > config.consult, np.bool_)


def compare_consulting(config: RouterConfig, data: CalibrationData, resamples: int) -> dict[str, Any]:
    """What consulting came to on validation, and whether it is ``used``; paired by user.

    Args:
        config: of the router.
        data: validation queries; without `CalibrationData.consulted` nothing can be said, and it is not used.
        resamples: of the interval.
    """
    rows = wants_advice(config, data.signals)
    if data.consulted is None or not (rows := rows & data.consulted.asked).any():
        return {"queries": 0, "used": False}
    own, advised = data.quality[data.policy][rows], data.consulted.quality[rows]
    users = renumber_users(data.keys[rows])
    gain = relative_difference(advised, own, users, seed=config.seed, resamples=resamples)
    found = {"policy": float(own.mean()), "consulted": float(advised.mean()), "queries": int(rows.sum())}
    return {**found, "gain": asdict(gain), "used": gain.low > 0}
