"""How far stated confidence holds in benchmarks/routing.py: of the policy alone, and as routed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from reasonrec_report.measure.calibration import chance_error
from routing_answers import Bank
from routing_proof import AFTER, calibration_data, kinds, unfitted

from reasonrec_core.routing import CalibrationQuality

STATED = (*AFTER, "stated-confidence")


def calibrated(bank: Bank, delegates: tuple[str, ...], name: str) -> dict[str, Any]:
    """P(target in top 10) on test, fitted to validation.

    *held out*: the policy's validation hits are those of gates that were fitted on other queries; *as answered*: those
    of the policy as it is, which was fitted on these queries.
    """
    routers = json.loads((bank.folder / "routers.json").read_text())
    share = float(routers[name]["share"])
    test = calibration_data(bank, "test", delegates)[0]
    known_as = {"as answered": calibration_data(bank, "valid", delegates)[0]}
    if bank.held_out() is not None:
        known_as["held out"] = calibration_data(bank, "valid", delegates, held_out=True)[0]
    made: dict[str, Any] = {"share": share, "hits": float(test.hit[bank.policy].mean())}
    for label, known in known_as.items():
        made[f"hits, {label}"] = float(known.hit[bank.policy].mean())
        router = unfitted(kinds(delegates)[name], estimators=STATED).fit(known)
        router.calibrate_confidence(known)
        for way, part in {"routed": share, "policy": 0.0}.items():
            decided = router.at_share(part, test.signals).decide(test.signals, test.keys)
            sure, hit = decided.confidence.astype(np.float64), test.hit[bank.policy].copy()
            for system in delegates:
                hit[decided.who == system] = test.hit[system][decided.who == system]
            chance = chance_error(sure, 0)
            facts = {"mean": float(sure.mean()), "chance": chance[0], "chance mass": chance[1]}
            made[f"{way}, {label}"] = {**CalibrationQuality.of(sure, hit).model_dump(), **facts}
    return made
