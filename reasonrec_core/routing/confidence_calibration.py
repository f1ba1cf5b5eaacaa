"""Recalibrating the confidence that is stated, for each way that a request can go.

A router's regressions turn signals into P(the target is among the first items) for any answer of the policy, or of a
delegate. Which answers are given depends on more than those signals, so what is stated is recalibrated way by way, on
validation queries whose raw confidence came from regressions that had not seen them.
"""

from __future__ import annotations

import numpy as np

from reasonrec_core.routing.calibration import MIN_PER_CLASS, Recalibration, choose_recalibration
from reasonrec_core.routing.calibration_data import Evidence
from reasonrec_core.routing.confidence import Signals, seen_by_delegates, way, ways_of
from reasonrec_core.routing.fitting import Lessons, confidences
from reasonrec_core.routing.router import Router
from reasonrec_core.routing.threshold import confident, signal
from reasonrec_core.types import Bool, Float64, Route

FOLDS = 5


def fit_stated(router: Router, known: Evidence, together: Bool | None = None) -> dict[str, Recalibration]:
    """The maps by way (`ways_of`), fitted to validation queries; what `Router.stated` is set to.

    A way that few validation queries go is fitted to all answers of its system.

    Args:
        router: calibrated on these queries.
        known: the queries.
        together: bool[B], whether the target is in the top of what policy and delegates answer together; None where
            nobody is consulted.
    """
    ways = ways_of(router, known.signals, router.replace(known.signals, known.keys))
    own, early = held_out(router, known, known.policy, known.signals), seen_by_delegates(router, known.signals)
    systems = {str(Route.SELF): (own, known.hit[known.policy])}
    systems |= {way(label): (held_out(router, known, label, early), known.hit[label]) for label in router.delegates}
    if together is not None:
        systems[str(Route.CONSULT)] = (own, together)
    maps = {}
    for name, (raw, event) in systems.items():
        rows = ways == name
        if min(int(event[rows].sum()), int((~event[rows]).sum())) < MIN_PER_CLASS:
            rows = np.ones(len(rows), np.bool_)
        maps[name] = choose_recalibration(raw[rows], event[rows], router.config.seed)
    return maps


def held_out(router: Router, known: Evidence, system: str, seen: Signals) -> Float64:
    """float64[B]: raw confidence in a system's answers, each from a regression that was fitted to other folds.

    Args:
        router: whose regressions are made again.
        known: validation queries.
        system: the policy or a delegate.
        seen: the signals that there are when it answers.
    """
    config, event = router.config, known.hit[system]
    early = tuple(name for name in config.estimators if signal(known.signals, name).stage == "before")
    fold = np.random.default_rng(config.seed).permutation(len(known)) % min(FOLDS, len(known))
    made = np.empty(len(known))
    for left_out in np.unique(fold):
        held, rest = fold == left_out, fold != left_out if len(known) > 1 else fold == left_out
        taken = {name: value.take(rest) for name, value in known.signals.items()}
        lessons = Lessons(taken, early, early, known.quality[system][rest], {}, event[rest], {}, None)
        models = confidences(config, lessons, event[rest])
        made[held] = confident(models, {name: value.take(held) for name, value in seen.items()})
    return made
