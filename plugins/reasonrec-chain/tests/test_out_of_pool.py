"""Items outside the pool: how likely one of them is, which, and that all masses together are a distribution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reasonrec_chain.deliberate import deliberate_chunks
from reasonrec_chain.out_of_pool import OutOfPool
from reasonrec_chain.policy import Chain
from small import asking, fitted

from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Float32, Task


@pytest.fixture(scope="module")
def shallow(world: Tiny) -> Chain:
    """A pool of few items, so that targets are often elsewhere."""
    return fitted(world.fit, gates={"depth": 2})


def test_all_masses_sum_to_one(shallow: Chain, world: Tiny) -> None:
    batch = replace(world.test.queries, k=1)
    whole = shallow.distribution(batch, world.observation(batch))
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-4)
    free = np.ones(whole.shape, np.bool_)
    free[batch.history.rows, batch.history.items] = False
    assert (whole[free] > 0).all(), "every item that may be recommended can be the next"
    assert not whole[~free].any()


def test_a_pool_of_everything_holds_all_the_mass(world: Tiny) -> None:
    batch = replace(world.test.queries, k=len(world.dataset.catalog))
    policy = fitted(world.fit, gates={"depth": len(world.dataset.catalog)})
    answer = policy.deliberate(batch, world.observation(batch))
    assert answer.mass is not None
    np.testing.assert_allclose(answer.mass.sum(axis=1), 1, atol=1e-4)


def test_what_is_left_is_as_much_as_targets_were_outside(shallow: Chain, world: Tiny) -> None:
    valid = world.fit.valid
    assert valid is not None
    batch = replace(valid.queries, k=1)
    whole = shallow.distribution(batch, world.fit.observation)
    shares = shallow.model.out_of_pool
    assert shares != OutOfPool(), "fitted"
    outside = _outside(shallow, world)
    said = np.array([row[free].sum() for row, free in zip(whole, outside, strict=True)])
    rows = np.repeat(np.arange(len(valid)), np.diff(valid.target_indptr))
    missed = outside[rows, valid.targets]
    assert said.mean() == pytest.approx(missed.mean(), abs=0.05)


def test_the_order_does_not_depend_on_it(shallow: Chain, world: Tiny) -> None:
    batch = world.test.queries
    seen = world.observation(batch)
    model = shallow.model
    before = shallow.deliberate(batch, seen)
    shallow._ready.latest = replace(model, out_of_pool=OutOfPool())
    try:
        after = shallow.deliberate(batch, seen)
    finally:
        shallow._ready.latest = model
    assert before.ranking is not None
    assert after.ranking is not None
    assert np.array_equal(before.ranking.items, after.ranking.items)
    assert not np.allclose(before.ranking.scores, after.ranking.scores), "how sure it is does"


def test_it_is_saved_and_can_be_fitted_alone(shallow: Chain, world: Tiny, tmp_path: Path) -> None:
    shallow.save(tmp_path)
    again = Chain.load(tmp_path, world.dataset.catalog)
    assert again.model.out_of_pool == shallow.model.out_of_pool
    again._growing.latest = again._growing._fitted = replace(again.model, out_of_pool=OutOfPool())  # type: ignore[union-attr]
    again.fit_masses(world.fit)
    assert again.model.out_of_pool == shallow.model.out_of_pool


def test_candidates_share_what_the_mixture_gives_them(shallow: Chain, world: Tiny) -> None:
    batch = asking([[0, 1]], candidates=np.array([[2, 3, 4]], np.int32))
    batch = replace(batch, task=Task.DIRECT)
    found = shallow.distribution(batch, world.observation(batch))
    assert 0 < found.sum() <= 1


def test_rates_are_found_again() -> None:
    rng = np.random.default_rng(0)
    inside: Float32 = rng.uniform(0.05, 0.95, 20_000).astype(np.float32)
    horizon: Float32 = rng.random(20_000).astype(np.float32)
    true = 1 / (1 + np.exp(-(-1 + 0.5 * np.log((1 - inside) / inside) + horizon)))
    outside = rng.random(20_000) < true
    sequence, popularity = rng.random(500) * 0.3, np.full(500, 0.01)
    found = OutOfPool.fit(inside, horizon, outside, sequence, popularity)
    assert np.abs(found(inside, horizon) - true).mean() < 0.01
    assert found.sequence > 0.8


def test_without_pairs_the_mixture_is_believed() -> None:
    nothing = np.zeros(0)
    found = OutOfPool.fit(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, np.bool_), nothing, nothing)
    inside = np.array([0.2, 0.7], np.float32)
    np.testing.assert_allclose(found(inside, np.zeros(2, np.float32)), 1 - inside)
    assert found == OutOfPool()


def _outside(policy: Chain, world: Tiny) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """bool[B, n] for the validation queries: items that are not in the pool, and free."""
    valid = world.fit.valid
    assert valid is not None
    batch, seen = replace(valid.queries, k=1), world.fit.observation
    free = np.ones((len(batch), len(world.dataset.catalog)), np.bool_)
    free[batch.history.rows, batch.history.items] = False
    model = policy.model
    cache, evidence = model.experts.cache_items(seen), policy._evidence(batch, None)
    for start, _, thought in deliberate_chunks(model, cache, batch, evidence, seen):
        row, column = np.nonzero(thought.proposals.allowed)
        free[start + row, thought.proposals.items[row, column]] = False
    return free
