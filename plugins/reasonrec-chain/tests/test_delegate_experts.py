"""Delegates as experts: fitted apart from the pairs that weigh them, asked about what counts, kept and fitted again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_chain.delegate_experts import DelegateExpert, fit_folds, fit_temperatures, make_delegate
from reasonrec_chain.policy import Chain
from reasonrec_profile.api import HistoryWeights
from small import answer, asking, fitted

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.components.base import Empty
from reasonrec_core.errors import ConfigError
from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Edits, Float32, Observation, QueryBatch


class Witness(Delegate[Empty]):
    """Says which validation users it was fitted with, and what it was asked."""

    def __init__(self, config: Empty) -> None:
        super().__init__(config)
        self.asked: list[QueryBatch] = []

    def fit(self, data: FitData) -> None:
        assert data.valid is not None
        self.seen = set(data.valid.queries.users.tolist())
        self.horizons = len(data.observation.horizon)
        self.n_items = len(data.catalog)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        self.asked.append(batch)
        scores = np.zeros((len(batch), self.n_items), np.float32)
        scores[batch.history.rows, (batch.history.items + 1) % self.n_items] = 3.0
        return scores


@pytest.fixture(scope="module")
def asks_ease(world: Tiny) -> Chain:
    """The policy with two delegates as further experts."""
    return fitted(world.fit, experts=["ease", "implicit-itemknn"])


def test_delegates_come_beside_its_own_experts(asks_ease: Chain, chain: Chain, world: Tiny) -> None:
    assert asks_ease.model.experts.names == (*chain.model.experts.names, "ease", "implicit-itemknn")
    alone = fitted(world.fit, experts=["transitions", "ease"])
    assert alone.model.experts.names == ("transitions", "ease")
    found, before = answer(asks_ease, world), answer(chain, world)
    assert found.ranking is not None
    assert before.ranking is not None
    assert (found.ranking.items != before.ranking.items).any()


def test_no_gate_sees_what_a_delegate_has_seen(world: Tiny) -> None:
    made: list[Witness] = []

    def delegate(name: str) -> Witness:
        made.append(Witness(Empty()))
        return made[-1]

    folds = fit_folds(["witness"], replace(world.fit, delegate=delegate), 1000)
    assert world.fit.valid is not None
    users = set(world.fit.valid.queries.users.tolist())
    assert made[0].seen | made[1].seen == users
    assert not made[0].seen & made[1].seen
    assert all(len(each.seen) == each.horizons > 0 for each in made)
    for witness, fold in zip(made, folds, strict=True):
        judged = set(fold.targets.queries.users.tolist())
        assert judged
        assert not judged & witness.seen
        assert all(not set(batch.users.tolist()) & witness.seen for batch in witness.asked)


def test_shares_are_a_softmax_over_what_is_left(asks_ease: Chain, world: Tiny) -> None:
    expert = asks_ease.model.experts.delegates[0]
    batch = asking([[3, 5, 9], [1]])
    seen = world.observation(batch)
    found = expert.logits(batch, HistoryWeights.of(batch.history, 50), seen)
    np.testing.assert_allclose(found, expert.delegate.score(batch, seen) / expert.temperature, rtol=1e-5)
    masses = asks_ease.distribution(batch, seen)
    np.testing.assert_allclose(masses.sum(axis=1), 1, atol=1e-5)
    assert masses[0, [3, 5, 9]].max() == 0


def test_a_temperature_makes_unseen_targets_likely(world: Tiny) -> None:
    """Scores a thousand times as large are as sure of themselves."""

    class Loud(Witness):
        def score(self, batch: QueryBatch, observation: Observation) -> Float32:
            return super().score(batch, observation) * np.float32(1000)

    fold = fit_folds(["w"], replace(world.fit, delegate=lambda name: Witness(Empty())), 1000)[0]
    loud = Loud(Empty())
    loud.fit(world.fit)
    warmer = fit_temperatures([DelegateExpert("loud", loud)], fold.targets, world.fit.observation)[0]
    assert warmer.temperature == pytest.approx(1000 * fold.delegates[0].temperature, rel=0.05)


def test_an_entry_that_does_not_count_is_not_shown(asks_ease: Chain, world: Tiny) -> None:
    witness = Witness(Empty())
    witness.fit(world.fit)
    expert, batch = DelegateExpert("witness", witness), asking([[3, 5, 9], [1]])
    relevance = np.array([1, 0, 1, 1], np.float32)
    evidence = replace(HistoryWeights.of(batch.history, 50), relevance=relevance)
    expert.logits(batch, evidence, world.observation(batch))
    assert witness.asked[0].history.items.tolist() == [3, 9, 1]
    whole = asks_ease.deliberate(batch, world.observation(batch), Edits(relevance=relevance))
    assert whole.ranking is not None
    assert not {3, 5, 9} & set(whole.ranking.items[0].tolist())  # what is ignored is still not recommended


def test_it_is_kept_and_fitted_again(asks_ease: Chain, world: Tiny, tmp_path: Path) -> None:
    asks_ease.save(tmp_path)
    again = Chain.load(tmp_path, world.dataset.catalog)
    first, second = answer(asks_ease, world), answer(again, world)
    assert first.ranking is not None
    assert second.ranking is not None
    assert (first.ranking.items == second.ranking.items).all()
    np.testing.assert_array_equal(first.ranking.scores, second.ranking.scores)
    refitted = again.refit(replace(world.fit, valid=None))
    assert refitted.model.experts.names == again.model.experts.names
    expert = refitted.model.experts.delegates[0]
    assert expert.temperature == again.model.experts.delegates[0].temperature


def test_steps_name_them(asks_ease: Chain, world: Tiny) -> None:
    claims = [step.claim for step in answer(asks_ease, world).steps[0]]
    assert any(claim.startswith("ease: ") for claim in claims)


@pytest.mark.parametrize(
    ("name", "message"),
    [("distilled", "learns from the policy"), ("nobody", "no expert 'nobody'.*Experts: sequence.*delegates")],
)
def test_what_cannot_be_asked_is_said(world: Tiny, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitted(world.fit, experts=[name])


def test_without_delegates_there_is_none_to_name(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="no delegates can be asked"):
        make_delegate("ease", replace(world.fit, delegate=None))


def test_without_validation_it_answers_all_the_same(world: Tiny) -> None:
    policy: Any = fitted(replace(world.fit, valid=None), experts=["ease"])
    assert answer(policy, world).ranking is not None
