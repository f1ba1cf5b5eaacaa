"""What is stated is true way by way, on queries that were not learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reasonrec_core.errors import PluginError
from reasonrec_core.routing import Evidence, Router, RouterConfig, answer_confidence, clues, fit_router
from reasonrec_core.routing.confidence import way, ways_of
from reasonrec_core.routing.confidence_calibration import fit_stated, held_out
from reasonrec_core.types import History, Ranking, Uncertainty


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def evidence(n: int, seed: int) -> Evidence:
    """A policy and a delegate that are right on different queries, and a signal that tells which."""
    rng = np.random.default_rng(seed)
    horizon, hidden = rng.random(n), rng.normal(0, 1.5, n)
    mine, theirs = (rng.random(n) < sigmoid(-1 + sign * hidden - horizon) for sign in (1, -1))
    signals = {
        "evidence-horizon": Uncertainty(horizon.astype(np.float32), "before"),
        "hidden": Uncertainty(sigmoid(-hidden).astype(np.float32), "before"),
    }
    quality = {"policy": mine.astype(float), "other": theirs.astype(float)}
    return Evidence("policy", signals, quality, {"policy": mine, "other": theirs}, np.arange(n, dtype=np.int64))


def routed(known: Evidence) -> Router:
    """Decided by both signals."""
    config = RouterConfig(share=0.5, estimators=("evidence-horizon", "hidden"), stage="before", delegate="other")
    return fit_router(config, known)


def test_confidence_holds_on_fresh_queries_for_each_way() -> None:
    known, fresh = evidence(4000, 0), evidence(4000, 1)
    router = routed(known)
    router.stated = fit_stated(router, known)
    assert set(router.stated) == {"self", way("other")}
    replaced = router.replace(fresh.signals, fresh.keys)
    sure = answer_confidence(router, fresh.signals, replaced)
    for rows, system in ((replaced, "other"), (~replaced, "policy")):
        assert abs(sure[rows].mean() - fresh.hit[system][rows].mean()) < 0.03


def test_ways_tell_who_answers() -> None:
    known = evidence(400, 0)
    router = routed(known)
    replaced = router.replace(known.signals, known.keys)
    assert set(ways_of(router, known.signals, replaced)[replaced]) == {"replace:other"}
    assert set(ways_of(router, known.signals, replaced)[~replaced]) == {"self"}


def test_a_saved_router_states_the_same() -> None:
    known = evidence(1000, 0)
    router = routed(known)
    router.stated = fit_stated(router, known)
    again = Router.from_dict(router.to_dict())
    replaced = router.replace(known.signals, known.keys)
    first, second = (answer_confidence(each, known.signals, replaced) for each in (router, again))
    np.testing.assert_array_equal(first, second)


def test_no_case_is_judged_by_a_regression_that_saw_it() -> None:
    """With outcomes that have nothing to do with the signals, held-out confidence must not follow them."""
    known = evidence(600, 3)
    noise = np.random.default_rng(0).random(600) < 0.3
    blind = Evidence("policy", known.signals, known.quality, {"policy": noise, "other": noise}, known.keys)
    raw = held_out(routed(blind), blind, "policy", blind.signals)
    assert abs(np.corrcoef(raw, noise)[0, 1]) < 0.15
    assert abs(raw.mean() - noise.mean()) < 0.05


@pytest.mark.parametrize("kind", ["threshold", "deferral", "cascade"])
def test_without_confidence_the_decisions_are_the_same(kind: str) -> None:
    known = evidence(600, 0)
    ranked = Ranking(np.tile(np.arange(3, dtype=np.int32), (600, 1)), np.ones((600, 3), np.float32))
    told = clues(History.of([[0]] * 600), np.ones(3, np.int64), {"other": ranked})
    known = replace(known, signals={**known.signals, **told})
    settings = {"kind": kind, "estimators": ("evidence-horizon", "hidden"), "stage": "before", "share": 0.5}
    config = RouterConfig.model_validate(settings)
    sure, unsure = fit_router(config, known), fit_router(config, known, confident=False)
    decided = sure.replace(known.signals, known.keys)
    assert 0 < decided.mean() < 1
    assert np.array_equal(decided, unsure.replace(known.signals, known.keys))
    assert sure.confidence(known.signals).shape == (600,)
    with pytest.raises(PluginError, match="confidence needs"):
        unsure.confidence(known.signals)
    assert unsure.report["confidence"] == {}
