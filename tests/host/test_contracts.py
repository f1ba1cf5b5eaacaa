"""What a component's answer must look like, checked wherever one is used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reasonrec_core.errors import PluginError
from reasonrec_core.ranking import rank
from reasonrec_core.types import Deliberation, History, QueryBatch, Ranking, Step, StepKind, Task, Uncertainty
from reasonrec_core.validation import (
    check_deliberation,
    check_ranking,
    check_scores,
    check_uncertainty,
    check_vectors,
)

N = 6
USERS = np.array([0, -1], np.int32)
BATCH = QueryBatch(Task.SEQUENTIAL, USERS, History.of([[0, 2], []]), k=3)
DIRECT = replace(BATCH, task=Task.DIRECT, candidates=np.array([[0, 1, 2], [4, 5, -1]], np.int32))
CTR = replace(DIRECT, task=Task.CTR)


def ranking(items: Any, scores: Any = None) -> Ranking:
    items = np.asarray(items, np.int32)
    descending = np.tile(np.arange(items.shape[1], 0, -1, dtype=np.float32), (len(items), 1))
    return Ranking(items, np.where(items < 0, -np.inf, descending if scores is None else scores).astype(np.float32))


GOOD = ranking([[1, 3, 4], [5, 0, -1]])
STEPS = [(Step(StepKind.DECIDE, "so"),)] * 2
HALF = np.full(2, 0.5, np.float32)


def test_good_answers_pass_as_they_are() -> None:
    scores = np.zeros((2, N), np.float32)
    assert check_scores(scores, BATCH, N) is scores
    assert check_ranking(GOOD, BATCH, N) is GOOD
    answer = Deliberation(STEPS, HALF, GOOD, np.array([[0.5, 0.3, 0.2], [0.5, 0, 0]], np.float32))
    assert check_deliberation(answer, BATCH, N) is answer
    known = Uncertainty(HALF, "before", HALF)
    assert check_uncertainty(known, BATCH, "before") is known
    assert check_vectors(np.ones((3, 2), np.float32), 3).shape == (3, 2)
    clicks = Deliberation(STEPS, HALF, probability=np.full((2, 3), 0.5, np.float32))
    assert check_deliberation(clicks, CTR, N) is clicks


@pytest.mark.parametrize(
    ("scores", "batch", "message"),
    [
        (None, BATCH, "NoneType, not an array"),
        ([[0.0] * N] * 2, BATCH, "list, not an array"),
        (np.zeros((2, N)), BATCH, "float64[2, 6], not float32[2, 6]"),
        (np.zeros((1, N), np.float32), BATCH, "float32[1, 6], not float32[2, 6]"),
        (np.zeros((2, N), np.float32), DIRECT, "float32[2, 6], not float32[2, 3]"),
        (np.full((2, N), np.nan, np.float32), BATCH, "NaN"),
        (np.full((2, N), np.inf, np.float32), BATCH, "+inf"),
        (np.full((2, 3), 1.5, np.float32), CTR, "the click probability 1.5 (query 0, candidate 0) is not in [0, 1]"),
    ],
)
def test_bad_scores(scores: Any, batch: QueryBatch, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_scores(scores, batch, N)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "batch", "message"),
    [
        (GOOD.items, BATCH, "ndarray, not Ranking"),
        (ranking([[1, 3], [5, 0]]), BATCH, "2 columns, not 3"),
        (ranking([[1, 3, 4, 5], [5, 0, 1, 2]]), BATCH, "4 columns, not 3"),
        (Ranking(GOOD.items.astype(np.int64), GOOD.scores), BATCH, "int64[2, 3], not int32[2, 3]"),
        (ranking([[1, 3, 0], [5, 0, 1]]), BATCH, "history"),
        (ranking([[1, 3, 1], [5, 0, 1]]), BATCH, "twice"),
        (ranking([[1, 3, 6], [5, 0, 1]]), BATCH, "query 0 ranks item 6, outside the catalogue of 6"),
        (ranking([[1, -1, 3], [5, 0, 1]]), BATCH, "padding (-1) comes before items"),
        (ranking([[1, 3, 4], [5, 0, 1]], [[1, 2, 3], [3, 2, 1]]), BATCH, "descend"),
        (Ranking(GOOD.items, np.ones((2, 3), np.float32)), BATCH, "padding (-1) has a score"),
        (ranking([[0, 1, 3], [4, 5, -1]]), DIRECT, "which is not a candidate"),
        (Ranking(GOOD.items, np.full((2, 3), np.nan, np.float32)), BATCH, "must be -inf"),
    ],
)
def test_bad_rankings(answer: Any, batch: QueryBatch, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_ranking(answer, batch, N)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "batch", "message"),
    [
        ({"steps": STEPS[:1]}, BATCH, "steps for 1 queries"),
        ({"confidence": HALF + 1}, BATCH, "confidence: not all in [0, 1]"),
        ({"confidence": HALF[:1]}, BATCH, "confidence: float32[1]"),
        ({"ranking": None}, BATCH, "NoneType, not Ranking"),
        ({"mass": np.full((2, 3), 0.5, np.float32)}, BATCH, "sums to more than 1"),
        ({"mass": np.full((2, 3), 0.1, np.float32)}, BATCH, "padding (-1) has probability mass"),
        ({"mass": np.full((2, 3), np.nan, np.float32)}, BATCH, "mass: not all in [0, 1]"),
        ({}, CTR, "click probabilities: NoneType"),
        ({"probability": np.full((2, 3), 2, np.float32)}, CTR, "the click probability 2.0"),
        ({"text": ("one",)}, replace(BATCH, task=Task.EXPLAIN), "one text per query"),
    ],
)
def test_bad_deliberations(change: dict[str, Any], batch: QueryBatch, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_deliberation(replace(Deliberation(STEPS, HALF, GOOD), **change), batch, N)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (HALF, "ndarray, not Uncertainty"),
        (Uncertainty(HALF, "after"), "has the stage 'after', but the estimator 'before'"),
        (Uncertainty(HALF - 1, "before"), "total: not all in [0, 1]"),
        (Uncertainty(HALF, "before", aleatoric=HALF * np.nan), "aleatoric: not all in [0, 1]"),
        (Uncertainty(HALF[:, None], "before"), "total: float32[2, 1], not float32[2]"),
    ],
)
def test_bad_uncertainty(answer: Any, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_uncertainty(answer, BATCH, "before")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "vectors", [np.ones((2, 2), np.float32), np.ones(3, np.float32), np.full((3, 2), np.inf), None]
)
def test_bad_vectors(vectors: Any) -> None:
    with pytest.raises(PluginError):
        check_vectors(vectors, 3)


@settings(max_examples=60, deadline=None)
@given(
    scores=arrays.arrays(np.float32, (3, 8), elements=st.floats(-9, 9, width=32) | st.just(float("-inf"))),
    histories=st.lists(st.lists(st.integers(0, 7), max_size=10), min_size=3, max_size=3),
    k=st.integers(1, 12),
    direct=st.booleans(),
)
def test_whatever_rank_makes_of_scores_is_a_good_ranking(
    scores: Any, histories: list[list[int]], k: int, direct: bool
) -> None:
    users = np.full(3, -1, np.int32)
    candidates = np.array([[0, 1, 2, -1, 4, 3, 7, 6]] * 3, np.int32) if direct else None
    task = Task.DIRECT if direct else Task.SEQUENTIAL
    batch = QueryBatch(task, users, History.of(histories), k, candidates)
    check_ranking(rank(scores.copy(), batch), batch, 8)
