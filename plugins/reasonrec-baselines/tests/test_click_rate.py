"""The rate of being chosen when shown: its suite, its sums against plain ones, and what it learns on a log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reasonrec_baselines.click_rate import STRENGTHS, ClickRate, measure_likelihood
from scipy import stats

from reasonrec_core.components import FeedbackDelegate
from reasonrec_core.errors import DataError
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import N_ITEMS, Tiny, tiny
from reasonrec_core.types import Float32, Int32


class TestClickRate(DelegateConformance):
    component = "click-rate"


class TestClickRateThatForgets(DelegateConformance):
    component = "click-rate"
    settings = {"memory": 20, "exploration": 1.0, "half_life": 3600, "strength": 50}  # noqa: RUF012


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(world: Tiny, **settings: Any) -> ClickRate:
    delegate = ClickRate(ClickRate.Config.model_validate(settings))
    delegate.fit(world.fit)
    return delegate


def ask(delegate: ClickRate, world: Tiny) -> Float32:
    batch = world.test.queries.slice(0, 1)
    return delegate.score(batch, world.observation(batch))[0]


def show(world: Tiny, rows: list[list[int]], chosen: list[int]) -> tuple[Any, Int32, Float32]:
    items = np.array(rows, np.int32)
    return world.test.queries.slice(0, len(rows)), items, (items == np.array(chosen)[:, None]).astype(np.float32)


def test_it_is_the_posterior_of_a_beta(world: Tiny) -> None:
    delegate = make(world, strength=30, exploration=2)
    counts = np.bincount(world.fit.train.items, minlength=N_ITEMS) + 0.5
    delegate.observe(*show(world, [[3, 5, -1], [5, 3, 7]], [5, 5]))
    prior = 30 * counts / counts.sum()
    posterior = stats.beta(prior[5] + 2, 30 - prior[5])
    assert np.isclose(ask(delegate, world)[5], np.log(posterior.mean() + 2 * posterior.std()))
    posterior = stats.beta(prior[7], 30 - prior[7] + 1)
    assert np.isclose(ask(delegate, world)[7], np.log(posterior.mean() + 2 * posterior.std()))


def test_what_was_learned_fades_by_lists(world: Tiny) -> None:
    delegate = make(world, strength=1, memory=2)
    delegate.observe(*show(world, [[1, 2], [-1, -1], [4, 3], [4, 3]], [2, 0, 9, 9]))
    assert np.allclose(delegate._chosen[[1, 2, 3]], [0, 0.5, 0]), "two lists later half is left; an empty one is none"
    assert np.allclose(delegate._shown[[1, 4]], [0.5, 1 + 0.5**0.5])


def test_the_log_says_what_its_shares_are_worth(world: Tiny) -> None:
    log = world.fit.train
    order = np.argsort(log.times, kind="stable")

    def estimate(items: Int32) -> float:
        """The strength where so much is chosen, in the order of time."""
        placed = np.empty(len(log), np.int32)
        placed[order] = items
        return make(replace(world, fit=replace(world.fit, train=replace(log, items=placed))))._strength

    place, half = np.arange(len(log), dtype=np.int32), N_ITEMS // 2
    steady = estimate(place % N_ITEMS)
    other = estimate(place % half + np.where(place < len(log) // 2, 0, half).astype(np.int32))
    assert other < steady
    assert steady > STRENGTHS[4]


def test_the_likelihood_is_the_beta_binomials() -> None:
    chosen, shares = np.array([3.0, 0, 7]), np.array([0.2, 0.1, 0.5])
    expected = [stats.betabinom(10, 4 * p, 4 * (1 - p)).logpmf(int(y)) for y, p in zip(chosen, shares, strict=True)]
    other = [stats.betabinom(10, 9 * p, 9 * (1 - p)).logpmf(int(y)) for y, p in zip(chosen, shares, strict=True)]
    found = measure_likelihood(chosen, 10, shares, 4) - measure_likelihood(chosen, 10, shares, 9)
    assert np.isclose(found, sum(expected) - sum(other))


def test_bad_lists_are_left_and_good_ones_kept(world: Tiny) -> None:
    """An item that nobody chooses sinks, one that everybody chooses rises to the first place."""
    delegate = make(world, strength=20)
    best, worst = int(ask(delegate, world).argmax()), int(ask(delegate, world).argmin())
    for _ in range(30):
        delegate.observe(*show(world, [[best, worst]], [worst]))
    scores = ask(delegate, world)
    assert scores.argmax() == worst
    assert scores[best] < np.median(scores)


def test_without_a_log_it_says_so(world: Tiny) -> None:
    nothing = world.fit.train.take(np.zeros(len(world.fit.train), np.bool_))
    with pytest.raises(DataError, match="no training interactions"):
        ClickRate(ClickRate.Config()).fit(replace(world.fit, train=nothing))
    assert isinstance(make(world), FeedbackDelegate)
