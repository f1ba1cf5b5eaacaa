"""Drawn networks: dropout that is the same for all queries, members of an ensemble, and the whole distribution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from reasonrec_chain.policy import Chain
from small import fitted

from reasonrec_core.components import DistributionPolicy, StochasticPolicy
from reasonrec_core.testing.tiny import Tiny


def test_it_offers_both(chain: Chain) -> None:
    assert isinstance(chain, DistributionPolicy)
    assert isinstance(chain, StochasticPolicy)


def test_without_dropout_every_pass_is_the_answer(world: Tiny) -> None:
    policy = fitted(world.fit, network={"dropout": 0.0})
    batch = world.test.queries
    seen = world.observation(batch)
    answer = policy.deliberate(batch, seen)
    assert answer.ranking is not None
    assert answer.mass is not None
    found = policy.samples(batch, seen, answer.ranking.items, 2, 0)
    np.testing.assert_allclose(found, np.broadcast_to(answer.mass, found.shape), atol=1e-6)


def test_passes_scatter_around_the_answer(chain: Chain, world: Tiny) -> None:
    batch = world.test.queries
    seen = world.observation(batch)
    answer = chain.deliberate(batch, seen)
    assert answer.ranking is not None
    assert answer.mass is not None
    found = chain.samples(batch, seen, answer.ranking.items, 20, 0)
    assert found.std(axis=0).max() > 1e-3
    assert np.abs(found.mean(axis=0) - answer.mass).mean() < 0.25 * answer.mass.mean()
    other = chain.samples(batch, seen, answer.ranking.items, 2, 1)
    assert not np.allclose(other, found[:2])


def test_a_mask_keeps_its_share_of_units_and_leaves_the_network_alone(chain: Chain) -> None:
    network = chain.model.experts.sequence.networks[0]
    drawn = network.draw_dropout(0, 0)
    rate = network.config.dropout
    assert drawn.masks is not None
    first, layers = drawn.masks
    every = np.concatenate([first, *(part for each in layers for part in (each.looked, each.hidden, each.thought))])
    assert set(np.round(np.unique(every), 5)) == {0, np.round(np.float32(1 / (1 - rate)), 5)}
    assert abs((every == 0).mean() - rate) < 0.1
    assert drawn.tensors is network.tensors
    assert network.masks is None
    assert network.draw_dropout(0, 1).masks[0].tolist() != first.tolist()  # type: ignore[index]


def test_an_ensemble_answers_with_its_members(world: Tiny) -> None:
    policy = fitted(world.fit, network={"members": 2})
    batch = world.test.queries
    seen = world.observation(batch)
    answer = policy.deliberate(batch, seen)
    assert answer.ranking is not None
    found = policy.samples(batch, seen, answer.ranking.items, 20, 0)
    assert len(found) == 2
    assert not np.allclose(found[0], found[1])
    assert np.array_equal(found, policy.samples(batch, seen, answer.ranking.items, 5, 9)), "nothing is drawn"


def test_the_distribution_is_the_pool(chain: Chain, world: Tiny) -> None:
    batch = replace(world.test.queries, k=40)
    seen = world.observation(batch)
    whole, answer = chain.distribution(batch, seen), chain.deliberate(batch, seen)
    assert answer.ranking is not None
    items = answer.ranking.items
    picked = np.where(items < 0, 0, np.take_along_axis(whole, np.maximum(items, 0), axis=1))
    np.testing.assert_allclose(picked, answer.mass, atol=1e-6)
    assert (whole.sum(axis=1) <= 1 + 1e-5).all()
