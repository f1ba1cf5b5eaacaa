"""The goal ``free``: whichever delegate saves most time at no loss, judged as one of several; or nobody."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from reasonrec_routers.threshold import ThresholdRouter

from reasonrec_core.pipeline.router_goal import GoalSearch
from reasonrec_core.routing import AskingCosts, CalibrationData, RouterConfig, Signals, read_router
from reasonrec_core.routing.budget import RelativeDifference, relative_difference, share_for_loss
from reasonrec_core.types import Task, Uncertainty

SIZE = 1500
SECONDS = {"fast": 0.001, "slower": 0.004, "slow": 0.02, "worse": 0.0005}
"""The policy takes .01."""
BATCHES = {
    8: RelativeDifference(0.1, 0.0, 0.2),
    32: RelativeDifference(-0.1, -0.2, 0.1),
    256: RelativeDifference(-0.2, -0.3, -0.1),
}


def answers(**quality: np.ndarray) -> CalibrationData:
    rng = np.random.default_rng(0)
    mine = (rng.random(SIZE) < 0.4).astype(np.float64)
    found = {"policy": mine, **{label: np.clip(mine + change, 0, 1) for label, change in quality.items()}}
    signals = {"evidence-horizon": Uncertainty(rng.random(SIZE).astype(np.float32), "before")}
    costs = AskingCosts(policy=0.01, delegates={label: SECONDS[label] for label in quality})
    hits = {label: values > 0 for label, values in found.items()}
    return CalibrationData("policy", signals, found, hits, np.arange(SIZE, dtype=np.int64), costs)


def search(data: CalibrationData, monkeypatch: pytest.MonkeyPatch, change: float = -0.5) -> tuple[Any, dict[str, Any]]:
    """The router and what was found, where a request then takes ``change`` of the policy's time more or less."""
    monkeypatch.setattr(GoalSearch, "_time", lambda *_: (0.0, RelativeDifference(change, change - 0.1, change + 0.1)))
    monkeypatch.setattr(GoalSearch, "_time_batches", lambda *_: BATCHES)
    monkeypatch.setattr(GoalSearch, "_placed", lambda _, made: made)
    monkeypatch.setattr(GoalSearch, "_next_signals", lambda *_: data.signals)
    config = SimpleNamespace(seed=0, evaluate=SimpleNamespace(resamples=500, k=[10]))
    goal = GoalSearch(SimpleNamespace(config=config), SimpleNamespace(), Task.SEQUENTIAL, data, None)  # type: ignore[arg-type]
    router = ThresholdRouter(RouterConfig(estimators=("evidence-horizon",)))
    made, found = goal.fit(router)
    assert found is not None
    return made, found


def test_the_delegate_that_saves_most_at_no_loss_is_taken_not_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    none = np.zeros(SIZE)
    better = np.where(np.arange(SIZE) % 20 == 0, 1.0, 0.0)
    made, found = search(answers(fast=none, slower=better, slow=2 * better, worse=none - better), monkeypatch)
    assert (made.delegate, found["share"], found["tried"]) == ("fast", 1.0, 3), "the slow one is not tried"
    assert set(made.state.others) == {"slower", "slow", "worse"}, "they answer where it fails"
    assert "nothing" not in found


def test_where_all_lose_nothing_is_handed_over_and_the_nearest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = -np.where(np.arange(SIZE) % 3 == 0, 1.0, 0.0)
    made, found = search(answers(fast=lost, slower=-np.ones(SIZE)), monkeypatch)
    assert (found["share"], made.config.idle) == (0.0, True)
    assert "could lose more than 1\N{NO-BREAK SPACE}%" in found["nothing"]
    assert f"on {SIZE:,} validation requests, trying fast, the closest of 2 delegates, changes" in found["nothing"]
    assert re.search(r"changes it by \u2212[\d.]+\u00a0% \(\u2212[\d.]+ to [\u2212+][\d.]+\u00a0%\)$", found["nothing"])


def test_a_share_is_judged_as_the_requests_that_come_next_are_scored() -> None:
    """Half of validation can be handed over at no loss, and one in ten of what comes next: it scores otherwise."""
    data, rng = answers(fast=np.zeros(SIZE)), np.random.default_rng(1)
    horizon = data.signals["evidence-horizon"].total
    harmless, mine = horizon > 0.5, (rng.random(SIZE) < 0.9 - 0.8 * horizon).astype(np.float64)
    found = {"policy": mine, "fast": np.where(harmless, mine, 0.0)}
    data = replace(data, quality=found, hit={label: values > 0 for label, values in found.items()})
    router = ThresholdRouter(RouterConfig(estimators=("evidence-horizon",)))
    rare = np.where(harmless, 0.1 / harmless.mean(), 0.9 / (~harmless).mean())
    coming = rng.choice(horizon, 4096, p=rare / rare.sum())

    asked = list[str]()

    def find(coming: Signals | None) -> float:
        known = None if coming is None else lambda router: asked.append(router.delegate) or coming
        return share_for_loss(data, router, 0.01, data.keys, seed=0, resamples=500, following=known)[0]

    assert find(None) == pytest.approx(0.5, abs=0.051)
    assert find(data.signals) == pytest.approx(find(None), abs=0.051)
    assert find({"evidence-horizon": Uncertainty(coming, "before")}) == pytest.approx(0.1, abs=0.051)
    assert asked == ["fast"] * 10, "each of five folds' routers, twice: they may ask others first"


def test_what_saves_no_measurable_time_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    made, found = search(answers(fast=np.zeros(SIZE)), monkeypatch, change=0.0)
    assert (found["share"], found["not_inferior"], made.config.idle) == (0.0, 1.0, True)
    assert found["nothing"].startswith("handing 100\N{NO-BREAK SPACE}% to fast saves no measurable time (")


def test_a_router_that_hands_nothing_over_works_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    data = answers(fast=np.zeros(SIZE))
    made = ThresholdRouter(RouterConfig(estimators=("evidence-horizon",), share=0.0)).fit(data)
    monkeypatch.setattr(ThresholdRouter, "score", lambda *_: pytest.fail("requests are compared for nothing"))
    decided = made.decide(data.signals, data.keys)
    assert not decided.replaced.any()
    assert np.isnan(decided.gain).all()
    assert not np.isnan(decided.confidence).any(), "how sure an answer is, is said all the same"
    assert decided.reason[0] == "the policy answers: this run hands nothing over"


def test_a_batch_in_which_handing_over_saves_no_time_is_left_to_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    data = answers(fast=np.zeros(SIZE))
    made, found = search(data, monkeypatch)
    assert made.state.batches == {8: False, 32: False, 256: True}, "no measurable change is no saving"
    assert found["batches"]["256"] == {"value": -0.2, "low": -0.3, "high": -0.1}
    assert {size: made.for_batch(size).config.idle for size in (1, 2, 15, 60, 91, 5000)} == {
        1: False, 2: True, 15: True, 60: True, 91: False, 5000: False,
    }  # fmt: skip
    decided = made.for_batch(20).decide(data.signals, data.keys)
    assert not decided.replaced.any()
    assert decided.reason[0] == "the policy answers: handing over saves no time in a batch of this size"
    again = read_router(json.loads(json.dumps(made.to_dict())))
    assert (again.for_batch(20).config.idle, again.for_batch(300).config.idle) == (True, False)


def test_one_of_several_is_judged_more_strictly() -> None:
    rng = np.random.default_rng(1)
    mine, theirs = rng.random((2, 400))
    one, four = (
        relative_difference(theirs, mine, np.arange(400), seed=0, resamples=2000, tests=tests) for tests in (1, 4)
    )
    assert four.value == one.value
    assert four.low < one.low < one.high < four.high
