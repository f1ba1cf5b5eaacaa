"""Cornac's models pass the suite of delegates, come back from plain arrays, and refuse plainly."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_cornac.delegate import CornacConfig, CornacDelegate

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate
from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import N_ITEMS, Tiny, tiny

BPR = {"model": "BPR", "parameters": {"k": 16, "max_iter": 200, "learning_rate": 0.05}}
OTHERS: tuple[dict[str, Any], ...] = (
    {"model": "VAECF", "parameters": {"k": 8, "n_epochs": 20, "autoencoder_structure": [16]}},
    {"model": "ItemKNN", "parameters": {"similarity": "cosine"}},
    {"model": "EASE"},
    {"model": "MF", "parameters": {"k": 8, "max_iter": 20}},
    {"model": "HPF", "parameters": {"k": 8, "max_iter": 20}},
    {"model": "MostPop"},
)


README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (Pass|Refused)(.*?) \| (.*) \|$", README, flags=re.MULTILINE)
STATED = {name: (does == "Pass", why) for does, why, names in ROWS for name in re.findall(r"`(\w+)`", names)}
"""Of each class, by the README: whether it passes, and how or why not."""
FEW = ("n_epochs", "max_iter", "num_epochs")


class TestFactors(DelegateConformance):
    component = "cornac"
    settings = BPR


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(world: Tiny, settings: dict[str, Any]) -> CornacDelegate:
    delegate = CornacDelegate(CornacConfig.model_validate(settings))
    delegate.fit(world.fit)
    return delegate


def ndcg(delegate: Delegate[Any], world: Tiny) -> float:
    def answer(batch: Any) -> Any:
        return delegate.recommend(batch, world.observation(batch))

    return evaluate_ranking(answer, world.test, (10,), n_items=N_ITEMS).values["NDCG@10"]


@pytest.mark.parametrize("settings", [BPR, *OTHERS], ids=lambda each: str(each["model"]))
def test_models_come_back_from_plain_arrays(settings: dict[str, Any], world: Tiny, tmp_path: Path) -> None:
    delegate = make(world, settings)
    delegate.save(tmp_path)
    assert not list(tmp_path.rglob("*.pkl"))
    batch = world.test.queries
    again = CornacDelegate.load(tmp_path, world.dataset.catalog).score(batch, world.observation(batch))
    np.testing.assert_allclose(again, delegate.score(batch, world.observation(batch)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "factors"),
    [(BPR, True), (OTHERS[3], True), (OTHERS[4], True), (OTHERS[1], False), (OTHERS[2], False)],
    ids=lambda each: str(each["model"]) if isinstance(each, dict) else "",
)
def test_one_product_gives_what_the_model_says_of_each_user(
    settings: dict[str, Any], factors: bool, world: Tiny
) -> None:
    """MF adds something to all items of a user, which is no part of Cornac's vectors; EASE has none."""
    delegate, batch = make(world, settings), world.test.queries
    assert (delegate._factors is not None) == factors
    scores = delegate.score(batch, world.observation(batch))
    for row, user in enumerate(batch.users.tolist()):
        said = delegate._model.score(int(delegate._numbers[user]))
        np.testing.assert_allclose(
            scores[row, delegate._items], np.ravel(said)[: len(delegate._items)], rtol=1e-5, atol=1e-6
        )


def test_the_readme_says_of_every_class_whether_it_can_be_used() -> None:
    import cornac.models as theirs

    others = (theirs.NextItemRecommender, theirs.NextBasketRecommender)
    found = {c.__name__: c for c in vars(theirs).values() if isinstance(c, type) and issubclass(c, theirs.Recommender)}
    assert STATED.keys() == {n for n, c in found.items() if n != "Recommender" and not issubclass(c, others)}


@pytest.mark.parametrize("name", STATED)
def test_what_the_readme_says_of_a_class_is_so(name: str, world: Tiny) -> None:
    import cornac.models as theirs

    passes, why = STATED[name]
    if "without packages" in why and any(find_spec(package) for package in ("tensorflow", "dgl", "sansa")):
        pytest.skip("packages that Cornac does not bring are here")
    few = {each: 5 for each in FEW if each in getattr(theirs, name)._get_init_params()}
    if not passes:
        with pytest.raises(ConfigError, match=f"Cornac's {name}"):
            make(world, {"model": name, "parameters": few})
    else:
        assert (make(world, {"model": name, "parameters": few})._factors is not None) == ("one product" in why)


def test_factors_beat_popularity(world: Tiny) -> None:
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(make(world, BPR), world) > 1.1 * ndcg(popular, world)


def test_somebody_new_is_answered_like_those_with_the_same_items(world: Tiny) -> None:
    delegate, batch = make(world, BPR | {"neighbours": 1}), world.fit.valid.queries  # type: ignore[union-attr]
    new = replace(batch, users=np.full(len(batch), -1, np.int32))
    seen = world.observation(batch)
    known, unknown = delegate.score(batch, seen), delegate.score(new, seen)
    equal = np.isclose(known, unknown, rtol=1e-4).all(1)
    assert equal.mean() > 0.9  # the nearest to one's own training items is oneself


def test_ratings_are_learned_from_where_asked_for(world: Tiny) -> None:
    train = world.fit.train
    rated = replace(world.fit, train=replace(train, values=(1 + 4 * (train.items % 2)).astype(np.float32)))
    delegate = CornacDelegate(CornacConfig(model="BaselineOnly", values=True))
    delegate.fit(rated)
    batch = world.test.queries
    scores = delegate.score(batch, world.observation(batch)).mean(0)
    had = np.isin(np.arange(N_ITEMS), train.items)
    assert scores[1::2][had[1::2]].min() > scores[::2][had[::2]].max()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "BRP"}, "Did you mean 'BPR'"),
        ({"model": "GRU4Rec"}, "no model of users and items called 'GRU4Rec'"),
        ({"model": "BPR", "parameters": {"kk": 3}}, "BPR has no parameter 'kk'"),
        ({"model": "VBPR"}, "VBPR cannot be used here"),
        ({"model": "FaissANN"}, "FaissANN cannot be used here"),
        ({"model": "MF", "values": True}, "no values"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str, world: Tiny) -> None:
    bare = replace(world.fit, train=replace(world.fit.train, values=None))
    delegate = CornacDelegate(CornacConfig.model_validate(settings))
    with pytest.raises(ConfigError, match=message):
        delegate.fit(bare)


def test_what_a_model_prints_does_not_mix_with_answers(world: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    """HPF says "Learning..." whatever ``verbose`` is; `reasonrec run --json` must stay JSON."""
    make(world, {"model": "HPF", "parameters": {"k": 8, "max_iter": 2}})
    said = capsys.readouterr()
    assert said.out == ""
    assert "Learning" in said.err
