"""`lightgbm-rank`: conformance, cross-fitting, better than what it ranks, errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from reasonrec_lightgbm.candidates import add_negatives, hold_out
from reasonrec_lightgbm.rank import LightGBMRank, RankConfig

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Interactions, Task

SMALL: dict[str, Any] = {
    "rounds": 20,
    "unguided_rounds": 20,
    "min_leaf": 5,
    "threads": 1,
    "candidates": ["popularity"],
    "held_out": 1,
}


class TestLightGBMRank(DelegateConformance):
    component = "lightgbm-rank"
    settings: ClassVar = SMALL


class TestLightGBMRankOverTwo(DelegateConformance):
    component = "lightgbm-rank"
    settings: ClassVar = {**SMALL, "candidates": ["transitions", "popularity"], "depth": 8, "held_out": 2}
    same_again = False  # the delegates that it learns from have searched on their own


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("tiny"))


def pairs(log: Interactions) -> set[tuple[int, int]]:
    return set(zip(log.users.tolist(), log.items.tolist(), strict=True))


@pytest.mark.parametrize("last", [1, 2])
def test_delegates_never_see_what_the_ranker_learns_on(data: Tiny, last: int) -> None:
    seen: list[FitData] = []

    def spying(name: str) -> Delegate[Any]:
        assert data.fit.delegate is not None
        made = data.fit.delegate(name)
        fit = made.fit
        made.fit = lambda given: (seen.append(given), fit(given))[1]  # type: ignore[method-assign, assignment]
        return made

    ranker = LightGBMRank(RankConfig.model_validate({**SMALL, "held_out": last}))
    ranker.fit(replace(data.fit, delegate=spying))
    inner, full = seen
    _, cases = hold_out(data.fit, last, 10_000)
    targets = set(zip(cases.queries.users.tolist(), cases.targets.tolist(), strict=True))
    assert len(targets) > 30
    assert not targets & pairs(inner.train)
    assert pairs(full.train) == pairs(data.fit.train)


def test_history_of_a_held_out_item_is_what_came_before_it(data: Tiny) -> None:
    rest, cases = hold_out(data.fit, 2, 10_000)
    log = data.fit.train
    for row in range(len(cases)):
        mine = log.items[log.users == cases.queries.users[row]].tolist()
        history = cases.queries.history.row(row).tolist()
        assert mine[: len(history)] == history
        assert mine[len(history)] == cases.targets[row]
    kept = [len(log.users[log.users == u]) for u in set(log.users.tolist()) - set(cases.queries.users.tolist())]
    assert all(n < 4 for n in kept)
    assert len(rest) == len(log) - len(cases)


def test_negatives_are_unseen_and_the_target_is_there_once(data: Tiny) -> None:
    _, cases = hold_out(data.fit, 1, 10_000)
    drawn = add_negatives(cases, len(data.fit.catalog), 10, seed=1)
    candidates = drawn.queries.candidates
    assert candidates is not None
    for row in range(len(cases)):
        assert (candidates[row] == cases.targets[row]).sum() == 1
        assert not set(candidates[row].tolist()) & set(cases.queries.history.row(row).tolist())
    assert len(set((candidates == cases.targets[:, None]).argmax(axis=1))) > 3


def hits(delegate: Delegate[Any], data: Tiny) -> float:
    ranking = delegate.recommend(replace(data.test.queries, k=5), data.observation(data.test.queries))
    return float((ranking.items == data.test.targets[:, None]).any(axis=1).mean())


def test_ranks_better_than_the_delegate_it_ranks(data: Tiny) -> None:
    """Popularity knows nothing of the user; category and content of the history say much."""
    ranker = LightGBMRank(RankConfig.model_validate({**SMALL, "depth": 40, "rounds": 60}))
    ranker.fit(data.fit)
    assert hits(ranker, data) > hits(ranker.delegates["popularity"], data) + 0.1
    assert set(ranker.importance()) >= {"popularity rank", "horizon", "text to history"}


def test_candidates_come_first_and_the_rest_in_the_delegates_order(data: Tiny) -> None:
    ranker = LightGBMRank(RankConfig.model_validate({**SMALL, "depth": 5}))
    ranker.fit(data.fit)
    batch = replace(data.test.queries, k=40)
    observation = data.observation(batch)
    ours, theirs = ranker.recommend(batch, observation), ranker.delegates["popularity"].recommend(batch, observation)
    for mine, other in zip(ours.items, theirs.items, strict=True):
        assert set(mine[:5].tolist()) == set(other[:5].tolist())
        real = other[5:][other[5:] >= 0]
        np.testing.assert_array_equal(mine[5 : 5 + len(real)], real)


def test_a_ranker_of_the_catalogue_ranks_given_lists_too(data: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Random candidates look unlike proposed ones: learning on some of them pays when lists are given."""
    lists = tiny(tmp_path_factory.mktemp("lists"), task=Task.DIRECT).test
    found = []
    for share in (0.0, 1.0):
        settings = {**SMALL, "depth": 5, "rounds": 60, "held_out": 2, "list_share": share}
        ranker = LightGBMRank(RankConfig.model_validate(settings))
        ranker.fit(data.fit)
        ranking = ranker.recommend(replace(lists.queries, k=3), data.observation(lists.queries))
        found.append(float((ranking.items == lists.targets[:, None]).any(axis=1).mean()))
    assert found[1] > found[0]


def test_few_users_give_more_items_each(data: Tiny) -> None:
    seen: list[int] = []

    def spying(name: str) -> Delegate[Any]:
        assert data.fit.delegate is not None
        made = data.fit.delegate(name)
        fit = made.fit
        made.fit = lambda given: (seen.append(len(given.train)), fit(given))[1]  # type: ignore[method-assign, assignment]
        return made

    for queries in (data.fit.n_users, 3 * data.fit.n_users):
        settings = {**SMALL, "held_out": None, "queries": queries}
        LightGBMRank(RankConfig.model_validate(settings)).fit(replace(data.fit, delegate=spying))
    expected = [len(hold_out(data.fit, last, 10_000)[0]) for last in (1, 3)]
    assert seen[::2] == expected


def test_no_delegates_offered_is_an_error(data: Tiny) -> None:
    with pytest.raises(DataError, match="has no delegates that could propose candidates"):
        LightGBMRank(RankConfig.model_validate(SMALL)).fit(replace(data.fit, delegate=None))


@pytest.mark.parametrize("names", [["popularity", "popularity"], ["lightgbm-rank"]])
def test_candidates_from_itself_or_twice_are_an_error(data: Tiny, names: list[str]) -> None:
    with pytest.raises(ConfigError, match="twice, or itself"):
        LightGBMRank(RankConfig.model_validate({**SMALL, "candidates": names})).fit(data.fit)


def test_too_short_histories_are_an_error(data: Tiny) -> None:
    log = data.fit.train
    first = np.append(True, log.users[1:] != log.users[:-1])
    with pytest.raises(DataError, match="none can be held out"):
        LightGBMRank(RankConfig.model_validate(SMALL)).fit(replace(data.fit, train=log.take(first), task=Task.DIRECT))


def test_its_delegates_may_have_labels_of_their_own(data: Tiny, tmp_path: Path) -> None:
    called = {"later": "transitions", "earlier": "popularity"}
    make = data.fit.delegate
    assert make is not None
    ranker = LightGBMRank(RankConfig.model_validate({**SMALL, "candidates": list(called)}))
    ranker.fit(replace(data.fit, delegate=lambda label: make(called[label])))
    ranker.save(tmp_path)
    again = LightGBMRank.load(tmp_path, data.dataset.catalog)
    assert list(again.delegates) == list(called)
    batch = data.test.queries
    seen = data.observation(batch)
    np.testing.assert_allclose(again.score(batch, seen), ranker.score(batch, seen), rtol=1e-5)
