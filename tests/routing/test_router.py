"""The router: shares met, risks kept, ties broken fairly, decisions that depend on nothing but the query."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from reasonrec_routers.threshold import ThresholdRouter

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.routing import (
    CalibrationData,
    Router,
    RouterConfig,
    Threshold,
    read_router,
    threshold_for_risk,
    threshold_for_share,
)
from reasonrec_core.types import Route, Uncertainty

SIZE = 4000
risks = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.35, 0.5, 0.9]), min_size=1, max_size=80)


class World:
    """Queries on which the policy is worse than ``good`` where a hidden uncertainty is high, and ``bad`` is bad."""

    def __init__(self, size: int = SIZE, seed: int = 0, levels: int | None = None) -> None:
        rng = np.random.default_rng(seed)
        self.keys = rng.permutation(size).astype(np.int64)
        doubt, horizon = rng.random(size), rng.random(size)
        if levels:
            horizon = np.floor(horizon * levels) / levels
        self.p_worse = 0.7 * doubt**2 + 0.25 * horizon
        self.uncertainty = {
            "entropy": Uncertainty(doubt.astype(np.float32), "after"),
            "evidence-horizon": Uncertainty(horizon.astype(np.float32), "before"),
        }
        worse = rng.random(size) < self.p_worse
        self.policy = np.where(worse, 0.2, 0.6)
        self.delegates = {"good": np.full(size, 0.4), "bad": np.full(size, 0.1)}
        self.p_hit = 0.8 - 0.6 * doubt
        self.hit = rng.random(size) < self.p_hit

    def data(self, **changes: object) -> CalibrationData:
        quality = {"mind": self.policy, **self.delegates}
        hit = {"mind": self.hit, **{label: q > 0.3 for label, q in self.delegates.items()}}
        return replace(CalibrationData("mind", self.uncertainty, quality, hit, self.keys), **changes)

    def calibrated(self, **wanted: object) -> Router:
        config = RouterConfig.model_validate(
            {"estimators": ("evidence-horizon", "entropy"), "stage": "after", **wanted}
        )
        return ThresholdRouter(config).fit(self.data())

    def take(self, index: np.ndarray) -> dict[str, Uncertainty]:
        return {name: Uncertainty(u.total[index], u.stage) for name, u in self.uncertainty.items()}


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def fresh() -> World:
    return World(seed=1)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.35, 0.8, 1.0])
def test_share_is_met_on_validation_and_nearly_on_fresh_queries(world: World, fresh: World, share: float) -> None:
    router = world.calibrated(share=share)
    assert router.assign(world.uncertainty, world.keys).replaced.mean() == pytest.approx(share, abs=1.5 / SIZE)
    assert router.report["share"] == pytest.approx(share, abs=1.5 / SIZE)
    assert router.assign(fresh.uncertainty, fresh.keys).replaced.mean() == pytest.approx(share, abs=0.03)


def test_risk_is_calibrated_on_fresh_queries(world: World, fresh: World) -> None:
    """Within each fifth of predicted risk, the policy is worse as often as predicted."""
    predicted = world.calibrated(share=0.5).assign(fresh.uncertainty).risk
    for part in np.array_split(np.argsort(predicted), 5):
        assert fresh.p_worse[part].mean() == pytest.approx(float(predicted[part].mean()), abs=0.04)


def test_confidence_is_calibrated_on_fresh_queries_and_needs_no_answer_before(world: World, fresh: World) -> None:
    router = world.calibrated(share=0.5)
    confidence = router.confidence(fresh.uncertainty)
    assert np.abs(confidence - fresh.p_hit).mean() < 0.03
    early = {"evidence-horizon": fresh.uncertainty["evidence-horizon"]}
    assert np.abs(router.confidence(early) - fresh.hit.mean()).max() < 0.1, "the horizon says nothing about hits here"
    with pytest.raises(PluginError, match="confidence needs"):
        router.confidence({"entropy": fresh.uncertainty["entropy"]})


def test_kept_queries_are_as_safe_as_wanted_and_no_more_are_replaced_than_needed(world: World, fresh: World) -> None:
    router = world.calibrated(risk=0.15)
    replaced = router.assign(fresh.uncertainty, fresh.keys).replaced
    assert float(fresh.p_worse[~replaced].mean()) == pytest.approx(0.15, abs=0.02)
    everything = world.calibrated(risk=0.99)
    assert not everything.assign(world.uncertainty, world.keys).replaced.any()


def test_routing_by_risk_beats_routing_at_random(world: World, fresh: World) -> None:
    replaced = world.calibrated(share=0.35).assign(fresh.uncertainty, fresh.keys).replaced
    routed = np.where(replaced, fresh.delegates["good"], fresh.policy).mean()
    random = 0.35 * fresh.delegates["good"].mean() + 0.65 * fresh.policy.mean()
    assert routed > random + 0.02
    assert routed > max(fresh.delegates["good"].mean(), fresh.policy.mean())


def test_risk_out_of_reach_says_what_is_within_reach(world: World) -> None:
    with pytest.raises(ConfigError, match=r"router\.risk: a risk of 1e-06 cannot be reached.*Allow at least 0\.0"):
        world.calibrated(risk=1e-6)


def test_stage_before_looks_only_at_what_needs_no_answer(world: World) -> None:
    router = world.calibrated(share=0.3, stage="before")
    early = {"evidence-horizon": world.uncertainty["evidence-horizon"]}
    replaced = router.assign(early, world.keys).replaced
    assert replaced.mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(replaced, router.assign(world.uncertainty, world.keys).replaced)
    with pytest.raises(ConfigError, match="none of the estimators works before the policy answers"):
        world.calibrated(share=0.3, stage="before", estimators=("entropy",))


def test_a_share_can_be_met_anew_where_signals_have_drifted(world: World, fresh: World) -> None:
    """Everybody has more history than on validation: the share is met again, and the order of risk is as learned."""
    router = world.calibrated(share=0.35)
    drifted = {
        name: Uncertainty(u.total * np.float32(0.5 if u.stage == "before" else 1), u.stage)
        for name, u in fresh.uncertainty.items()
    }
    before, risk = router.assign(drifted, fresh.keys).replaced, router.assign(drifted).risk
    assert before.mean() < 0.33
    router = router.at_share(0.35, drifted)
    after = router.assign(drifted, fresh.keys).replaced
    assert after.mean() == pytest.approx(0.35, abs=1.5 / SIZE)
    assert (after | ~before).all()
    np.testing.assert_array_equal(router.assign(drifted).risk, risk)


def test_ties_are_broken_by_key_so_that_the_share_is_met() -> None:
    coarse = World(levels=3)
    router = coarse.calibrated(share=0.35, stage="before")
    with_keys = router.assign(coarse.uncertainty, coarse.keys).replaced
    without = router.assign(coarse.uncertainty).replaced
    assert with_keys.mean() == pytest.approx(0.35, abs=0.03)
    assert min(abs(without.mean() - 1 / 3), abs(without.mean() - 2 / 3)) < 0.03, "a whole level or none of it"
    assert router.report["share"] == with_keys.mean()


def test_decisions_depend_on_the_query_alone(world: World, fresh: World) -> None:
    router = world.calibrated(share=0.35)
    replaced, risk = router.assign(fresh.uncertainty, fresh.keys).replaced, router.assign(fresh.uncertainty).risk
    order = np.random.default_rng(3).permutation(SIZE)
    np.testing.assert_array_equal(router.assign(fresh.take(order), fresh.keys[order]).replaced, replaced[order])
    for row in range(0, SIZE, 371):
        one = np.array([row])
        np.testing.assert_array_equal(router.assign(fresh.take(one), fresh.keys[one]).replaced, replaced[one])
        np.testing.assert_array_equal(router.assign(fresh.take(one)).risk, risk[one])
        np.testing.assert_array_equal(router.confidence(fresh.take(one)), router.confidence(fresh.uncertainty)[one])


def test_equal_validation_gives_an_equal_router_and_json_keeps_it(world: World, fresh: World) -> None:
    router = world.calibrated(share=0.35)
    stored = json.loads(json.dumps(router.to_dict(), allow_nan=False))
    assert stored == json.loads(json.dumps(world.calibrated(share=0.35).to_dict()))
    again = read_router(stored)
    assert again.delegate == "good"
    np.testing.assert_array_equal(again.assign(fresh.uncertainty).replaced, router.assign(fresh.uncertainty).replaced)
    np.testing.assert_array_equal(again.confidence(fresh.uncertainty), router.confidence(fresh.uncertainty))
    assert list(again.decide(fresh.uncertainty).reason) == list(router.decide(fresh.uncertainty).reason)
    assert again.report == router.report


def test_best_delegate_is_best_on_validation_and_a_named_one_is_taken(world: World) -> None:
    assert world.calibrated(share=0.2).delegate == "good"
    assert world.calibrated(share=0.2, delegate="bad").delegate == "bad"
    with pytest.raises(ConfigError, match=r"unknown delegate 'god'\. Did you mean 'good'"):
        world.calibrated(share=0.2, delegate="god")


def test_reason_says_who_answers_and_why(world: World) -> None:
    router = world.calibrated(share=0.35)
    decided = router.decide(world.uncertainty, world.keys)
    replaced, routes = decided.replaced, decided.route
    gone, kept = int(np.flatnonzero(replaced)[0]), int(np.flatnonzero(~replaced)[0])
    assert (routes[gone], routes[kept]) == (Route.REPLACE, Route.SELF)
    assert decided.reason[gone].startswith("good answers: in cases like this the policy is better ")
    words = decided.reason[kept]
    assert words.startswith("the policy answers: in cases like this the policy is better than good in ")
    told = world.calibrated(risk=0.2).decide(world.uncertainty).reason[kept].partition(": ")[2]
    assert told.startswith("the risk that it is worse than good is ")
    forced = world.calibrated(share=1.0).decide(world.uncertainty, world.keys)
    worse = [forced.reason[row] for row in np.flatnonzero(forced.gain < 0)]
    assert worse
    needed = "needed to meet the share of 100\N{NO-BREAK SPACE}%, although the policy is usually better"
    assert all(needed in each for each in worse)
    nobody = world.calibrated(share=0.0).decide(world.uncertainty, world.keys)
    assert set(nobody.reason) == {"the policy answers: this run hands nothing over"}
    assert f"{world.uncertainty['entropy'].total[kept]:.2f}" in words
    assert words == list(decided.reason)[kept]


def test_who_is_not_handed_over_although_the_delegate_is_better_is_told_why(world: World) -> None:
    scarce = world.calibrated(share=0.05).decide(world.uncertainty, world.keys)
    full = "but other requests gain more from good and fill the share of 5\N{NO-BREAK SPACE}%"
    for reason, gain, replaced in zip(scarce.reason, scarce.gain, scarce.replaced, strict=True):
        assert (full in reason) == (gain > 0 and not replaced), reason
    assert sum(full in each for each in scarce.reason) > 100


def test_quality_of_the_risk_is_cross_fitted(world: World) -> None:
    """Signals that say nothing get an AUC of one half, not the optimism of the cases that were fitted."""
    rng = np.random.default_rng(0)
    small = World(size=300)
    noise = {name: Uncertainty(rng.random(300).astype(np.float32), u.stage) for name, u in small.uncertainty.items()}
    router = ThresholdRouter(RouterConfig(estimators=("evidence-horizon", "entropy"), share=0.3, stage="after"))
    router.fit(small.data(signals=noise))
    assert router.report["risk"]["auc"] < 0.6
    assert world.calibrated(share=0.3).report["risk"]["auc"] > 0.7


def test_too_few_bad_answers_give_the_base_rate(world: World) -> None:
    few = World(size=12)
    router = few.calibrated(share=0.5)
    worse = few.policy < few.delegates["good"]
    np.testing.assert_allclose(router.assign(few.uncertainty).risk, (worse.sum() + 0.5) / 13, rtol=1e-5)
    perfect = ThresholdRouter(RouterConfig(share=0.01, estimators=("entropy",), stage="after"))
    perfect.fit(world.data(quality={"mind": np.ones(SIZE), **world.delegates}))
    assert perfect.assign(world.uncertainty).risk.max() < 1e-3


def test_broken_signals_are_refused_by_name(world: World) -> None:
    router = world.calibrated(share=0.3)
    short = {**world.uncertainty, "entropy": Uncertainty(np.zeros(3, np.float32), "after")}
    with pytest.raises(PluginError, match="'entropy' has shape"):
        router.assign(short)
    broken = world.uncertainty["entropy"].total.copy()
    broken[5] = np.nan
    with pytest.raises(PluginError, match="'entropy' is not finite"):
        router.assign({**world.uncertainty, "entropy": Uncertainty(broken, "after")})
    with pytest.raises(ConfigError, match=r"no uncertainty estimator 'entropi'\. Did you mean 'entropy'"):
        world.calibrated(share=0.3, estimators=("entropi",))
    blank = ThresholdRouter(RouterConfig(share=0.3, stage="after"))
    with pytest.raises(ConfigError, match="without validation"):
        blank.fit(world.data().take(np.zeros(0, np.intp)))
    with pytest.raises(ConfigError, match="no delegate"):
        blank.fit(world.data(quality={"mind": world.policy}))
    with pytest.raises(PluginError, match="before it was calibrated"):
        blank.assign(world.uncertainty)


@pytest.mark.parametrize("wanted", [{"share": 0.3, "risk": 0.1}, {"share": 1.2}, {"risk": -0.1}, {"shar": 0.3}])
def test_config_takes_one_goal_at_most(wanted: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RouterConfig.model_validate(wanted)


def test_what_costs_nothing_is_the_goal_until_another_is_given() -> None:
    free = RouterConfig(goal="free")
    assert RouterConfig() == free
    assert (free.given_goal, free.tolerated_loss) == ("free", 0.01)
    wanted = RouterConfig(goal="free", share=0.3)
    assert (wanted.given_goal, wanted.tolerated_loss) == ("share", None)
    assert RouterConfig(max_loss=0.02).tolerated_loss == 0.02


@given(values=risks, share=st.floats(0, 1))
def test_cut_meets_a_share_up_to_the_ties_and_replaces_the_riskiest(values: list[float], share: float) -> None:
    risk = np.array(values)
    cut = threshold_for_share(risk, share)
    replaced = cut(risk)
    largest_tie = max(values.count(v) for v in set(values))
    assert abs(replaced.sum() - share * len(values)) <= largest_tie / 2 + 1e-6
    assert not replaced.any() or risk[replaced].min() >= risk[~replaced].max(initial=-1)


@settings(max_examples=30)
@given(values=risks, shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_larger_share_replaces_the_same_queries_and_more(values: list[float], shares: tuple[float, float]) -> None:
    risk = np.array(values)
    keys = np.arange(len(risk), dtype=np.int64)
    less, more = (threshold_for_share(risk, s, seed=4)(risk, keys) for s in sorted(shares))
    assert (more | ~less).all()


@given(values=risks, limit=st.floats(0, 1))
def test_cut_keeps_the_most_queries_whose_mean_risk_is_within_the_limit(values: list[float], limit: float) -> None:
    risk = np.sort(np.array(values))
    if risk[0] > limit:
        with pytest.raises(ConfigError, match="cannot be reached"):
            threshold_for_risk(risk, limit)
        return
    kept = ~threshold_for_risk(risk, limit)(risk)
    assert risk[kept].mean() <= limit + 1e-9
    whole_levels = [risk <= level for level in np.unique(risk)]
    assert kept.sum() == max(k.sum() for k in whole_levels if risk[k].mean() <= limit + 1e-12)


def test_keys_pick_the_wanted_part_evenly_and_differ_by_seed() -> None:
    keys = np.arange(20_000, dtype=np.int64)
    tied = np.zeros(len(keys))
    first, second = (Threshold(level=0.0, part=0.3, seed=seed)(tied, keys) for seed in (0, 1))
    assert first.mean() == pytest.approx(0.3, abs=0.01)
    assert (first & second).mean() == pytest.approx(0.09, abs=0.01)


def test_a_share_costs_less_than_the_same_share_drawn_at_random() -> None:
    """Easy queries, where both often hit, have the largest P(worse) and the largest P(better): not the ones to give."""
    rng = np.random.default_rng(3)
    size = 20_000
    easy = rng.random(size)
    signals = {"evidence-horizon": Uncertainty(easy.astype(np.float32), "before")}
    policy = (rng.random(size) < 0.7 * easy).astype(np.float64)
    delegate = (rng.random(size) < 0.45 * easy).astype(np.float64)
    router = ThresholdRouter(RouterConfig(estimators=("evidence-horizon",), share=0.3, stage="before"))
    quality = {"mind": policy, "cheap": delegate}
    router.fit(
        CalibrationData("mind", signals, quality, {label: q > 0 for label, q in quality.items()}, np.arange(size))
    )
    replaced = router.assign(signals, np.arange(size)).replaced
    routed = np.where(replaced, delegate, policy).mean()
    at_random = 0.7 * policy.mean() + 0.3 * delegate.mean()
    by_risk = np.where(
        router.assign(signals).risk > np.quantile(router.assign(signals).risk, 0.7), delegate, policy
    ).mean()
    assert by_risk < at_random < routed


def test_what_is_noted_can_be_written() -> None:
    router = World(400).calibrated(share=0.5)
    router.note(goal={"validation": {"high": float("inf"), "low": 0.1}})
    written = json.loads(json.dumps(router.to_dict(), allow_nan=False))
    assert read_router(written).report["goal"]["validation"] == {"high": None, "low": 0.1}
