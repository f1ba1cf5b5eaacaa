"""Drawn networks: dropout that is the same for all queries, members of an ensemble, and the whole distribution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from reasonrec_chain.policy import Chain
from reasonrec_chain.predictive import draw_dropout
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
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = draw_dropout(network, 0, 0)
    weight = drawn.histories.layers[0].narrow.weight
    dropped = (weight == 0).all(dim=0).float().mean().item()
    assert abs(dropped - network.histories.rate) < 0.2
    assert drawn.items is network.items
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not network.histories.norm._forward_hooks


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
