"""The baselines: suites, their formulas against plain ones, and what they say of new items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_baselines import regression
from reasonrec_baselines.content_neighbours import ContentKNN
from reasonrec_baselines.logs import make_history_matrix, make_log_matrix
from reasonrec_baselines.regression import EASE, SLIM
from reasonrec_baselines.user_neighbours import UserKNN
from sklearn import linear_model

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate
from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.later import with_new_items
from reasonrec_core.testing.tiny import N_ITEMS, Tiny, tiny
from reasonrec_core.types import History, QueryBatch, Task

SETTINGS: dict[type[Delegate[Any]], dict[str, Any]] = {
    EASE: {"l2": 5.0},
    SLIM: {"l1": 0.5, "l2": 2.0},
    UserKNN: {"neighbours": 10},
    ContentKNN: {},
}


class TestEASE(DelegateConformance):
    component = "ease"
    settings = SETTINGS[EASE]


class TestSLIM(DelegateConformance):
    component = "slim"
    settings = SETTINGS[SLIM]


class TestUserKNN(DelegateConformance):
    component = "user-knn"
    settings = SETTINGS[UserKNN]


class TestContentKNN(DelegateConformance):
    component = "content-knn"
    needs_features = True


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(model: type[Delegate[Any]], world: Tiny, **settings: Any) -> Any:
    delegate = model(model.Config.model_validate(SETTINGS[model] | settings))
    delegate.fit(world.fit)
    return delegate


def ndcg(delegate: Delegate[Any], world: Tiny) -> float:
    def answer(batch: Any) -> Any:
        return delegate.recommend(batch, world.observation(batch))

    return evaluate_ranking(answer, world.test, (10,), n_items=N_ITEMS).values["NDCG@10"]


@pytest.mark.parametrize("model", SETTINGS)
def test_it_beats_popularity(model: type[Delegate[Any]], world: Tiny) -> None:
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(make(model, world), world) > 1.2 * ndcg(popular, world)


def test_ease_solves_a_ridge_regression_for_each_item(world: Tiny) -> None:
    """Column j is the ridge regression of item j on all others."""
    links = make(EASE, world, keep=N_ITEMS)._links.toarray()
    log = make_log_matrix(world.fit, "test").toarray().astype(np.float64)
    for j in range(0, N_ITEMS, 7):
        others = np.delete(np.arange(N_ITEMS), j)
        x = log[:, others]
        expected = np.linalg.solve(x.T @ x + 5.0 * np.eye(len(others)), x.T @ log[:, j])
        np.testing.assert_allclose(links[others, j], expected, atol=1e-4)
        assert links[j, j] == 0


def test_slim_meets_the_conditions_of_its_optimum(world: Tiny) -> None:
    """Karush, Kuhn, Tucker: the gradient is 0 where a weight is positive, and not negative where it is 0."""
    l1, l2 = 0.5, 2.0
    links = make(SLIM, world, keep=N_ITEMS)._links.toarray().astype(np.float64)
    log = make_log_matrix(world.fit, "test").toarray().astype(np.float64)
    gradient = log.T @ (log @ links - log) + l2 * links + l1
    np.fill_diagonal(gradient, 0.0)
    assert (links >= 0).all()
    assert (links == 0).mean() > 0.2
    assert np.abs(gradient[links > 0]).max() < 1e-4
    assert gradient[links == 0].min() > -1e-4


def test_slim_is_the_elastic_net_of_scikit_learn(world: Tiny) -> None:
    """Whose penalties are by row: ``alpha * l1_ratio * n`` is ours."""
    links = make(SLIM, world, keep=N_ITEMS)._links.toarray()
    log = make_log_matrix(world.fit, "test").toarray().astype(np.float64)
    alpha = 2.5 / len(log)
    for j in range(0, N_ITEMS, 7):
        others = np.delete(np.arange(N_ITEMS), j)
        net = linear_model.ElasticNet(
            alpha=alpha, l1_ratio=0.2, positive=True, fit_intercept=False, tol=1e-10, max_iter=10_000
        ).fit(log[:, others], log[:, j])
        np.testing.assert_allclose(links[others, j], net.coef_, atol=1e-4)


def test_slim_solves_for_few_items_at_a_time_and_finds_the_same(world: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make(SLIM, world)._links.toarray()
    monkeypatch.setattr(regression, "FIRST", 2)
    monkeypatch.setattr(regression, "MORE", 1)
    np.testing.assert_allclose(make(SLIM, world)._links.toarray(), whole, atol=1e-5)


def test_neighbours_among_users_are_those_of_the_cosine(world: Tiny) -> None:
    delegate = make(UserKNN, world, neighbours=3, rare=0.0, power=2.0)
    log = make_log_matrix(world.fit, "test").toarray()
    batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[1, 5, 9]]), k=5)
    asked = make_history_matrix(batch.history, N_ITEMS).toarray()[0]
    near = log @ asked / np.maximum(np.linalg.norm(log, axis=1) * np.linalg.norm(asked), 1e-12)
    best = np.argsort(-near)[:3]
    expected = (near[best] ** 2) @ log[best]
    found = delegate.score(batch, world.observation(batch))[0]
    np.testing.assert_allclose(found[expected > 0], expected[expected > 0], rtol=1e-4)
    assert found[expected == 0].max() < expected[expected > 0].min()


def test_a_repeated_item_counts_once_as_its_newest() -> None:
    matrix = make_history_matrix(History.of([[3, 1, 3], []]), 5, 0.5)
    np.testing.assert_allclose(matrix.toarray(), [[0, 0.5, 0, 1, 0], [0] * 5])


def test_only_the_most_popular_items_are_linked(world: Tiny) -> None:
    delegate = make(EASE, world, most_items=10)
    assert len(np.unique(delegate._links.indices)) <= 10


def test_content_speaks_for_new_items(world: Tiny, tmp_path: Path) -> None:
    batch = world.test.queries
    later = with_new_items(world, tmp_path / "later")
    for model, seen in ((EASE, False), (ContentKNN, True)):
        make(model, world).save(tmp_path / model.__name__)
        loaded = model.load(tmp_path / model.__name__, later.dataset.catalog)
        scores = loaded.score(batch, later.observation(batch))
        assert (scores[:, N_ITEMS:] > scores[:, :N_ITEMS].min(1, keepdims=True)).any() == seen


def test_features_that_nobody_observes_are_refused(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="there are no item features called 'sound'"):
        make(ContentKNN, world, modalities=["sound"])
    blind = ContentKNN(ContentKNN.Config())
    with pytest.raises(ConfigError, match="no item features are observed"):
        blind.fit(replace(world.fit, observation=replace(world.fit.observation, features={}, present={})))
