"""Every delegate passes the suite, learns, and says of new users and items what it can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reasonrec_graph.alignment import contrast, transport
from reasonrec_graph.delegates import SGL, AlphaRec, GraphDelegate, LightGCN
from reasonrec_graph.gcm import GCM
from reasonrec_graph.graph import Graph, propagate
from reasonrec_graph.network import GraphNetwork
from reasonrec_graph.recgoat import RecGOAT, RecGOATNetwork
from reasonrec_graph.ssr import SSR
from reasonrec_torch.interactions import TensorPairs
from reasonrec_torch.testing import LearningDelegateConformance

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate
from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.testing.later import with_new_items
from reasonrec_core.testing.tiny import N_ITEMS, N_USERS, Tiny, tiny
from reasonrec_core.types import History, QueryBatch, Task, indptr_of

TRAINING = {"epochs": 30, "patience": 30, "learning_rate": 0.05, "warmup": 5, "ema": 0.8, "device": "cpu", "batch": 64}
SMALL: dict[str, Any] = {"dimensions": 16, "layers": 2, "training": TRAINING}
ALIGNED: dict[str, Any] = {**SMALL, "align": "both"}


class TestLightGCN(LearningDelegateConformance):
    component = "lightgcn"
    settings = SMALL


class TestSGL(LearningDelegateConformance):
    component = "sgl"
    settings = SMALL


class TestGCM(LearningDelegateConformance):
    component = "gcm"
    settings = SMALL


class TestAlphaRec(LearningDelegateConformance):
    component = "alpharec"
    settings = SMALL
    needs_features = True


class TestRecGOAT(LearningDelegateConformance):
    component = "recgoat"
    settings = ALIGNED
    needs_features = True


class TestSSR(LearningDelegateConformance):
    component = "ssr"
    settings = SMALL
    needs_features = True


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(model: type[GraphDelegate[Any]], world: Tiny, settings: dict[str, Any] = SMALL, **changes: Any) -> Any:
    delegate = model(model.Config.model_validate(settings))
    delegate.fit(replace(world.fit, **changes))
    return delegate


def ndcg(delegate: Delegate[Any], world: Tiny) -> float:
    def answer(batch: Any) -> Any:
        return delegate.recommend(batch, world.observation(batch))

    return evaluate_ranking(answer, world.test, (10,), n_items=N_ITEMS).values["NDCG@10"]


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (LightGCN, {}),
        (LightGCN, {"training": TRAINING | {"loss": "bpr", "negatives": 1}}),
        (LightGCN, {"training": TRAINING | {"by_user": True, "validation_queries": 20}}),
        (LightGCN, {"training": TRAINING | {"item_length": 0.5}}),
        (LightGCN, {"start": "spectral"}),
        (LightGCN, {"start": "spectral", "dimensions": 99}),
        (SGL, {}),
        (SGL, {"views": "noise"}),
        (GCM, {}),
        (AlphaRec, {}),
        (AlphaRec, {"map": "linear"}),
        (RecGOAT, {"align": "both"}),
        (RecGOAT, {"attention": False}),
        (RecGOAT, {"ids": False}),
        (SSR, {}),
        (SSR, {"mask": 0, "rank": 0, "infonce_weight": 0}),
    ],
)
def test_it_beats_popularity(model: type[GraphDelegate[Any]], changes: dict[str, Any], world: Tiny) -> None:
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(make(model, world, SMALL | changes), world) > 1.2 * ndcg(popular, world)


def test_who_has_done_nothing_since_gets_the_published_answer(world: Tiny) -> None:
    """A user's vector, folded in from the history, is the one that passing over the whole graph gives."""
    delegate: Any = LightGCN(LightGCN.Config.model_validate(SMALL | {"training": TRAINING | {"loss": "bpr"}}))
    networks: list[GraphNetwork] = []
    make_network = delegate.make_network

    def watch(data: Any, graph: Graph) -> GraphNetwork:
        networks.append(make_network(data, graph))
        return networks[0]

    delegate.make_network = watch
    delegate.fit(world.fit)
    train = world.fit.train
    indptr = indptr_of(np.bincount(train.users, minlength=N_USERS))
    batch = QueryBatch(Task.SEQUENTIAL, np.arange(N_USERS, dtype=np.int32), History(indptr, train.items, train.times))
    users, items = propagate(networks[0].start()[0], networks[0].start()[1], networks[0].blocks, 2)
    expected = (users @ items.T).detach().numpy()
    chosen = delegate._passed.degrees > 0
    found = delegate.score(batch, world.observation(batch))
    np.testing.assert_allclose(found[:, chosen], expected[:, chosen], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_lengths_of_items_count_as_much_in_answers_as_in_training(world: Tiny, power: float) -> None:
    settings = SMALL | {"training": TRAINING | {"epochs": 1, "negatives": 5000, "item_length": power}}
    delegate: Any = make(LightGCN, world, settings)
    batch = world.test.queries
    scores, seen = delegate.score(batch, world.observation(batch)), delegate.see_items(world.observation(batch))
    asked = delegate.query_vectors(batch, world.observation(batch))
    np.testing.assert_allclose(np.linalg.norm(asked, axis=1), 1, rtol=1e-5)
    items = delegate._passed.items
    expected = asked @ (items / np.linalg.norm(items, axis=1, keepdims=True) ** (1 - power)).T
    known = np.logical_not(seen.unknown)
    np.testing.assert_allclose(scores[:, known], expected[:, known], rtol=1e-4, atol=1e-5)
    graph = Graph(world.fit.train.users, world.fit.train.items, N_USERS, N_ITEMS)
    network = delegate.make_network(world.fit, graph)
    rng = np.random.default_rng(0)
    users, table = (torch.from_numpy(rng.normal(size=(n, 16)).astype(np.float32)) for n in (N_USERS, N_ITEMS))
    table = table * torch.linspace(0.2, 3, N_ITEMS)[:, None]
    pairs = TensorPairs(torch.arange(20), torch.arange(20) % N_ITEMS, torch.empty(0))
    with torch.no_grad():
        found = float(network._choose(users, table, pairs))
        logits = (
            torch.nn.functional.normalize(users[:20], dim=1) @ (table / table.norm(dim=1)[:, None] ** (1 - power)).T
        )
        own = torch.nn.functional.cross_entropy(logits / 0.15, pairs.items)
    assert found == pytest.approx(float(own), rel=0.1), "5,000 drawn items stand for all of them"


def test_models_of_content_judge_new_items_by_what_they_read_like(world: Tiny, tmp_path: Path) -> None:
    batch = world.test.queries
    for model, seen in ((LightGCN, False), (AlphaRec, True), (RecGOAT, True), (SSR, True)):
        delegate = make(model, world)
        delegate.save(tmp_path / model.__name__)
        later = with_new_items(world, tmp_path / f"{model.__name__}-later")
        scores = model.load(tmp_path / model.__name__, later.dataset.catalog).score(batch, later.observation(batch))
        least = scores[:, :N_ITEMS].min(1, keepdims=True)
        assert (scores[:, N_ITEMS:] > least).any() == seen


def test_a_map_serves_another_log(world: Tiny, tmp_path: Path) -> None:
    """The map of one log answers, without training, from the first few interactions of the same shop."""
    make(AlphaRec, world).save(tmp_path)
    few = world.fit.train.take(np.arange(len(world.fit.train)) % 4 == 0)
    taken = make(AlphaRec, world, SMALL | {"pretrained": str(tmp_path)}, train=few)
    raw = make(AlphaRec, world, SMALL | {"training": TRAINING | {"epochs": 1, "learning_rate": 1e-9}}, train=few)
    assert ndcg(taken, world) > ndcg(raw, world)


def test_features_that_nobody_observes_are_refused(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="there are no item features called 'sound'"):
        make(AlphaRec, world, SMALL | {"modalities": ["sound"]})
    blind = replace(world.fit.observation, features={}, present={})
    with pytest.raises(ConfigError, match="no item features are observed"):
        make(AlphaRec, world, observation=blind)


@pytest.mark.parametrize("model", [RecGOAT, SSR])
def test_an_item_is_judged_alike_whether_it_came_with_the_fit_or_later(
    model: type[GraphDelegate[Any]], world: Tiny, tmp_path: Path
) -> None:
    """A new item with the features of an item that nobody chose has that item's neighbours, and its score."""
    delegate = make(model, world)
    delegate.save(tmp_path / "fitted")
    later = with_new_items(world, tmp_path / "later")
    chosen = np.bincount(world.fit.train.items, minlength=N_ITEMS)
    seen = world.fit.observation
    cold = int(np.flatnonzero((chosen == 0) & seen.present["text"] & seen.present["image"])[0])
    features, present = {}, {}
    for name, values in later.fit.observation.features.items():
        features[name], present[name] = np.array(values), np.array(later.fit.observation.present[name])
        features[name][N_ITEMS], present[name][N_ITEMS] = values[cold], True
    loaded = model.load(tmp_path / "fitted", later.dataset.catalog)
    batch = world.test.queries
    observation = replace(later.observation(batch), features=features, present=present)
    vectors = loaded.item_vectors(observation)
    assert float(vectors[N_ITEMS] @ vectors[cold]) > 0.9
    assert vectors[:N_ITEMS] == pytest.approx(delegate.item_vectors(seen), abs=1e-6)


def test_unknown_users_are_judged_by_what_their_items_read_like(world: Tiny) -> None:
    for model in (RecGOAT, SSR):
        delegate = make(model, world, SMALL | {"ids": False})
        batch = world.test.queries
        known, unknown = (
            delegate.score(each, world.observation(each)) for each in (batch, replace(batch, users=batch.users * 0 - 1))
        )
        np.testing.assert_allclose(known, unknown, rtol=1e-5)


def test_the_alignments_bring_content_and_ids_together(world: Tiny) -> None:
    def measure(align: str) -> tuple[float, float]:
        networks: list[RecGOATNetwork] = []
        config = RecGOAT.Config.model_validate(
            SMALL | {"align": align, "infonce_weight": 1.0, "transport_weight": 3.0, "hidden_ids": 0.0}
        )
        delegate: Any = RecGOAT(config)
        make_network = delegate.make_network

        def watch(*given: Any) -> RecGOATNetwork:
            networks.append(make_network(*given))
            return networks[0]

        delegate.make_network = watch
        delegate.fit(world.fit)
        with torch.no_grad():
            network = networks[0].eval()
            rows = network.graph.degrees > 0
            own, (_, text) = network.items[rows], network.content.views(network.prepared, rows)
            return float(contrast(own, text, 0.2)), float(transport(own, text, 0.05))

    free, single, whole = measure("none"), measure("infonce"), measure("transport")
    assert single[0] < 0.9 * free[0]
    assert whole[1] < 0.85 * free[1]
