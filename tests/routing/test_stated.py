"""What is stated is true way by way, on queries that were not learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reasonrec_core.registry import Registry
from reasonrec_core.routing import CalibrationData, Router, list_features, read_router
from reasonrec_core.routing.confidence import cross_fit_confidence, way, ways_of
from reasonrec_core.testing.router import decide, fit_router
from reasonrec_core.types import History, Ranking, Uncertainty


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def calibration_data(n: int, seed: int) -> CalibrationData:
    """A policy and a delegate that are right on different requests, and a signal that tells which."""
    rng = np.random.default_rng(seed)
    horizon, hidden = rng.random(n), rng.normal(0, 1.5, n)
    mine, theirs = (rng.random(n) < sigmoid(-1 + sign * hidden - horizon) for sign in (1, -1))
    signals = {
        "evidence-horizon": Uncertainty(horizon.astype(np.float32), "before"),
        "hidden": Uncertainty(sigmoid(-hidden).astype(np.float32), "before"),
    }
    quality = {"policy": mine.astype(float), "other": theirs.astype(float)}
    return CalibrationData("policy", signals, quality, {"policy": mine, "other": theirs}, np.arange(n, dtype=np.int64))


def routed(known: CalibrationData) -> Router:
    """Decided by both signals."""
    settings = {"share": 0.5, "estimators": ("evidence-horizon", "hidden"), "stage": "before", "delegate": "other"}
    return fit_router(settings, known)


def test_confidence_holds_on_fresh_queries_for_each_way() -> None:
    known, fresh = calibration_data(4000, 0), calibration_data(4000, 1)
    router = routed(known)
    router.calibrate_confidence(known)
    assert set(router.state.calibration) == {"self", way("other")}
    decided = decide(router, fresh)
    replaced, sure = decided.replaced, decided.confidence
    for rows, system in ((replaced, "other"), (~replaced, "policy")):
        assert abs(sure[rows].mean() - fresh.hit[system][rows].mean()) < 0.03


def test_ways_tell_who_answers() -> None:
    known = calibration_data(400, 0)
    router = routed(known)
    decided = decide(router, known)
    ways = ways_of(decided.route, decided.who)
    assert set(ways[decided.replaced]) == {"replace:other"}
    assert set(ways[~decided.replaced]) == {"self"}


def test_a_saved_router_states_the_same() -> None:
    known = calibration_data(1000, 0)
    router = routed(known)
    router.calibrate_confidence(known)
    again = read_router(router.to_dict())
    first, second = (decide(each, known).confidence for each in (router, again))
    np.testing.assert_array_equal(first, second)


def test_no_case_is_judged_by_a_regression_that_saw_it() -> None:
    """With outcomes that have nothing to do with the signals, held-out confidence must not follow them."""
    known = calibration_data(600, 3)
    noise = np.random.default_rng(0).random(600) < 0.3
    blind = CalibrationData("policy", known.signals, known.quality, {"policy": noise, "other": noise}, known.keys)
    raw = cross_fit_confidence(routed(blind).config, blind, "policy", blind.signals)
    assert abs(np.corrcoef(raw, noise)[0, 1]) < 0.15
    assert abs(raw.mean() - noise.mean()) < 0.05


@pytest.mark.parametrize("kind", ["threshold", "deferral", "cascade"])
def test_without_confidence_the_decisions_are_the_same(kind: str) -> None:
    known = calibration_data(600, 0)
    ranked = Ranking(np.tile(np.arange(3, dtype=np.int32), (600, 1)), np.ones((600, 3), np.float32))
    history, popularity = History.of([[0]] * 600), np.ones(3, np.int64)
    for each in list_features(Registry.discover()):
        told = each.read(history, popularity, {"other": ranked})
        known = replace(known, signals={**known.signals, **told})
    settings = {"kind": kind, "estimators": ("evidence-horizon", "hidden"), "stage": "before", "share": 0.5}
    sure, unsure = fit_router(settings, known), fit_router(settings, known, with_confidence=False)
    decided = decide(sure, known)
    assert 0 < decided.replaced.mean() < 1
    assert np.array_equal(decided.who, decide(unsure, known).who)
    assert np.isfinite(decided.confidence).all()
    assert np.isnan(decide(unsure, known).confidence).all()
    assert unsure.report["confidence"] == {}
