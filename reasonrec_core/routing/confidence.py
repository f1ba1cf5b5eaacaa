"""How sure an answer is, whoever gave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Bool, Float32, Route, Uncertainty

if TYPE_CHECKING:
    from reasonrec_core.routing.router import Router

Names = npt.NDArray[np.object_]
Signals = Mapping[str, Uncertainty]


def way(delegate: str) -> str:
    """What is called the way of a request that this delegate answers."""
    return f"{Route.REPLACE}:{delegate}"


def ways_of(
    router: Router, found: Signals, replaced: Bool, who: Names | None = None, together: Bool | None = None
) -> Names:
    """str[B]: "self", "consult", or `way` of the delegate that answers.

    Args:
        router: that decided.
        found: signals of B queries.
        replaced: where a delegate answers.
        who: which one; by default the router's choice.
        together: where policy and delegates answer together; by default the router's choice.
    """
    made = np.full(len(replaced), str(Route.SELF), object)
    made[router.consults(found, replaced) if together is None else together] = str(Route.CONSULT)
    if replaced.any():
        chosen = router.who(found) if who is None else who
        made[replaced] = [way(label) for label in chosen[replaced]]
    return made


def seen_by_delegates(router: Router, found: Signals) -> Signals:
    """The signals that there are when a delegate answers: those that need no answer, where it is decided before."""
    if router.config.stage == "after":
        return found
    return {name: value for name, value in found.items() if value.stage == "before"}


def answer_confidence(
    router: Router, found: Signals, replaced: Bool, who: Names | None = None, together: Bool | None = None
) -> Float32:
    """float32[B]: how sure each answer is, as it is stated; NaN where a delegate answers in another's place.

    A delegate that answers before the policy has thought is judged by the signals that are there by then; signals
    that came later may be NaN in those rows.

    Args:
        router: that decided.
        found: signals of B queries.
        replaced: where a delegate answers.
        who: which one; by default the router's choice.
        together: where policy and delegates answer together; by default the router's choice.
    """
    if not replaced.any():
        sure = _raw(router, found)
        return _stated(router, sure, found, replaced, who, together)
    who = router.who(found) if who is None else who
    known = seen_by_delegates(router, found)
    if replaced.all():
        return _stated(router, _raw(router, known, who), found, replaced, who, together)
    sure = np.empty(len(replaced), np.float32)
    sure[~replaced] = _raw(router, {n: v.take(~replaced) for n, v in found.items()})
    sure[replaced] = _raw(router, {n: v.take(replaced) for n, v in known.items()}, who[replaced])
    return _stated(router, sure, found, replaced, who, together)


def _raw(router: Router, found: Signals, who: Names | None = None) -> Float32:
    """float32[B]: `Router.confidence`; NaN where the router was calibrated without hits."""
    if router.knows_hits(who is not None):
        return router.confidence(found, who)
    size = len(next(iter(found.values())).total) if who is None else len(who)
    return np.full(size, np.nan, np.float32)


def _stated(
    router: Router, sure: Float32, found: Signals, replaced: Bool, who: Names | None, together: Bool | None
) -> Float32:
    """What is stated for these confidences, by the way that each query goes."""
    if not router.stated:
        return sure
    ways, made = ways_of(router, found, replaced, who, together), sure.copy()
    for name, recalibration in router.stated.items():
        if (rows := (ways == name) & ~np.isnan(sure)).any():
            made[rows] = recalibration(sure[rows]).astype(np.float32)
    return made
