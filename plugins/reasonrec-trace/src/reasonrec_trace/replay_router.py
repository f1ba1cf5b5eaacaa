"""Deciding again: a router is a pure function of what the trace recorded before anybody answered for good.

A router sees the recorded signals (every estimator's uncertainty) and the recorded keys, row by row, and nothing else.
So whatever kind it is, the same router gives the same decisions from the trace as it gave in the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import ConfigError, ReasonRecError, RunError
from reasonrec_core.routing import (
    AskingCosts,
    CalibrationData,
    ConsultedAnswers,
    Decisions,
    Router,
    RouterConfig,
    make_router,
    read_router,
)
from reasonrec_core.routing.consulting import wants_advice
from reasonrec_core.types import CONSULT, ROUTED, Float64, Route
from reasonrec_trace.trace_arrays import Names, Recorded

BEFORE = "before"


@dataclass(frozen=True)
class Replayed:
    """Who answers each of n requests.

    Attributes:
        routes: values of `Route`.
        delegates: "" where no delegate takes part.
        stage: whether it is decided "before" or "after" the policy has answered.
        asked: delegates that answer before it is decided.
        in_turn: whether they are asked one after another until one answers, not all about every request.
        decisions: all that the router says; None where the run's are read from the trace.
    """

    routes: Names
    delegates: Names
    stage: str
    asked: tuple[str, ...] = ()
    in_turn: bool = False
    decisions: Decisions | None = None

    def same(self, other: Replayed) -> npt.NDArray[np.bool_]:
        """bool[n]: which requests go the same way in both."""
        return np.asarray((self.routes == other.routes) & (self.delegates == other.delegates), np.bool_)

    @property
    def share(self) -> float:
        """Of the requests that a delegate answers."""
        return float(np.mean(self.routes == str(Route.REPLACE))) if len(self.routes) else 0.0


def as_recorded(found: Recorded) -> Replayed:
    """The decisions of the run."""
    router = found.header.router
    if router is None:
        return Replayed(found.routes, found.delegates, BEFORE)
    asked = tuple(str(label) for label in router.get("asks", ()))
    in_turn = bool(router.get("in_turn", False))
    return Replayed(found.routes, found.delegates, str(router["config"]["stage"]), asked, in_turn)


def decide(found: Recorded, router: Router[Any] | None) -> Replayed:
    """The decisions of a router; without one the policy answers all, or where there is none the first delegate.

    Raises:
        RunError: the trace lacks a signal that the router needs for some request.
    """
    n, head = len(found), found.header
    if router is None:
        alone = head.policy is None and head.delegates
        route, who = (Route.REPLACE, head.delegates[0]) if alone else (Route.SELF, "")
        return Replayed(np.full(n, str(route), object), np.full(n, who, object), BEFORE)
    check_signals(found, router.signals)
    made = router.decide(found.signals, found.keys)
    return Replayed(made.route, made.who, router.config.stage, router.asks, router.in_turn, made)


def recorded_router(found: Recorded) -> Router[Any] | None:
    """The router of the run, as it was fitted there."""
    if found.header.router is None:
        return None
    try:
        return read_router(found.header.router)
    except (ReasonRecError, KeyError, TypeError) as error:
        raise RunError(
            f"the trace's router cannot be read ({' '.join(str(error).split())})",
            where=found.header.name or None,
            fix="Use the version of reasonrec that wrote the trace, or run the pipeline again.",
        ) from error


def fit_router(config: RouterConfig, valid: Recorded) -> Router[Any]:
    """Another router, fitted to the trace's validation part as a run would have fitted it.

    Raises:
        ConfigError: an estimator or delegate that the trace does not know, or a risk out of reach.
        RunError: there is no validation part, or delegates were not consulted there.
    """
    data = make_calibration_data(valid)
    router = make_router(config).fit(data)
    assert data.consulted is not None
    if (wants_advice(config, data.signals) & ~data.consulted.asked).any():
        raise RunError(
            "this router would consult delegates on validation requests where the run did not",
            where=valid.header.name or None,
            fix="Run the pipeline with this router.consult, or remove it.",
        )
    router.learn_consulting(data, resamples=valid.header.resamples)
    router.calibrate_confidence(data)
    router.place_abstention(data)
    return router


def make_calibration_data(valid: Recorded) -> CalibrationData:
    """The validation part as what routers learn from."""
    head = valid.header
    if head.policy is None or not head.delegates:
        raise ConfigError(
            "a router needs a policy and at least one delegate, but the run did not have both", where=head.name or None
        )
    if not len(valid):
        raise RunError(
            "the trace has no validation requests to calibrate a router on",
            where=head.name or None,
            fix="Run the pipeline with a [router]: then its trace has them.",
        )
    quality = {system: find_quality(valid, system, head.quality) for system in (head.policy, *head.delegates)}
    hit = {system: find_quality(valid, system, head.hit) > 0 for system in quality}
    again = find_quality(valid, CONSULT, head.quality)
    consulted = ConsultedAnswers(~np.isnan(again), again, find_quality(valid, CONSULT, head.hit) > 0)
    costs = AskingCosts.model_validate(head.costs) if head.costs else None
    return CalibrationData(head.policy, valid.signals, quality, hit, valid.keys, costs, consulted)


def check_signals(found: Recorded, names: Sequence[str]) -> None:
    """Refuse to decide where a signal is missing; a name that nobody knows is left to the router's own message."""
    for name in names:
        missing = int(np.isnan(found.signals[name].total).sum()) if name in found.signals else 0
        if missing:
            raise RunError(
                f"{missing} of {len(found)} requests have no {name!r}, which the router needs",
                where=found.header.name or None,
                fix='Replay a router with stage = "before", or the trace of an evaluation, in which all '
                "systems are asked.",
            )


def find_quality(found: Recorded, system: str, name: str | None) -> Float64:
    """float64[n] quality of one system's answers; NaN where it is not known."""
    return found.quality.get(system, {}).get(name or "", np.full(len(found), np.nan))


def compute_quality(found: Recorded, decisions: Replayed, name: str) -> Float64:
    """float64[n]: the quality of whoever answers.

    Raises:
        RunError: an answer that the run did not ask for.
    """
    head, routes, changed = found.header, decisions.routes, ~decisions.same(as_recorded(found))
    values = np.where(changed, np.nan, find_quality(found, ROUTED, name))
    unknown = np.isnan(values)
    taken, joint = routes == str(Route.REPLACE), routes == str(Route.CONSULT)
    answered = {label: taken & (decisions.delegates == label) for label in head.delegates}
    for system, rows in {**answered, head.policy or "": routes == str(Route.SELF), CONSULT: joint}.items():
        values[unknown & rows] = find_quality(found, system, name)[unknown & rows]
    values[unknown & (routes == str(Route.ABSTAIN))] = 0.0  # no answer holds no target
    other = changed & joint & np.isnan(values)
    if other.any():
        raise RunError(
            f"{int(other.sum())} requests would take another route "
            f"({sorted(set(decisions.routes[other]))}), for which the run has no answers",
            where=head.name or None,
            fix="Run the pipeline with this router.",
        )
    return values
