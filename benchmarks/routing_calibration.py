"""How far stated confidence holds in benchmarks/routing.py: of the policy alone, and as routed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from routing_answers import Bank
from routing_proof import AFTER, evidence, kinds

from reasonrec_core.pipeline.calibration_report import chance_error
from reasonrec_core.routing import RouterConfig, answer_confidence, fit_router
from reasonrec_core.routing.calibration import Quality
from reasonrec_core.routing.confidence_calibration import fit_stated

STATED = (*AFTER, "stated-confidence")


def calibrated(bank: Bank, delegates: tuple[str, ...], name: str) -> dict[str, Any]:
    """P(target in top 10) on test, fitted to validation.

    *held out*: the policy's validation hits are those of gates that were fitted on other queries; *as answered*: those
    of the policy as it is, which was fitted on these queries.
    """
    routers = json.loads((bank.folder / "routers.json").read_text())
    share = float(routers[name]["share"])
    test = evidence(bank, "test", delegates)[0]
    known_as = {"as answered": evidence(bank, "valid", delegates)[0]}
    if bank.held_out() is not None:
        known_as["held out"] = evidence(bank, "valid", delegates, held_out=True)[0]
    config = RouterConfig.model_validate({**kinds(delegates)[name], "estimators": STATED, "share": 0.5})
    made: dict[str, Any] = {"share": share, "hits": float(test.hit[bank.policy].mean())}
    for label, known in known_as.items():
        made[f"hits, {label}"] = float(known.hit[bank.policy].mean())
        router = fit_router(config, known)
        router.stated = fit_stated(router, known)
        for way, part in {"routed": share, "policy": 0.0}.items():
            at = router.at_share(part, test.signals)
            judged = at.judge(test.signals, test.keys)
            replaced = at.replaced(judged, test.keys)
            sure = answer_confidence(at, test.signals, replaced, judged.who).astype(np.float64)
            hit = test.hit[bank.policy].copy()
            for system in sorted(set(judged.who[replaced])):
                rows = replaced & (judged.who == system)
                hit[rows] = test.hit[system][rows]
            chance = chance_error(sure, 0)
            facts = {"mean": float(sure.mean()), "chance": chance[0], "chance mass": chance[1]}
            made[f"{way}, {label}"] = {**Quality.of(sure, hit).to_dict(), **facts}
    return made
