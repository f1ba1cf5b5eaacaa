"""Consulting: delegates join the experts where the router says so, under gates of their own; elsewhere they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_chain.delegate_experts import fit_folds
from reasonrec_chain.deliberate import deliberate_chunk
from reasonrec_chain.fit_gating import FittedGates
from reasonrec_chain.model import Consulting
from reasonrec_chain.policy import Chain
from reasonrec_profile.api import HistoryWeights
from safetensors.numpy import load_file
from small import answer, config, fitted

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.components.base import Empty
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.testing.later import with_new_items
from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Deliberation, Edits, Float32, Observation, QueryBatch
from reasonrec_core.validation import check_deliberation

FEW, DELEGATES = ("affinity", "popularity"), ("ease", "implicit-itemknn")
"""Experts that know no order, and delegates that add what is worth being asked for."""


class Witness(Delegate[Empty]):
    """Whatever follows by number; counts how often it was asked."""

    def __init__(self, config: Empty) -> None:
        super().__init__(config)
        self.asked = 0

    def fit(self, data: FitData) -> None:
        assert data.valid is not None
        self.seen, self.n_items = set(data.valid.queries.users.tolist()), len(data.catalog)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        self.asked += 1
        scores = np.zeros((len(batch), self.n_items), np.float32)
        scores[batch.history.rows, (batch.history.items + 1) % self.n_items] = 3.0
        return scores


@pytest.fixture(scope="module")
def asks(world: Tiny) -> Chain:
    """The policy, which can consult two delegates; nobody may change it."""
    return fitted(world.fit, experts=FEW, consulted=DELEGATES)


@pytest.fixture(scope="module")
def alone(world: Tiny) -> Chain:
    """The same without anybody to consult."""
    return fitted(world.fit, experts=FEW)


def consult(policy: Chain, world: Tiny, edits: Edits | None = None, **changes: Any) -> Deliberation:
    asked = replace(world.test.queries, **changes)
    return policy.consult(asked, world.observation(asked), {}, edits)


def assert_same(one: Deliberation, other: Deliberation) -> None:
    assert one.ranking is not None
    assert other.ranking is not None
    np.testing.assert_array_equal(one.ranking.items, other.ranking.items)
    np.testing.assert_array_equal(one.ranking.scores, other.ranking.scores)
    assert [list(each) for each in one.steps] == [list(each) for each in other.steps]


def test_alone_it_answers_bit_by_bit_as_without(asks: Chain, alone: Chain, world: Tiny, tmp_path: Path) -> None:
    for name, policy in (("with", asks), ("without", alone)):
        (tmp_path / name).mkdir()
        policy.save(tmp_path / name)
    kept, plain = (load_file(tmp_path / name / "chain.safetensors") for name in ("with", "without"))
    assert {name.partition(".")[0] for name in kept.keys() - plain.keys()} == {"consulting"}
    assert all(np.array_equal(kept[name], value) for name, value in plain.items())
    assert asks.model.experts.names == FEW
    assert asks.model.out_of_pool == alone.model.out_of_pool != asks.model.consulted.out_of_pool
    assert_same(answer(asks, world), answer(alone, world))


def test_no_delegate_is_asked_elsewhere(world: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FittedGates, "better_than", lambda *_: True)
    made: list[Witness] = []

    def delegate(name: str) -> Witness:
        made.append(Witness(Empty()))
        return made[-1]

    policy = fitted(replace(world.fit, delegate=delegate), experts=["popularity"], consulted=["witness"])
    first, second = made[1:]  # before the training one was made to see whether it can be
    users = set(world.fit.valid.queries.users.tolist()) if world.fit.valid is not None else set()
    assert first.seen | second.seen == users
    assert not first.seen & second.seen, "the gates are fitted to what each says of users that the other has seen"
    before = first.asked, second.asked
    for step in answer(policy, world).steps[0]:
        assert "witness" not in step.claim
    assert (first.asked, second.asked) == before
    assert consult(policy, world).ranking is not None
    assert first.asked > before[0]
    assert second.asked == before[1]


def test_consulted_it_weighs_the_delegates_beside_its_experts(asks: Chain, world: Tiny) -> None:
    found, before = consult(asks, world), answer(asks, world)
    assert found.ranking is not None
    assert before.ranking is not None
    assert (found.ranking.items != before.ranking.items).any()
    said = asks.model.consulted
    assert said.experts.names == (*FEW, *DELEGATES)
    weights = {step.claim.partition(":")[0]: step.weight for step in found.steps[0] if step.kind == "propose"}
    batch = world.test.queries.take(np.array([0]))
    seen, evidence = world.observation(batch), HistoryWeights.of(batch.history, 50)
    cache = said.experts.cache_items(seen)
    states = said.experts.sequence.states(evidence, cache.tables)
    weighed = deliberate_chunk(said, batch, evidence, states, cache, seen.horizon).weighed.experts[0]
    for name, weight in zip(DELEGATES, weighed[-2:], strict=True):
        assert weights[name] == pytest.approx(float(weight), abs=1e-6)
    assert cache is asks.model.experts.cache_items(seen), "items are read once"


def test_candidates_are_ranked_by_the_same_experts(asks: Chain, world: Tiny) -> None:
    candidates = np.tile(np.array([5, 9, 5, 20, -1, 31], np.int32), (len(world.test.queries), 1))
    found = consult(asks, world, candidates=candidates, k=3)
    assert found.ranking is not None
    assert set(found.ranking.items.ravel().tolist()) <= {5, 9, 20, 31}


def test_its_steps_can_be_edited(asks: Chain, world: Tiny) -> None:
    batch = world.test.queries
    label = np.full(len(batch), asks.labels["brand"].index("Cedar"), np.int32)
    edited, plain = consult(asks, world, Edits(assume={"brand": label})), consult(asks, world)
    carries = asks.membership("brand")[:, label[0]].toarray().ravel() > 0
    assert edited.ranking is not None
    assert plain.ranking is not None
    assert carries[edited.ranking.items[:, 0]].mean() > carries[plain.ranking.items[:, 0]].mean()
    assert any(step.edited for step in edited.steps[0])
    assert any(step.claim.startswith("ease: ") for step in edited.steps[0])
    ignored = consult(asks, world, Edits(relevance=np.zeros(len(batch.history.items), np.float32)))
    assert ignored.steps[0][-1].evidence == ()


def test_it_is_kept_and_fitted_again(asks: Chain, world: Tiny, tmp_path: Path) -> None:
    asks.save(tmp_path)
    again = Chain.load(tmp_path, world.dataset.catalog)
    assert again.consults
    assert_same(consult(again, world), consult(asks, world))
    refitted = again.refit(replace(world.fit, valid=None)).model.consulting
    assert refitted is not None
    assert refitted.gates is again.model.consulted.gates
    assert [each.name for each in refitted.delegates] == list(DELEGATES)
    assert refitted.delegates[0].delegate is not again.model.consulted.experts.delegates[0].delegate


def test_gates_of_other_experts_are_refused(asks: Chain, world: Tiny, tmp_path: Path) -> None:
    asks.save(tmp_path)
    stored = read_json(tmp_path / "chain.json")
    stored["consulting"]["delegates"].pop()
    write_json(tmp_path / "chain.json", stored)
    with pytest.raises(DataError, match="gates belong to other experts"):
        Chain.load(tmp_path, world.dataset.catalog)


def test_new_items_are_served(asks: Chain, world: Tiny, tmp_path: Path) -> None:
    asks.save(tmp_path)
    later = with_new_items(world, tmp_path / "later")
    grown, batch = Chain.load(tmp_path, later.dataset.catalog), later.test.queries
    found = grown.consult(batch, later.observation(batch), {})
    check_deliberation(found, batch, len(later.dataset.catalog))
    assert any(step.claim.startswith("ease: ") for step in found.steps[0])


def test_delegates_that_are_always_asked_stay_beside(world: Tiny) -> None:
    own = ("popularity", "ease")
    policy, before = (fitted(world.fit, experts=own, **more) for more in ({"consulted": ["user-knn"]}, {}))
    assert_same(answer(policy, world), answer(before, world))
    added = fit_folds(("user-knn",), world.fit, 1000)
    more = replace(policy.model, consulting=Consulting(added[0].delegates, policy.model.gates)).consulted
    assert more.experts.names == ("popularity", "ease", "user-knn")


def test_who_adds_nothing_on_unseen_pairs_is_not_consulted(world: Tiny) -> None:
    """The router decides on the very pairs that the gates are fitted to, so it is looked at apart from them first."""
    policy = fitted(world.fit, consulted=DELEGATES)
    figures: Any = policy.report["consulting"]
    assert 0 < figures["NDCG@10 on unseen pairs, consulting"] < figures["NDCG@10 on unseen pairs, alone"]
    assert policy.consults, "it can; that nobody is consulted is the router's word"
    assert_same(consult(policy, world), answer(policy, world))


def test_without_validation_nothing_tells_what_they_are_worth(world: Tiny) -> None:
    policy = fitted(replace(world.fit, valid=None), consulted=["ease"])
    assert_same(consult(policy, world), answer(policy, world))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"consulted": ["nobody"]}, r"^consulted: there is no delegate 'nobody'\. Known: "),
        ({"consulted": ["distilled"]}, r"^consulted: .*'distilled' learns from the policy.*Name other delegates"),
        ({"consulted": ["transitions"]}, r"^consulted: 'transitions' is one of the experts.*another label"),
        ({"consulted": ["ease"], "experts": ["sequence", "ease"]}, r"^consulted: 'ease' is one of the experts"),
    ],
)
def test_who_cannot_be_consulted_is_said(world: Tiny, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitted(world.fit, **settings)


def test_it_consults_only_whom_it_is_told_to() -> None:
    assert not Chain(config()).consults
    assert Chain(config(consulted=["ease"])).consults
