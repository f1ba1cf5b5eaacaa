"""What a delegate's answer is expected to lose, and routers that learn from it."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_routers.expected_gain import EXPECTED, encode_gain, expected_gain

from reasonrec_core.routing import CalibrationData, read_router
from reasonrec_core.testing.router import fit_router
from reasonrec_core.types import Ranking, Uncertainty


def ranking(*rows: list[int]) -> Ranking:
    items = np.array(rows, np.int32)
    return Ranking(items, np.where(items >= 0, -np.arange(items.shape[1]), -np.inf).astype(np.float32))


def test_the_expectation_is_over_the_policys_own_probabilities() -> None:
    policy, masses = ranking([5, 3, 8], [1, 2, -1]), np.array([[0.5, 0.2, 0.1], [0.6, 0.4, 0.0]], np.float32)
    delegate = ranking([3, 5, 7], [-1, -1, -1])
    second = 1 / np.log2(3)
    found = expected_gain(policy, masses, delegate, depth=2)
    assert found[0] == pytest.approx((0.2 + 0.5 * second) - (0.5 + 0.2 * second), abs=1e-6)
    assert found[1] == pytest.approx(-(0.6 + 0.4 * second), abs=1e-6)


def test_the_same_answer_gains_nothing_and_no_answer_gains_by_the_policys_word() -> None:
    rng = np.random.default_rng(0)
    items = np.stack([rng.permutation(40)[:12] for _ in range(50)]).astype(np.int32)
    masses = -np.sort(-rng.dirichlet(np.full(12, 0.3), 50), axis=1).astype(np.float32)
    policy = Ranking(items, masses)
    assert np.abs(expected_gain(policy, masses, policy)).max() < 1e-9
    other = Ranking(np.stack([rng.permutation(40)[:12] for _ in range(50)]).astype(np.int32), masses)
    assert (expected_gain(policy, masses, other) <= 1e-9).all(), "the policy's list is the best by its own word"


def test_a_router_learns_from_expectations_where_outcomes_are_noise() -> None:
    """Whether the delegate is as good follows from the horizon; outcomes hardly show it, expectations do."""
    rng = np.random.default_rng(3)
    size = 600
    horizon = rng.random(size).astype(np.float32)
    agrees = horizon < 0.5
    hit = rng.random(size) < 0.05
    policy = hit * 1.0
    delegate = np.where(agrees, policy, (rng.random(size) < 0.03) * 1.0)
    soft = np.where(agrees, 0.0, -0.02) + rng.normal(0, 0.002, size)
    features = {f"feature:{n}": Uncertainty(rng.random(size).astype(np.float32), "before") for n in
             ("length", "popularity", "last-popularity")}  # fmt: skip
    signals = {"evidence-horizon": Uncertainty(horizon, "before"), **features}
    signals[f"{EXPECTED}d"] = Uncertainty(encode_gain(soft), "after")
    wanted = {"kind": "deferral", "stage": "before", "share": 0.4, "answer_features": "none"}
    wanted["estimators"] = ("evidence-horizon",)
    quality, hits = {"p": policy, "d": delegate}, {"p": policy > 0, "d": delegate > 0}
    known = CalibrationData("p", signals, quality, hits, np.arange(size))
    router = fit_router(wanted, known)
    assert router.report["form"].endswith("of expected gains")
    assert agrees[router.assign(signals, known.keys).replaced].mean() > 0.9
    again = read_router(router.to_dict())
    assert np.array_equal(again.assign(signals, known.keys).replaced, router.assign(signals, known.keys).replaced)
