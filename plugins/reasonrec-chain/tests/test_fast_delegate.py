"""The policy's first impression: it passes the suite of delegates, and answers like the policy's own experts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_chain.fast_delegate import ChainReflex, ChainReflexConfig
from reasonrec_chain.policy import Chain
from reasonrec_profile.api import HistoryWeights, Profile, ProfileConfig
from small import fitted, make_world

from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import Tiny

_policies: dict[str, Chain] = {}


def policy_for(data: FitData) -> Chain:
    """One fitted policy per log; loaded for a catalogue that has grown since."""
    key = f"{data.task}{data.train.items.tobytes()!r}{data.train.users.tobytes()!r}"
    if key not in _policies:
        _policies[key] = fitted(data)
    policy = _policies[key]
    if len(policy.model.counted.popularity) == len(data.catalog):
        return policy
    with tempfile.TemporaryDirectory() as folder:
        policy.save(Path(folder))
        return Chain.load(Path(folder), data.catalog)


class TestReflexConformance(DelegateConformance):
    component = "chain-reflex"
    steady = False

    @classmethod
    def ready(cls, component: Any, data: FitData) -> None:
        component.attach(policy_for(data))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_world(tmp_path_factory.mktemp("reflex"))


def reflex_of(policy: Chain, data: FitData, **settings: Any) -> ChainReflex:
    made = ChainReflex(ChainReflexConfig(**settings))
    made.attach(policy)
    made.fit(data)
    return made


def test_one_expert_alone_ranks_as_that_expert(world: Tiny) -> None:
    policy = policy_for(world.fit)
    made = reflex_of(policy, world.fit, experts=("sequence",))
    batch = world.test.queries
    seen = world.observation(batch)
    experts = policy.model.experts
    cache = experts.cache_items(seen)
    states = experts.sequence.states(HistoryWeights.of(batch.history, 50), cache.tables)
    logits = cache.logits(states, np.empty((len(batch), cache.n_items), np.float32))
    logits[batch.history.rows, batch.history.items] = -np.inf
    ranking = made.recommend(batch, seen)
    wanted = np.argsort(-logits, axis=1, kind="stable")[:, : batch.k]
    assert (ranking.items == wanted).mean() > 0.99  # rounding may turn neighbours over


SETS = [None, ("sequence",), ("transitions",), ("transitions", "text"), ("sequence", "text")]


@pytest.mark.parametrize("experts", SETS)
def test_scores_are_the_formula_for_one_as_for_many(world: Tiny, experts: tuple[str, ...] | None) -> None:
    policy, batch = policy_for(world.fit), world.test.queries
    made = reflex_of(policy, world.fit, experts=experts)
    seen, n = world.observation(batch), len(world.dataset.catalog)
    model, evidence = policy.model.experts, HistoryWeights.of(batch.history, 50)
    cache, own = model.cache_items(seen), (batch.history.rows, batch.history.items)
    shares, totals = np.zeros((len(batch), len(made.names), n)), np.zeros((len(batch), len(made.names)))
    for e, name in enumerate(made.names):
        if name == "sequence":
            logits = cache.logits(model.sequence.states(evidence, cache.tables), np.empty((len(batch), n), np.float32))
            votes = np.exp(logits.astype(np.float64))
        else:
            at = [link.name for link in model.links].index(name)
            votes = (evidence.matrix(model.links[at].fade, n) @ cache.links[at]).toarray().astype(np.float64)
        votes[own] = 0
        totals[:, e] = votes.sum(axis=1)
        shares[:, e] = votes / np.maximum(totals[:, [e]], 1e-30)
    known = np.where([name == "sequence" for name in made.names], np.log(np.maximum(totals, 1e-30)), totals).astype(
        np.float32
    )
    weighed = made._weights(seen.horizon, known, shares.max(axis=2).astype(np.float32))
    mixed = 1e-9 + np.einsum("be,bec->bc", weighed.experts, shares)
    floor = float(made.gates.floor)
    expected = mixed * np.exp(np.einsum("be,bec->bc", weighed.agreement, np.log(shares + floor)))
    found = made.score(batch, seen)
    np.testing.assert_allclose(found, expected, rtol=5e-3)
    for row in range(0, len(batch), 5):
        one = np.array([row])
        np.testing.assert_allclose(made.score(batch.take(one), seen.take(one))[0], found[row], rtol=2e-3)


def test_gates_follow_what_is_seen_unless_they_are_static(world: Tiny) -> None:
    horizon, surest = np.array([0.1, 0.9], np.float32), np.full((2, 3), 0.1, np.float32)
    for kind, differ in (("hidden", True), ("static", False)):
        made = reflex_of(policy_for(world.fit), world.fit, kind=kind)
        e = len(made.names)
        weighed = made._weights(horizon, np.array([[0.0] * e, [9.0] * e], np.float32), surest[:, :1].repeat(e, 1))
        mixture = weighed.experts
        assert mixture.sum(axis=1) == pytest.approx(np.ones(2), abs=1e-5)
        assert np.ptp(mixture[0]) > 1e-4, "fitted to validation"
        assert (not np.allclose(mixture[0], mixture[1])) == differ


def test_without_its_policy_it_says_so(world: Tiny) -> None:
    with pytest.raises(PluginError, match="needs the policy chain"):
        ChainReflex(ChainReflexConfig()).fit(world.fit)
    with pytest.raises(PluginError, match="experts of the policy chain"):
        ChainReflex(ChainReflexConfig()).attach(Profile(ProfileConfig()))


def test_an_unknown_expert_is_refused(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="no expert 'oracle'"):
        reflex_of(policy_for(world.fit), world.fit, experts=("oracle",))


def test_what_is_loaded_answers_as_what_was_saved(world: Tiny, tmp_path: Path) -> None:
    policy = policy_for(world.fit)
    made = reflex_of(policy, world.fit)
    made.save(tmp_path)
    again = ChainReflex.load(tmp_path, world.dataset.catalog)
    again.attach(policy)
    batch = world.test.queries
    seen = world.observation(batch)
    assert np.array_equal(made.score(batch, seen), again.score(batch, seen))
