"""What decisions cost, from what the run measured: requests answered one at a time, and tokens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Float64, Route
from reasonrec_trace.replay_router import BEFORE, Replayed, as_recorded
from reasonrec_trace.trace_arrays import Recorded


def estimate_seconds(found: Recorded, decisions: Replayed) -> Float64:
    """float64[n] per request; NaN for requests that the run did not answer one at a time.

    A request that goes the way it went takes what it took. Another takes what the policy and the delegate took for
    it by themselves, plus what the loop around them takes (`estimate_overhead`).
    """
    before = as_recorded(found)
    measured = found.numbers["latency"]
    same = decisions.same(before) & ((decisions.stage == before.stage) | (decisions.routes == str(Route.SELF)))
    same &= (decisions.asked == before.asked) & (decisions.in_turn == before.in_turn)
    # Means of noisy times can make the loop look faster than nothing.
    estimated = add_seconds(found, decisions) + np.maximum(estimate_overhead(found, decisions), 0.0)
    return np.where(np.isnan(measured), np.nan, np.where(same, measured, estimated))


def estimate_overhead(found: Recorded, decisions: Replayed) -> Float64:
    """float64[n]: seconds that the loop takes around the systems, on average: observing, estimating, routing.

    It is counted apart for requests that the policy thinks about and for others, as more is estimated there; where
    the run had only one of the two, both are taken to be equal.
    """
    before = as_recorded(found)
    extra = found.numbers["latency"] - add_seconds(found, before)
    known = ~np.isnan(extra)
    everywhere = _mean(extra)
    late, early = (
        float(extra[known & rows].mean()) if (known & rows).any() else everywhere
        for rows in (~_spared(before), _spared(before))
    )
    return np.where(_spared(decisions), early, late)


def add_seconds(found: Recorded, decisions: Replayed) -> Float64:
    """float64[n]: what the systems take that a request goes through."""
    policy = find_system_seconds(found, found.header.policy)
    taken = decisions.routes == str(Route.REPLACE)
    delegates = np.full(len(found), np.nan)
    for label in found.header.delegates:
        rows = decisions.delegates == label
        # Whoever was asked before it was decided is not asked again.
        delegates[rows] = 0.0 if label in decisions.asked else find_system_seconds(found, label)[rows]
    first = _first(found, decisions)
    replaced = delegates if decisions.stage == BEFORE else policy + delegates
    # Where delegates are consulted the policy thinks twice; an abstention has thought first.
    again = policy + _consulted(found, decisions)
    consulted = np.where(decisions.routes == str(Route.CONSULT), policy + again, policy)
    return np.asarray(first + np.where(taken, replaced, consulted))


def _first(found: Recorded, decisions: Replayed) -> Float64:
    """float64[n]: what those take who are asked before it is decided."""
    total, waiting = np.zeros(len(found)), np.ones(len(found), np.bool_)
    for label in decisions.asked:
        total += np.where(waiting, find_system_seconds(found, label), 0.0)
        if decisions.in_turn:
            waiting &= decisions.delegates != label
    return total


def _consulted(found: Recorded, decisions: Replayed) -> Float64:
    """float64[n]: what all delegates take that have not been asked before."""
    labels = [label for label in found.header.delegates if label not in decisions.asked]
    return np.sum([find_system_seconds(found, label) for label in labels], axis=0) if labels else np.zeros(len(found))


def find_system_seconds(found: Recorded, system: str | None) -> Float64:
    """float64[n]: seconds of one system; its mean where a request was not timed, NaN where none was."""
    values = found.seconds.get(system or "", np.full(len(found), np.nan))
    if np.isnan(values).all():
        values = np.where(_answered(found, system), found.numbers["latency"], np.nan)
    return np.where(np.isnan(values), _mean(values), values)


def estimate_tokens(found: Recorded, decisions: Replayed) -> Float64:
    """float64[n] language-model tokens; what the policy would have spent is its mean where it was not asked.

    Where it decides a second time, it is taken to spend as much again.
    """
    spent = found.numbers["policy_tokens"]
    spent = np.where(np.isnan(spent), _mean(spent), spent)
    asked = np.where(_spared(decisions), 0.0, spent * np.where(decisions.routes == str(Route.CONSULT), 2.0, 1.0))
    return np.where(decisions.same(as_recorded(found)), found.numbers["tokens"], asked)


def summarise_known(values: Float64) -> dict[str, float] | None:
    """Mean, median and 95th percentile of the known values; None where there are none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    p50, p95 = np.quantile(known, [0.5, 0.95])
    return {"mean": float(known.mean()), "p50": float(p50), "p95": float(p95), "n": float(len(known))}


def _spared(decisions: Replayed) -> npt.NDArray[np.bool_]:
    """bool[n]: requests that the policy does not think about."""
    return np.asarray((decisions.routes == str(Route.REPLACE)) & (decisions.stage == BEFORE))


def _answered(found: Recorded, system: str | None) -> npt.NDArray[np.bool_]:
    """bool[n]: the requests that one system answered by itself, in a trace where systems were not timed apart."""
    if system == found.header.policy:
        return np.asarray(found.routes == str(Route.SELF))
    early = as_recorded(found).stage == BEFORE
    return np.asarray((found.routes == str(Route.REPLACE)) & (found.delegates == system) & early)


def _mean(values: Float64) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
