"""`transitions`: the matrix is what its definition says, and the search helps without seeing the test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_transitions.api import (
    TransitionCounts,
    TransitionParameters,
    Transitions,
    TransitionsConfig,
    score_one_history,
    search_coordinates,
    weigh_history,
)

from reasonrec_core.components import FitData
from reasonrec_core.errors import DataError
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import Cases, History, Interactions, QueryBatch, Task

N_ITEMS = 7
SEQUENCES = st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=9), min_size=1, max_size=6)
PARAMETERS = st.builds(
    TransitionParameters,
    window=st.integers(1, 6),
    decay=st.sampled_from([0.3, 0.8, 1.0]),
    backward=st.sampled_from([0.0, 0.5, 1.0]),
    source_exponent=st.sampled_from([0.0, 0.5, 1.0]),
    target_exponent=st.sampled_from([0.0, 0.3]),
    history_decay=st.sampled_from([0.4, 1.0]),
    long_share=st.sampled_from([0.0, 0.2]),
    long_decay=st.sampled_from([0.9, 1.0]),
    popularity=st.just(0.0),
)


class TestTransitions(DelegateConformance):
    component = "transitions"


class TestTransitionsWithoutSearch(DelegateConformance):
    component = "transitions"
    settings: ClassVar = {"search": False, "window": 2, "backward": 0.0}


def log_of(sequences: list[list[int]]) -> Interactions:
    lengths = [len(s) for s in sequences]
    users = np.repeat(np.arange(len(sequences)), lengths).astype(np.int32)
    items = np.array([i for s in sequences for i in s], np.int32)
    return Interactions(users, items, np.concatenate([np.arange(n) for n in lengths]).astype(np.int64))


@settings(max_examples=60, deadline=None)
@given(sequences=SEQUENCES, parameters=PARAMETERS)
def test_matrix_follows_its_definition(sequences: list[list[int]], parameters: TransitionParameters) -> None:
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for sequence in sequences:
        for p, a in enumerate(sequence):
            for q, b in enumerate(sequence):
                if a != b and 0 < abs(q - p) <= parameters.window:
                    direction = 1.0 if q > p else parameters.backward
                    expected[a, b] += direction * parameters.decay ** (abs(q - p) - 1)
    counts = np.maximum(np.bincount([i for s in sequences for i in s], minlength=N_ITEMS), 1.0)
    expected /= counts[:, None] ** parameters.source_exponent * counts[None, :] ** parameters.target_exponent
    made = TransitionCounts(log_of(sequences), N_ITEMS, window=6).matrix(parameters)
    np.testing.assert_allclose(made.toarray(), expected, rtol=1e-4, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(sequences=SEQUENCES, parameters=PARAMETERS, longest=st.integers(1, 10))
def test_history_weights_follow_their_definition(
    sequences: list[list[int]], parameters: TransitionParameters, longest: int
) -> None:
    expected = np.zeros((len(sequences), N_ITEMS))
    for row, sequence in enumerate(sequences):
        for age, item in enumerate(reversed(sequence[-longest:])):
            fast, slow = parameters.history_decay**age, parameters.long_decay**age
            expected[row, item] += (1 - parameters.long_share) * fast + parameters.long_share * slow
    made = weigh_history(History.of(sequences), N_ITEMS, parameters, longest)
    np.testing.assert_allclose(made.toarray(), expected, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(sequences=SEQUENCES, parameters=PARAMETERS, longest=st.integers(1, 10))
def test_one_history_alone_has_the_votes_that_it_has_among_many(
    sequences: list[list[int]], parameters: TransitionParameters, longest: int
) -> None:
    matrix = TransitionCounts(log_of(sequences), N_ITEMS, window=6).matrix(parameters)
    many = (weigh_history(History.of(sequences), N_ITEMS, parameters, longest) @ matrix).toarray()
    alone = [score_one_history(History.of([sequence]), matrix, parameters, longest)[0] for sequence in sequences]
    assert np.array_equal(np.stack(alone), many)


def test_direction_counts(tmp_path: Path) -> None:
    """Users go 0, 1, 2 in this order: without a backward weight, 1 leads to 2 and not to 0."""
    data = tiny(tmp_path)
    train = log_of([[0, 1, 2]] * 5)
    delegate = Transitions(TransitionsConfig(search=False, backward=0.0, popularity=0.0))
    delegate.fit(replace(data.fit, train=train))
    batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[1]]), k=1)
    scores = delegate.score(batch, data.observation(batch))
    assert scores[0, 2] > 0
    assert scores[0, 0] == 0


def test_search_raises_validation_and_is_repeatable(tmp_path: Path) -> None:
    """A planted rule (the next item stands two places on) is found by lowering the decay of the history."""
    data = tiny(tmp_path)
    n_items, random = len(data.fit.catalog), np.random.default_rng(0)
    starts = random.integers(0, n_items, 300)
    noise = random.integers(0, n_items, (300, 4))
    steps = [[int(x) for x in row] + [int(s), int((s + 1) % n_items)] for row, s in zip(noise, starts, strict=True)]
    train = log_of(steps)
    last = [row[-1] for row in steps]
    queries = QueryBatch(Task.SEQUENTIAL, np.arange(300, dtype=np.int32), History.of([row[:-1] for row in steps]))
    valid = Cases(queries, np.arange(301, dtype=np.int64), np.array(last, np.int32))
    fit = replace(data.fit, train=train, valid=valid)
    poor = TransitionsConfig(history_decay=1.0, backward=1.0, window=8, decay=1.0)
    one, two = Transitions(poor), Transitions(poor)
    one.fit(fit)
    two.fit(fit)
    assert one.validation["NDCG@10"] > one.validation["NDCG@10 at the start"] + 0.05
    assert one.parameters == two.parameters
    assert one.parameters.backward < 1.0
    assert one.validation["trials"] <= poor.trials


def test_search_does_not_touch_the_validation_cases(tmp_path: Path) -> None:
    data = tiny(tmp_path, task=Task.DIRECT)
    valid = data.fit.valid
    assert valid is not None
    assert valid.queries.candidates is not None
    before = valid.queries.candidates.copy()
    delegate = Transitions(TransitionsConfig(trials=5))
    delegate.fit(data.fit)
    np.testing.assert_array_equal(valid.queries.candidates, before)
    assert delegate.validation["trials"] <= 5


def test_a_cold_user_gets_the_popular_items(tmp_path: Path) -> None:
    data = tiny(tmp_path)
    delegate = Transitions(TransitionsConfig(search=False))
    delegate.fit(data.fit)
    batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[]]), k=5)
    ranking = delegate.recommend(batch, data.observation(batch))
    counts = np.bincount(data.fit.train.items, minlength=len(data.fit.catalog))
    assert counts[ranking.items[0]].tolist() == sorted(counts, reverse=True)[:5]


def test_nothing_to_count_is_an_error(tmp_path: Path) -> None:
    data = tiny(tmp_path)
    empty = data.fit.train.take(np.zeros(0, np.intp))
    with pytest.raises(DataError, match="no training interactions"):
        Transitions(TransitionsConfig()).fit(replace(data.fit, train=empty))


def test_one_interaction_is_enough(tmp_path: Path) -> None:
    data = tiny(tmp_path)
    delegate = Transitions(TransitionsConfig())
    delegate.fit(replace(data.fit, train=data.fit.train.take(np.arange(1))))
    batch = data.test.queries
    assert np.isfinite(delegate.score(batch, data.observation(batch))).all()


def test_coordinate_search_climbs_and_counts_its_trials() -> None:
    seen: list[tuple[float, ...]] = []

    def objective(point: tuple[float, ...]) -> float:
        seen.append(point)
        return -((point[0] - 3) ** 2) - 0.5 * (point[1] - point[0]) ** 2

    grid = tuple(range(6))
    best, value, trials = search_coordinates(objective, (0.0, 0.0), {0: grid, 1: grid}, trials=100)
    assert best == (3, 3)
    assert value == 0
    assert trials == len(seen) == len(set(seen))
    assert search_coordinates(objective, (0.0, 0.0), {0: grid, 1: grid}, trials=4)[2] == 4


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[FitData, Path]:
    folder = tmp_path_factory.mktemp("small")
    return replace(tiny(folder).fit, valid=None), folder


@given(before=SEQUENCES, after=SEQUENCES, parameters=PARAMETERS)
def test_counting_more_is_counting_all(
    small: tuple[FitData, Path],
    before: list[list[int]],
    after: list[list[int]],
    parameters: TransitionParameters,
) -> None:
    """``after`` holds what the same users did later; who comes first there is new."""
    data, folder = small
    later = [*after, *([] for _ in range(len(before) - len(after)))]
    both = [*map(list.__add__, before, later), *later[len(before) :]]
    config = TransitionsConfig(**{**parameters._asdict(), "popularity": 0.01}, search=False)
    updated, fitted = Transitions(config), Transitions(config)
    updated.fit(replace(data, train=_log(before)))
    fitted.fit(replace(data, train=_log(both)))
    updated.save(folder)
    loaded = Transitions.load(folder, data.catalog)
    for delegate in (updated, loaded):
        delegate.update(_log(later))
        assert (delegate._matrix != fitted._matrix).nnz == 0
        np.testing.assert_array_equal(delegate._prior, fitted._prior)


def _log(sequences: list[list[int]]) -> Interactions:
    users = np.repeat(np.arange(len(sequences), dtype=np.int32), [len(each) for each in sequences])
    items = np.array([item for each in sequences for item in each], np.int32)
    return Interactions(users, items, np.arange(len(items), dtype=np.int64))
