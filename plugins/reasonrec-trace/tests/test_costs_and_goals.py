"""Costs and goals on requests whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reasonrec_trace import Header
from reasonrec_trace.costs import estimate_seconds, estimate_tokens
from reasonrec_trace.goals import relative_difference, share_for_latency, share_for_loss, share_for_tokens
from reasonrec_trace.replay_router import Replayed, as_recorded, make_calibration_data
from reasonrec_trace.trace_arrays import Recorded

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing import CalibrationData, Router
from reasonrec_core.routing.budget import share_for_time
from reasonrec_core.testing.router import fit_router
from reasonrec_core.types import Uncertainty

SIZE = 3000
HEAD = Header(
    policy="mind",
    delegates=("quick",),
    estimators={"doubt": "before"},
    quality="NDCG@10",
    hit="HR@10",
    router={"config": {"stage": "before"}},
)


def decisions(replaced: np.ndarray, stage: str = "before") -> Replayed:
    routes = np.where(replaced, "replace", "self").astype(object)
    return Replayed(routes, np.where(replaced, "quick", "").astype(object), stage)


def world(seed: int = 0) -> Recorded:
    """The delegate is as good as the policy where doubt is above one half, and finds nothing below it."""
    rng = np.random.default_rng(seed)
    doubt = rng.random(SIZE).astype(np.float32)
    hit = rng.random(SIZE) < 0.5
    theirs = np.where(doubt > 0.5, rng.permuted(hit), False)
    replaced = doubt > 0.8
    think, fast = 0.010 + 0.001 * rng.random(SIZE), 0.001 + 0.0001 * rng.random(SIZE)
    timed = np.arange(SIZE) < 200
    known = {name: np.where(timed, values, np.nan) for name, values in (("mind", think), ("quick", fast))}
    made = decisions(replaced)
    return Recorded(
        HEAD,
        np.arange(SIZE),
        np.arange(SIZE),
        np.full(SIZE, 5),
        made.routes,
        made.delegates,
        {"doubt": Uncertainty(doubt, "before")},
        {
            "mind": {"NDCG@10": hit.astype(float), "HR@10": hit.astype(float)},
            "quick": {"NDCG@10": theirs.astype(float), "HR@10": theirs.astype(float)},
        },
        known,
        {
            "latency": np.where(timed, np.where(replaced, fast, think) + 0.002, np.nan),
            "tokens": np.where(replaced, 0.0, 40.0),
            "policy_tokens": np.full(SIZE, 40.0),
            "confidence": np.full(SIZE, np.nan),
            "risk": np.full(SIZE, np.nan),
        },
    )


def learned(found: Recorded) -> Router:
    return fit_router({"share": 0.2, "stage": "before", "estimators": ("doubt",)}, make_calibration_data(found))


def test_time_is_that_of_the_way_that_is_taken() -> None:
    found = world()
    timed = ~np.isnan(found.numbers["latency"])
    assert np.array_equal(estimate_seconds(found, as_recorded(found)), found.numbers["latency"], equal_nan=True)
    for replaced, system in ((np.ones(SIZE, bool), "quick"), (np.zeros(SIZE, bool), "mind")):
        took = estimate_seconds(found, decisions(replaced))
        np.testing.assert_allclose(took[timed], found.seconds[system][timed] + 0.002, atol=1e-9)
        assert np.isnan(took[~timed]).all()
    late = estimate_seconds(found, decisions(np.ones(SIZE, bool), "after"))
    both = found.seconds["mind"] + found.seconds["quick"] + 0.002
    np.testing.assert_allclose(late[timed], both[timed], atol=1e-9)


def test_tokens_are_saved_only_where_the_policy_is_not_asked() -> None:
    found = world()
    everybody = np.ones(SIZE, bool)
    assert estimate_tokens(found, decisions(everybody)).sum() == 0
    assert estimate_tokens(found, decisions(~everybody)).mean() == 40
    # Those that were replaced before any thought keep what they cost: their recorded way is the same.
    assert estimate_tokens(found, decisions(everybody, "after"))[found.routes == "self"].mean() == 40


def test_a_latency_needs_the_share_that_arithmetic_says() -> None:
    found = world()
    slow, fast = 0.0125, 0.00305
    for limit in (0.010, 0.006):
        share = share_for_latency(found, learned(found), limit)
        assert share == pytest.approx((slow - limit) / (slow - fast), abs=0.05)
    with pytest.raises(ConfigError, match=r"1 ms cannot be reached.*12\.\d+ ms, quick 3\.\d+ ms"):
        share_for_latency(found, learned(found), 0.001)
    untimed = replace(found, seconds={}, numbers={**found.numbers, "latency": np.full(SIZE, np.nan)})
    with pytest.raises(ConfigError, match="no latencies"):
        share_for_latency(untimed, learned(found), 0.005)


def test_a_tolerated_loss_delegates_what_can_be_delegated_and_no_more() -> None:
    valid = world()
    share, found = share_for_loss(valid, learned(valid), 0.10, seed=0, resamples=500)
    assert 0.4 <= share <= 0.6, "beyond one half every further request is lost"
    assert found.low >= -0.10
    strict, _ = share_for_loss(valid, learned(valid), 0.0, seed=0, resamples=500)
    assert strict < share
    assert share_for_loss(valid, learned(valid), 1.0, seed=0, resamples=500)[0] == 1.0


def test_relative_differences_are_paired_by_user() -> None:
    rng = np.random.default_rng(1)
    policy = rng.random(400)
    worse = relative_difference(policy * 0.9, policy, np.arange(400), seed=0, resamples=1000)
    assert worse.value == pytest.approx(-0.1)
    assert worse.low == pytest.approx(-0.1)
    noisy = relative_difference(rng.permuted(policy), policy, np.arange(400), seed=0, resamples=1000)
    assert noisy.low < 0 < noisy.high
    few = relative_difference(rng.permuted(policy), policy, np.arange(400) // 40, seed=0, resamples=1000)
    alone = relative_difference(rng.permuted(policy), policy, np.full(400, -1), seed=0, resamples=1000)
    assert np.isfinite([few.low, few.high, alone.low, alone.high]).all()
    gone = policy.copy()
    gone[::2] = np.nan
    assert relative_difference(policy, gone, np.arange(400), seed=0, resamples=100).value == 0


def test_evidence_needs_both_sides() -> None:
    found = world()
    taken = make_calibration_data(found).take(np.arange(10))
    assert isinstance(taken, CalibrationData)
    assert len(taken) == 10
    assert list(taken.quality) == ["mind", "quick"]
    with pytest.raises(ConfigError, match="a policy and at least one delegate"):
        make_calibration_data(replace(found, header=HEAD.model_copy(update={"delegates": ()})))


def test_tokens_need_the_share_that_arithmetic_says() -> None:
    found = world()
    assert share_for_tokens(found, learned(found), 10.0) == pytest.approx(0.75, abs=0.011)
    assert share_for_tokens(found, learned(found), 40.0) == 0.0
    late = fit_router({"share": 0.2, "stage": "after", "estimators": ("doubt",)}, make_calibration_data(found))
    with pytest.raises(ConfigError, match=r"--max-tokens: 10 tokens cannot be reached: the policy spends 40\.0"):
        share_for_tokens(found, late, 10.0)
    silent = replace(found, numbers={**found.numbers, "policy_tokens": np.full(SIZE, np.nan)})
    with pytest.raises(ConfigError, match="no tokens of the policy"):
        share_for_tokens(silent, learned(found), 10.0)


def test_the_share_for_a_loss_does_not_depend_on_how_users_are_numbered() -> None:
    valid = world()
    other = replace(valid, users=valid.users[::-1].copy() * 7)
    router = learned(valid)
    assert share_for_loss(valid, router, 0.1, seed=0, resamples=200) == share_for_loss(
        other, router, 0.1, seed=0, resamples=200
    )


def test_a_time_lies_between_that_of_the_policy_and_that_of_the_delegates() -> None:
    assert share_for_time(0.010, 0.002, 0.006, "before", "router.max_latency") == pytest.approx(0.5)
    assert share_for_time(0.010, 0.002, 0.020, "before", "router.max_latency") == 0.0
    with pytest.raises(ConfigError, match=r"router\.max_latency: 1 ms cannot be reached.*Allow at least 2\.00 ms"):
        share_for_time(0.010, 0.002, 0.001, "before", "router.max_latency")
