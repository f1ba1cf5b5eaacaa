"""What benchmarks/routing.py finds out on answers that are kept: shares without loss, calibration.

Every choice is made on validation queries; the test queries are decided once by what was chosen. Routers learn from
answers as `reasonrec run` has them: the policy has gates that were fitted on these queries, and what learns from it has
them, too. Held-out figures for one of them alone would make the other look too good.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from reasonrec_routers.expected_gain import DEPTH
from reasonrec_routers.features import LearnedFeatures
from routing_answers import TOP, Bank, quality

from reasonrec_core.routing import Assignment, CalibrationData, Router, make_router
from reasonrec_core.routing.budget import relative_difference, routed_quality, share_for_loss
from reasonrec_core.routing.config import AnyRouterConfig
from reasonrec_core.types import Ranking

WIDTH = TOP + 1
LOSS, RESAMPLES = 0.01, 2000
SHARES = np.linspace(0.1, 1.0, 10)
AFTER = ("evidence-horizon", "entropy", "margin")
FEATURES = LearnedFeatures()
Found = dict[str, Any]


def kinds(delegates: tuple[str, ...]) -> dict[str, Found]:
    """The routers that are compared, by name: settings of `[router]`."""
    near = delegates[-1]
    before, after = {"stage": "before"}, {"stage": "after"}
    return {
        "threshold, before": {"kind": "threshold", **before},
        "risk control, before": {"kind": "risk-control", **before, "answer_features": "none"},
        "deferral, before, no answers": {"kind": "deferral", **before, "answer_features": "none"},
        f"deferral, before, answers of {near}": {"kind": "deferral", **before, "answer_features": (near,)},
        "deferral, before, answers of all": {"kind": "deferral", **before, "answer_features": "all"},
        "cascade": {"kind": "cascade", **before},
        "threshold, after": {"kind": "threshold", **after},
        "deferral, after, answers of all": {"kind": "deferral", **after, "answer_features": "all"},
    }


def unfitted(settings: Found, **more: Any) -> Router[Any]:
    """A router of these settings, for half of the requests."""
    return make_router(AnyRouterConfig.model_validate({**settings, "share": 0.5, **more}))


def calibration_data(
    bank: Bank, part: str, delegates: tuple[str, ...], held_out: bool = False
) -> tuple[CalibrationData, dict[str, Ranking]]:
    """What a router learns from, or is tested on; and the answers.

    With ``held_out`` the policy's validation quality is that of gates that were fitted on other queries.
    """
    cases = bank.cases(part)
    ranked = {label: bank.ranking(label, part, WIDTH) for label in (bank.policy, *delegates)}
    made = {label: quality(ranking, cases) for label, ranking in ranked.items()}
    gains, hits = ({label: each[i] for label, each in made.items()} for i in (0, 1))
    if held_out and (own := bank.held_out()) is not None:
        gains[bank.policy], hits[bank.policy] = own, own > 0
    theirs = {label: ranked[label] for label in delegates}
    known = {**bank.signals(part), **FEATURES.read(cases.queries.history, bank.popularity, theirs)}
    mine, masses = ranked[bank.policy], bank.masses(part, WIDTH)
    known |= FEATURES.compare(mine, masses, theirs, DEPTH)
    return CalibrationData(bank.policy, known, gains, hits, cases.queries.users.astype(np.int64)), ranked


def prove(bank: Bank, delegates: tuple[str, ...], only: tuple[str, ...] = ()) -> Found:
    """Every router on one data set."""
    valid, test = (calibration_data(bank, part, delegates)[0] for part in ("valid", "test"))
    path = bank.folder / "routers.json"
    kept: Found = json.loads(path.read_text()) if path.exists() else {}
    for name, settings in kinds(delegates).items():
        if name in kept or (only and name not in only):
            continue
        router = unfitted(settings, estimators=AFTER)
        share, found = share_for_loss(valid, router, LOSS, valid.keys, seed=0, resamples=RESAMPLES)
        router.fit(valid)
        kept[name] = {"share": share, "validation": asdict(found), **tested(router, test, share, bank)}
        path.write_text(json.dumps(kept, indent=1))
        print(bank.bench.name, name, share, kept[name]["test"], flush=True)
    systems = {label: float(each.mean()) for label, each in test.quality.items()}
    return {
        "routers": kept,
        "systems": systems,
        "oracle": oracle(test, delegates),
        "policy": bank.policy,
        "delegates": list(delegates),
    }


def tested(router: Router[Any], test: CalibrationData, share: float, bank: Bank) -> Found:
    """The curve, and what came of the chosen share: on all test queries and by quarter of the evidence horizon."""
    mine = test.quality[test.policy]

    def assigned(at: float) -> Assignment:
        return router.at_share(at, test.signals).assign(test.signals, test.keys)

    whole = routed_quality(test, assigned(1.0))
    points = [float(routed_quality(test, assigned(float(s))).mean()) for s in SHARES]
    random = [float(mine.mean() + s * (whole.mean() - mine.mean())) for s in SHARES]
    chosen = assigned(share)
    values, replaced = routed_quality(test, chosen), chosen.replaced
    horizon = bank.horizon("test")
    quarter = np.searchsorted(np.quantile(horizon, (0.25, 0.5, 0.75)), horizon, side="right")
    slices = [
        {"n": int(at.sum()), "share": float(replaced[at].mean()), **against(values[at], mine[at], test.keys[at])}
        for at in (quarter == q for q in range(4))
        if at.any()
    ]
    report = router.report
    return {
        "test": against(values, mine, test.keys),
        "points": points,
        "random": random,
        "area": float(np.mean(np.array(points) - np.array(random))),
        "quarters": slices,
        "form": report.get("form"),
        "asks": report.get("asks"),
    }


def against(values: np.ndarray, mine: np.ndarray, users: np.ndarray) -> Found:
    """NDCG@10, and the relative difference to the policy alone."""
    found = relative_difference(values, mine, users, seed=0, resamples=RESAMPLES)
    return {"routed": float(values.mean()), "policy": float(mine.mean()), **asdict(found)}


def oracle(test: CalibrationData, delegates: tuple[str, ...]) -> list[float]:
    """Quality at every share where the requests that gain most go to the best delegate for each."""
    mine = test.quality[test.policy]
    gains = np.sort(np.max([test.quality[label] for label in delegates], axis=0) - mine)[::-1]
    return [float(mine.mean() + gains[: round(s * len(gains))].sum() / len(gains)) for s in SHARES]
