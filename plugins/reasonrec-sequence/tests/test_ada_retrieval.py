"""Rounds retrieve what their equations say, start as their base, learn, and are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from reasonrec_sequence.ada_retrieval import AdaRetrieval
from reasonrec_sequence.config import AdaRetrievalConfig, AttentionConfig
from reasonrec_sequence.delegates import SASRec
from reasonrec_sequence.rounds import Rounds, RoundsNetwork, keep_low, order_by_rounds
from reasonrec_torch.next_item import find_best, list_entries
from reasonrec_torch.testing import LearningDelegateConformance

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.testing.tiny import N_ITEMS, Tiny, tiny

BASE = {
    "dimensions": 16,
    "layers": 1,
    "dropout": 0.1,
    "training": {
        "epochs": 30, "patience": 30, "learning_rate": 0.02, "warmup": 5, "ema": 0.8, "device": "cpu", "loss": "full",
    },
}  # fmt: skip
SMALL = {
    "rounds": 3,
    "items": 4,
    "frequencies": 2,
    "training": {"epochs": 4, "learning_rate": 0.005, "warmup": 2, "ema": 0.5, "device": "cpu"},
}


def make_base(name: str) -> Delegate[Any]:
    return {"sasrec": SASRec(AttentionConfig.model_validate(BASE)), "popularity": Popularity(Popularity.Config())}[name]


class TestAdaRetrieval(LearningDelegateConformance):
    component = "ada-retrieval"
    settings = SMALL

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def small_base(cls) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("reasonrec_core.testing.tiny._delegates", lambda: make_base)
            yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    made = tiny(tmp_path_factory.mktemp("world"))
    return replace(made, fit=replace(made.fit, delegate=make_base))


def make(world: Tiny, settings: dict[str, Any] = SMALL, **changes: Any) -> AdaRetrieval:
    delegate = AdaRetrieval(AdaRetrievalConfig.model_validate(settings))
    delegate.fit(replace(world.fit, **changes))
    return delegate


def ndcg(delegate: Delegate[Any], world: Tiny) -> float:
    def answer(batch: Any) -> Any:
        return delegate.recommend(batch, world.observation(batch))

    return evaluate_ranking(answer, world.test, (10,), n_items=N_ITEMS).values["NDCG@10"]


def test_low_frequencies_stay_and_others_go() -> None:
    places = torch.arange(20) / 20
    slow, fast = torch.sin(2 * torch.pi * 2 * places), torch.sin(2 * torch.pi * 7 * places)
    kept = keep_low((3 + slow + fast)[None, :, None], 3)
    torch.testing.assert_close(kept[0, :, 0], 3 + slow, atol=1e-5, rtol=1e-5)


def test_the_list_is_that_of_the_rounds_then_of_the_last() -> None:
    torch.manual_seed(2)
    table, bias = torch.randn(15, 4), torch.randn(15)
    states = [torch.randn(6, 4) for _ in range(3)]
    found: list[torch.Tensor] = []
    for state in states:
        earlier = list_entries(torch.cat([torch.full((6, 1), -1), *found], 1))
        found.append(find_best(state, table, bias, earlier, 3))
    scores = order_by_rounds(Rounds(states, found), table, bias)
    first = torch.cat(found, 1)
    last = states[-1] @ table.T + bias
    last.scatter_(1, first, -torch.inf)
    rest = last.argsort(1, descending=True)[:, : 15 - first.shape[1]]
    assert torch.equal(scores.argsort(1, descending=True), torch.cat([first, rest], 1))


def test_untrained_rounds_rank_as_their_base(world: Tiny) -> None:
    base = SASRec(AttentionConfig.model_validate(BASE))
    base.fit(world.fit)
    still = SMALL | {"training": {"epochs": 1, "learning_rate": 1e-12, "ema": 0.0, "device": "cpu"}}
    rounds, batch = make(world, still), world.test.queries
    first, other = (each.recommend(batch, world.observation(batch)) for each in (base, rounds))
    assert np.array_equal(first.items, other.items)


def test_rounds_change_what_is_asked_and_repeat_nothing(world: Tiny) -> None:
    delegate, batch = make(world, valid=None), world.test.queries
    table = torch.from_numpy(delegate._base.item_vectors(world.observation(batch)))
    items = torch.from_numpy(batch.history.row(0).astype(np.int64))[None]
    barred = torch.stack([torch.zeros_like(items[0]), items[0]])
    run = delegate._rounds.run(items, torch.tensor([items.shape[1] - 1]), table[:, :-1], table[:, -1], barred)
    found = torch.cat(run.found, 1)[0]
    assert len(set(found.tolist())) == 12
    assert not set(found.tolist()) & set(items[0].tolist())
    assert (run.states[1] - run.states[0]).abs().max() > 1e-3


def test_it_beats_popularity(world: Tiny) -> None:
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(make(world), world) > 1.3 * ndcg(popular, world)


def test_one_round_trains_the_base_on(world: Tiny) -> None:
    with pytest.raises(ValidationError, match="there is nothing to train"):
        make(world, SMALL | {"rounds": 1})
    delegate = make(world, SMALL | {"rounds": 1, "train_base": True}, valid=None)
    fresh = SASRec(AttentionConfig.model_validate(BASE))
    fresh.fit(replace(world.fit, valid=None))
    assert not delegate._rounds.correct.weight.any()
    batch = world.test.queries
    first, other = (each.score(batch, world.observation(batch)) for each in (fresh, delegate))
    assert not np.allclose(first, other, atol=1e-3)


def test_the_base_stays_as_it_was_unless_it_is_trained_on(world: Tiny) -> None:
    fresh = SASRec(AttentionConfig.model_validate(BASE))
    fresh.fit(replace(world.fit, valid=None))
    seen = world.fit.observation
    for on in (False, True):
        delegate = make(world, SMALL | {"train_base": on}, valid=None)
        same = np.array_equal(fresh.item_vectors(seen), delegate._base.item_vectors(seen))
        assert same != on


def test_judged_while_it_trains_elsewhere_it_answers_from_a_copy(world: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed: the rounds are said to be on one. Answers must not touch what trains, nor differ by that."""
    batch, keep, copies = world.test.queries, AdaRetrieval.keep, []
    expected = make(world).score(batch, world.observation(batch))

    def watch(delegate: AdaRetrieval, network: RoundsNetwork) -> None:
        keep(delegate, network)
        inputs = network.base.inputs
        delegate._base.item_vectors(world.fit.observation)
        assert network.base.inputs is inputs
        assert delegate._base.network is delegate._rounds.base
        copies.append(delegate._rounds is not network)

    monkeypatch.setattr(AdaRetrieval, "keep", watch)
    monkeypatch.setattr("reasonrec_torch.devices.find_device", lambda module: torch.device("cuda"))
    found = make(world).score(batch, world.observation(batch))
    assert len(copies) > 1
    assert all(copies)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_it_is_fitted_again_for_as_long_as_validation_chose(world: Tiny) -> None:
    delegate = make(world)
    again = delegate.refit(replace(world.fit, valid=None))
    assert ndcg(again, world) > 0.5 * ndcg(delegate, world)


def test_a_base_of_another_kind_is_refused(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="the delegate 'popularity' does not read histories"):
        make(world, SMALL | {"base": "popularity"})
    with pytest.raises(PluginError, match="no delegates can be asked here"):
        make(world, delegate=None)
