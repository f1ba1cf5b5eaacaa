"""Every delegate passes the suite, learns, and judges new items by their content where it can."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_sequence.config import SequenceTraining
from reasonrec_sequence.delegates import BSARec, ConvFormer, Gru, LightSANs, SASRec, SequenceDelegate
from reasonrec_torch.testing import LearningDelegateConformance

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate
from reasonrec_core.errors import ConfigError, RunError
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.testing.later import with_new_items
from reasonrec_core.testing.tiny import N_ITEMS, Tiny, tiny

SMALL: dict[str, Any] = {
    "dimensions": 16,
    "layers": 1,
    "dropout": 0.1,
    "training": {
        "epochs": 30, "patience": 30, "learning_rate": 0.02, "warmup": 5, "ema": 0.8, "device": "cpu", "loss": "full",
    },
}  # fmt: skip
EVERY: list[type[SequenceDelegate[Any]]] = [SASRec, BSARec, LightSANs, ConvFormer, Gru]


class TestSASRec(LearningDelegateConformance):
    component = "sasrec"
    settings = SMALL | {"items": "both"}


class TestBSARec(LearningDelegateConformance):
    component = "bsarec"
    settings = SMALL | {"temperature": 0.1, "items": "both"}


class TestLightSANs(LearningDelegateConformance):
    component = "lightsans"
    settings = SMALL


class TestConvFormer(LearningDelegateConformance):
    component = "convformer"
    settings = SMALL


class TestGru(LearningDelegateConformance):
    component = "gru"
    settings = SMALL | {"items": "both"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(model: type[SequenceDelegate[Any]], world: Tiny, settings: dict[str, Any] = SMALL, **changes: Any) -> Any:
    delegate = model(model.Config.model_validate(settings))
    delegate.fit(replace(world.fit, **changes))
    return delegate


def ndcg(delegate: Delegate[Any], world: Tiny) -> float:
    def answer(batch: Any) -> Any:
        return delegate.recommend(batch, world.observation(batch))

    return evaluate_ranking(answer, world.test, (10,), n_items=N_ITEMS).values["NDCG@10"]


@pytest.mark.parametrize("model", EVERY)
def test_it_beats_popularity(model: type[SequenceDelegate[Any]], world: Tiny) -> None:
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(make(model, world), world) > 1.3 * ndcg(popular, world)


@pytest.mark.parametrize(("negatives", "popularity"), [(2048, 0.0), (8, 0.0), (8, 0.75)])
def test_the_sampled_loss_beats_popularity(negatives: int, popularity: float, world: Tiny) -> None:
    """The default loss, with its default number of negatives, and with fewer than there are items."""
    assert SequenceTraining().loss == "sampled"
    assert SequenceTraining().negatives == 2048
    training = {k: v for k, v in SMALL["training"].items() if k != "loss"}
    settings = SMALL | {"training": training | {"negatives": negatives, "popularity": popularity}}
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(make(SASRec, world, settings), world) > 1.3 * ndcg(popular, world)


def test_the_published_form_of_lightsans_learns(world: Tiny) -> None:
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(make(LightSANs, world, SMALL | {"causal": False}), world) > 1.2 * ndcg(popular, world)


def test_features_speak_for_new_items(world: Tiny, tmp_path: Path) -> None:
    batch = world.test.queries
    for items, seen in (("ids", False), ("features", True), ("both", True)):
        delegate = make(SASRec, world, SMALL | {"items": items})
        delegate.save(tmp_path / items)
        later = with_new_items(world, tmp_path / f"{items}-later")
        scores = SASRec.load(tmp_path / items, later.dataset.catalog).score(batch, later.observation(batch))
        old = delegate.score(batch, world.observation(batch))
        np.testing.assert_allclose(scores[:, :N_ITEMS], old, rtol=1e-4, atol=1e-5)
        least = scores[:, :N_ITEMS].min(1, keepdims=True)
        assert (scores[:, N_ITEMS:] > least).any() == seen


def test_one_of_an_earlier_version_is_not_read_as_another_model(world: Tiny, tmp_path: Path) -> None:
    make(Gru, world).save(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["temperature"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(RunError, match="earlier version"):
        Gru.load(tmp_path, world.dataset.catalog)


def test_scores_are_products_of_vectors(world: Tiny) -> None:
    delegate, batch = make(SASRec, world), world.test.queries
    seen = world.observation(batch)
    product = delegate.query_vectors(batch, seen) @ delegate.item_vectors(seen).T
    np.testing.assert_allclose(delegate.score(batch, seen), product, rtol=1e-5)


def test_with_a_temperature_scores_are_cosines(world: Tiny) -> None:
    delegate, batch = make(SASRec, world, SMALL | {"temperature": 0.1}), world.test.queries
    seen = world.observation(batch)
    items, queries = delegate.item_vectors(seen)[:, :-1], delegate.query_vectors(batch, seen)[:, :-1]
    chosen = np.unique(world.fit.train.items)
    np.testing.assert_allclose(np.linalg.norm(items[chosen], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 10, rtol=1e-5)
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(delegate, world) > 1.3 * ndcg(popular, world)


def test_features_that_nobody_observes_are_refused(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="there are no item features called 'sound'"):
        make(SASRec, world, SMALL | {"items": "both", "modalities": ["sound"]})
    blind = replace(world.fit.observation, features={}, present={})
    with pytest.raises(ConfigError, match="no item features are observed"):
        make(SASRec, world, SMALL | {"items": "features"}, observation=blind)
