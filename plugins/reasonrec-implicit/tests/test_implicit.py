"""The three delegates: conformance, the library's own numbers, users whom training did not know."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from reasonrec_implicit.als import ALS, ALSConfig
from reasonrec_implicit.bpr import BPR, BPRConfig
from reasonrec_implicit.itemknn import ItemKNN, ItemKNNConfig
from reasonrec_implicit.matrices import keep_known
from scipy import sparse

from reasonrec_core.errors import DataError
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import History, QueryBatch, Task


class TestALS(DelegateConformance):
    component = "implicit-als"
    settings: ClassVar = {"factors": 8}


class TestALSWithTrainedVectors(DelegateConformance):
    component = "implicit-als"
    settings: ClassVar = {"factors": 8, "fold_in": "unknown"}


class TestBPR(DelegateConformance):
    component = "implicit-bpr"
    settings: ClassVar = {"factors": 8, "iterations": 30}


class TestItemKNN(DelegateConformance):
    component = "implicit-itemknn"


class TestItemKNNWithBM25(DelegateConformance):
    component = "implicit-itemknn"
    settings: ClassVar = {"similarity": "bm25", "neighbours": 10}


@pytest.mark.parametrize("kind", [ALS, BPR, ItemKNN])
def test_items_that_came_after_the_fit_are_ranked_last(data: Tiny, tmp_path: Path, kind: type[Any]) -> None:
    delegate = kind(kind.Config())
    delegate.fit(data.fit)
    delegate.save(tmp_path)
    old, new = len(data.fit.catalog), pa.table({"item_id": ["x", "y"]})
    grown = data.dataset.append_items(new, tmp_path / "grown").catalog
    loaded = kind.load(tmp_path, grown)
    listed = np.array([[old, 3, old + 1, 5]], np.int32)
    for history in ([1, old], [old + 1]):
        batch = QueryBatch(Task.DIRECT, np.full(1, -1, np.int32), History.of([history]), 4, listed)
        ranked = loaded.recommend(batch, data.observation(batch))
        assert set(ranked.items[0, 2:].tolist()) == {old, old + 1}
        assert np.isfinite(ranked.scores).all(), "last, yet ranked"
        alone = replace(batch, history=History.of([[i for i in history if i < old]]))
        np.testing.assert_allclose(
            loaded.score(alone, data.observation(alone)), loaded.score(batch, data.observation(batch))
        )


pytestmark = pytest.mark.filterwarnings("ignore::implicit.utils.ParameterWarning")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("tiny"))


def user_items(data: Tiny) -> sparse.csr_matrix:
    log, shape = data.fit.train, (data.fit.n_users, len(data.fit.catalog))
    return sparse.csr_matrix((np.ones(len(log), np.float32), (log.users, log.items)), shape=shape)


def training_histories(data: Tiny) -> QueryBatch:
    """Every user, with the training part as history."""
    log = data.fit.train
    indptr = np.searchsorted(log.users, np.arange(data.fit.n_users + 1)).astype(np.int64)
    users = np.arange(data.fit.n_users, dtype=np.int32)
    return QueryBatch(Task.SEQUENTIAL, users, History(indptr, log.items, log.times), k=10)


def answer(delegate: Any, data: Tiny, batch: QueryBatch) -> Any:
    return delegate.recommend(batch, data.observation(batch))


def test_als_gives_the_numbers_of_the_library(data: Tiny) -> None:
    ours = ALS(ALSConfig(factors=8, alpha=5.0, iterations=7, fold_in="unknown"))
    ours.fit(replace(data.fit, seed=3))
    theirs = AlternatingLeastSquares(factors=8, alpha=5.0, regularization=0.05, iterations=7, random_state=3)
    matrix = user_items(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(matrix, show_progress=False)
    batch = training_histories(data)
    items, scores = theirs.recommend(batch.users, matrix, N=10)
    ranking = answer(ours, data, batch)
    np.testing.assert_array_equal(ranking.items, items)
    np.testing.assert_allclose(ranking.scores, scores, rtol=1e-5)


def test_als_folds_a_batch_in_as_the_library_does(data: Tiny) -> None:
    ours = ALS(ALSConfig(factors=8))
    ours.fit(data.fit)
    theirs = AlternatingLeastSquares(factors=8, alpha=10.0, regularization=0.05, random_state=0)
    matrix = user_items(data)
    theirs.fit(matrix, show_progress=False)
    batch = replace(training_histories(data), users=np.full(data.fit.n_users, -1, np.int32))
    items, scores = theirs.recommend(np.arange(len(batch)), matrix, N=10, recalculate_user=True)
    ranking = answer(ours, data, batch)
    np.testing.assert_array_equal(ranking.items, items)
    np.testing.assert_allclose(ranking.scores, scores, rtol=1e-4)


def test_bpr_gives_the_numbers_of_the_library(data: Tiny) -> None:
    ours = BPR(BPRConfig(factors=8, iterations=20, fold_in="unknown"))
    ours.fit(replace(data.fit, seed=3))
    settings = {"factors": 8, "learning_rate": 0.05, "regularization": 0.01, "iterations": 20}
    theirs = BayesianPersonalizedRanking(**settings, num_threads=1, random_state=3)
    matrix = user_items(data)
    theirs.fit(matrix, show_progress=False)
    batch = training_histories(data)
    items, scores = theirs.recommend(batch.users, matrix, N=10)
    ranking = answer(ours, data, batch)
    np.testing.assert_array_equal(ranking.items, items)
    np.testing.assert_allclose(ranking.scores, scores, rtol=1e-5)


@pytest.mark.parametrize(
    ("similarity", "library"), [("cosine", CosineRecommender), ("tfidf", TFIDFRecommender), ("bm25", BM25Recommender)]
)
def test_itemknn_gives_the_numbers_of_the_library(data: Tiny, similarity: Any, library: Any) -> None:
    ours = ItemKNN(ItemKNNConfig(similarity=similarity, neighbours=12))
    ours.fit(data.fit)
    theirs = library(K=12)
    matrix = user_items(data)
    theirs.fit(matrix, show_progress=False)
    batch = replace(training_histories(data), k=len(data.fit.catalog))
    ranking = answer(ours, data, batch)
    for user in range(len(batch)):
        items, scores = theirs.recommend(user, matrix[user], N=len(data.fit.catalog))
        found = scores > 0
        mine = dict(zip(ranking.items[user].tolist(), ranking.scores[user].tolist(), strict=True))
        np.testing.assert_allclose([mine[i] for i in items[found].tolist()], scores[found], rtol=1e-5)
        assert (ranking.scores[user] > 0).sum() == found.sum()


@pytest.mark.parametrize("kind", [ALS, BPR, ItemKNN])
def test_an_unknown_user_is_served_by_the_history(data: Tiny, kind: Any) -> None:
    """A user left out of training gets, from the history alone, items of the category that the history is of."""
    settings = {} if kind is ItemKNN else {"factors": 8}
    delegate = kind(kind.Config(**settings))
    kept = data.fit.train.take(data.fit.train.users != 0)
    delegate.fit(replace(data.fit, train=kept))
    categories = np.array([label[-1] if label else "" for label in data.fit.catalog.labels("categories")])
    hits = []
    for category in sorted(set(categories) - {""}):
        loved = [i for i in np.flatnonzero(categories == category) if i in kept.items][:4]
        for user in (-1, 0):
            batch = QueryBatch(Task.SEQUENTIAL, np.array([user], np.int32), History.of([loved]), k=3)
            hits.append((categories[answer(delegate, data, batch).items[0]] == category).mean())
    assert np.mean(hits) > 0.6


def test_fold_in_always_heeds_what_came_after_training(data: Tiny) -> None:
    delegates = {}
    for mode in ("always", "unknown"):
        delegates[mode] = ALS(ALSConfig(factors=8, fold_in=mode))
        delegates[mode].fit(data.fit)
    batch = data.test.queries
    shorter = training_histories(data).take(batch.users.astype(np.intp))
    longer = {m: d.query_vectors(batch, data.observation(batch)) for m, d in delegates.items()}
    before = {m: d.query_vectors(shorter, data.observation(shorter)) for m, d in delegates.items()}
    assert not np.allclose(longer["always"], before["always"], atol=1e-3)
    np.testing.assert_array_equal(longer["unknown"], before["unknown"])


def test_without_history_and_training_the_average_user_answers(data: Tiny) -> None:
    delegate = ALS(ALSConfig(factors=8))
    delegate.fit(data.fit)
    batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[]]), k=5)
    counts = np.bincount(data.fit.train.items, minlength=len(data.fit.catalog))
    assert counts[answer(delegate, data, batch).items[0]].mean() > counts.mean()


@pytest.mark.parametrize("kind", [ALS, BPR, ItemKNN])
def test_nothing_to_learn_from_is_an_error(data: Tiny, kind: Any) -> None:
    empty = data.fit.train.take(np.zeros(0, np.intp))
    with pytest.raises(DataError, match="no training interactions"):
        kind(kind.Config()).fit(replace(data.fit, train=empty))


def test_bpr_says_when_no_pair_can_be_formed(data: Tiny) -> None:
    n = len(data.fit.catalog)
    everything = replace(
        data.fit.train,
        users=np.repeat(np.arange(data.fit.n_users), n).astype(np.int32),
        items=np.tile(np.arange(n), data.fit.n_users).astype(np.int32),
        times=np.zeros(n * data.fit.n_users, np.int64),
    )
    with pytest.raises(DataError, match="every user has every item"):
        BPR(BPRConfig()).fit(replace(data.fit, train=everything))


def test_a_broken_file_is_an_error(data: Tiny, tmp_path: Path) -> None:
    delegate = ItemKNN(ItemKNNConfig())
    delegate.fit(data.fit)
    delegate.save(tmp_path)
    (tmp_path / "neighbours.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"neighbours\.npz"):
        ItemKNN.load(tmp_path, data.fit.catalog)


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=5), st.integers(0, 10))
def test_a_history_of_known_items_is_the_history_without_the_others(rows: list[list[int]], known: int) -> None:
    found = keep_known(History.of(rows), known)
    assert [found.row(b).tolist() for b in range(len(rows))] == [[i for i in row if i < known] for row in rows]
