"""`popularity`: counts, half-life, and a ranking without scoring the catalogue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from reasonrec_core.builtin.popularity import Popularity, PopularityConfig
from reasonrec_core.errors import DataError
from reasonrec_core.ranking import rank
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import History, Interactions, QueryBatch, Task


class TestPopularity(DelegateConformance):
    component = "popularity"


class TestPopularityWithHalfLife(DelegateConformance):
    component = "popularity"
    settings: ClassVar = {"half_life": 86_400.0}


def test_an_interaction_of_one_half_life_of_age_counts_half() -> None:
    users = np.zeros(4, np.int32)
    items = np.array([0, 0, 1, 2], np.int32)
    log = Interactions(users, items, np.array([80, 90, 90, 100], np.int64))
    np.testing.assert_allclose(log.count_items(4), [2, 1, 1, 0])
    np.testing.assert_allclose(log.count_items(4, half_life=10), [0.25 + 0.5, 0.5, 1, 0])


@pytest.mark.parametrize("k", [1, 5, 40, 400])
def test_short_cut_gives_the_ranking_of_the_scores(tmp_path: Path, k: int) -> None:
    data = tiny(tmp_path)
    delegate = Popularity(PopularityConfig())
    delegate.fit(data.fit)
    batch = replace(data.test.queries, k=k)
    quick = delegate.recommend(batch, data.observation(batch))
    full = rank(delegate.score(batch, data.observation(batch)), batch)
    np.testing.assert_array_equal(quick.items, full.items)
    np.testing.assert_array_equal(quick.scores, full.scores)


def test_a_history_of_everything_leaves_padding(tmp_path: Path) -> None:
    data = tiny(tmp_path)
    delegate = Popularity(PopularityConfig())
    delegate.fit(data.fit)
    n_items = len(data.fit.catalog)
    batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([list(range(n_items))]), k=3)
    ranking = delegate.recommend(batch, data.observation(batch))
    assert (ranking.items == -1).all()
    assert np.isneginf(ranking.scores).all()


def test_nothing_to_count_is_an_error(tmp_path: Path) -> None:
    data = tiny(tmp_path)
    empty = data.fit.train.take(np.zeros(0, np.intp))
    with pytest.raises(DataError, match="no training interactions"):
        Popularity(PopularityConfig()).fit(replace(data.fit, train=empty))


def test_counting_more_is_counting_all(tmp_path: Path) -> None:
    data = tiny(tmp_path).fit
    order = np.random.default_rng(3).permutation(len(data.train))
    first, later = data.train.take(np.sort(order[:100])), data.train.take(np.sort(order[100:]))
    updated, fitted = Popularity(PopularityConfig()), Popularity(PopularityConfig())
    updated.fit(replace(data, train=first))
    before = updated.__dict__.copy()
    updated.update(later)
    fitted.fit(data)
    np.testing.assert_array_equal(updated._counts, fitted._counts)
    np.testing.assert_array_equal(updated._order, fitted._order)
    assert before["_counts"].sum() == 100, "what a copy answers with is left alone"
    assert updated.updates
    assert not Popularity(PopularityConfig(half_life=9.0)).updates
