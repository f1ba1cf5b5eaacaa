"""When a head's answer is given, and what conformal risk control promises of it."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_cot.answers.exit_rule import ExitRule, check_risk, choose_threshold, settled
from scipy.special import expit

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Float64

HEADS = 3


def rows(count: int, seed: int, noise: float = 2.0) -> tuple[Float64, Float64, Bool]:
    """Heads that see the truth the less well the shallower they are, the whole model, and labels."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, count)
    blur = noise * np.arange(HEADS, 0, -1) / HEADS
    odds = truth[:, None] + rng.normal(size=(count, HEADS)) * blur
    return odds, truth + 0.1 * rng.normal(size=count), rng.random(count) < expit(truth)


def lost(odds: Float64, whole: Float64, clicked: Bool, rule: ExitRule) -> Float64:
    """What each row loses in squared error; negative where the early answer was better."""
    every = np.concatenate([odds, whole[:, None]], 1)
    given = every[np.arange(len(every)), rule.stop(odds)]
    return (expit(given) - clicked) ** 2 - (expit(whole) - clicked) ** 2


@pytest.mark.parametrize("consecutive", [1, 2])
@pytest.mark.parametrize("risk", [0.015, 0.03])
def test_the_expected_loss_stays_within_the_risk(risk: float, consecutive: int) -> None:
    found, early = [], []
    for seed in range(60):
        threshold, bound = choose_threshold(*rows(200, seed), risk, consecutive)
        assert bound <= risk
        rule = ExitRule(tuple(range(1, HEADS + 1)), threshold, consecutive)
        new = rows(2000, 1000 + seed)
        found.append(np.maximum(lost(*new, rule), 0.0).mean())
        early.append((rule.stop(new[0]) < HEADS).mean())
    # Over validation sets drawn anew, which is what the theorem speaks of; three standard errors for the finite count.
    assert np.mean(found) <= risk + 3 * np.std(found) / np.sqrt(len(found))
    assert np.mean(early) > 0.2
    never_controlled = ExitRule(tuple(range(1, HEADS + 1)), 0.0, consecutive)
    assert np.maximum(lost(*rows(5000, 7), never_controlled), 0.0).mean() > risk  # so there was something to control


def test_the_threshold_is_the_lowest_that_keeps_the_bound() -> None:
    odds, whole, clicked = rows(400, 3)
    threshold, bound = choose_threshold(odds, whole, clicked, 0.03)
    larger, wider = choose_threshold(odds, whole, clicked, 0.06)
    assert larger < threshold
    assert bound <= 0.03 < wider <= 0.06


def test_heads_that_know_nothing_are_not_asked() -> None:
    rng = np.random.default_rng(0)
    whole = rng.choice([-6.0, 6.0], 500)
    threshold, _ = choose_threshold(-whole[:, None] * rng.random((500, 2)), whole, whole > 0, 0.002)
    assert not ExitRule((1, 2), threshold, 2).stops
    rule = ExitRule((1, 2), threshold, 2)
    assert (rule.stop(rng.normal(size=(50, 2)) * 100) == 2).all()


@pytest.mark.parametrize("consecutive", [1, 2, 3])
def test_stopping_one_head_at_a_time_is_stopping(consecutive: int) -> None:
    odds, rule = rows(300, 5)[0], ExitRule((1, 2, 3), 0.7, consecutive)
    stopped = np.full(len(odds), HEADS)
    for head in range(HEADS):
        here = np.flatnonzero(stopped == HEADS)
        stopped[here[rule.leaves(odds[here, : head + 1])]] = head
    np.testing.assert_array_equal(stopped, rule.stop(odds))
    assert len(np.unique(stopped)) > 1


def test_an_answer_that_turns_is_not_sure() -> None:
    rule = ExitRule((1, 2, 3), 1.0, 2)
    np.testing.assert_array_equal(rule.stop(np.array([[5.0, -5.0, 5.0], [2.0, 3.0, -9.0], [0.5, 2.0, 2.0]])), [3, 1, 2])


def test_settled_is_where_the_answer_last_changed() -> None:
    odds = np.array([[1.0, 2, 3, 4], [-1, 2, 3, 4], [1, 2, -3, 4], [1, 2, 3, -4]])
    np.testing.assert_array_equal(settled(odds), [0, 1, 3, 3])


def test_too_few_rows_promise_nothing() -> None:
    with pytest.raises(ConfigError, match="30 validation rows are too few"):
        choose_threshold(*rows(30, 0), 0.01)
    check_risk(99, 0.01)
