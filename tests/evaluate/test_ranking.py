"""`reasonrec_core.ranking`: exact, ties by column, history masked, nonsense refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrec_core import ranking as module
from reasonrec_core.errors import PluginError
from reasonrec_core.ranking import rank, top_k
from reasonrec_core.types import Float32, History, QueryBatch, Task

KINDS = ("distinct", "rounded", "zeros", "mostly -inf", "constant", "all -inf")


def make_scores(kind: str, rows: int, columns: int, seed: int) -> Float32:
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((rows, columns)).astype(np.float32)
    if kind == "rounded":
        scores = np.round(scores * 2)
    elif kind == "zeros":
        scores[rng.random(scores.shape) < 0.97] = 0
    elif kind == "mostly -inf":
        scores[rng.random(scores.shape) < 0.99] = -np.inf
    elif kind == "constant":
        scores[:] = -1.5
    elif kind == "all -inf":
        scores[:] = -np.inf
    return scores


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 9),
    st.one_of(st.integers(1, 60), st.integers(300, 3000)),
    st.integers(1, 40),
    st.integers(0, 9999),
)
def test_top_k_is_a_stable_sort(kind: str, rows: int, columns: int, k: int, seed: int) -> None:
    scores = make_scores(kind, rows, columns, seed)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = top_k(scores, k)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


def test_slabs_and_strided_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = make_scores("rounded", 50, 2000, 1)
    expected = top_k(scores, 11)
    monkeypatch.setattr(module, "_SLAB", 7 * 2000)
    np.testing.assert_array_equal(top_k(scores, 11), expected)
    wide = np.zeros((50, 4000), np.float32)
    wide[:, ::2] = scores
    np.testing.assert_array_equal(top_k(wide[:, ::2], 11), expected)
    np.testing.assert_array_equal(top_k(np.asfortranarray(scores), 11), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1500, 2999])
def test_nan_and_infinity_are_refused_wherever_they_stand(bad: float, place: int) -> None:
    scores = make_scores("distinct", 4, 3000, 0)
    scores[2, place] = bad
    for rows in (scores, scores[2:3]):  # a single long row goes a way of its own
        with pytest.raises(PluginError, match="NaN or \\+inf"):
            top_k(rows, 10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1023, 1024, 1025, 5000])
def test_a_single_long_row_is_sorted_like_any(kind: str, columns: int) -> None:
    for seed in range(20):
        scores = make_scores(kind, 1, columns, seed)
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :3]
        np.testing.assert_array_equal(top_k(scores, 3), expected)
        np.testing.assert_array_equal(top_k(np.repeat(scores, 2, axis=1)[:, ::2], 3), expected)


def test_no_row_or_no_place_is_an_empty_answer() -> None:
    assert top_k(np.zeros((3, 5), np.float32), 0).shape == (3, 0)
    assert top_k(np.zeros((0, 5), np.float32), 2).shape == (0, 2)


def test_rank_masks_the_history_and_pads() -> None:
    batch = QueryBatch(Task.SEQUENTIAL, np.array([0, -1], np.int32), History.of([[3, 1], []]), k=4)
    scores = np.array([[1, 9, 2, 8], [1, 1, -np.inf, 2]], np.float32)
    ranking = rank(scores, batch)
    assert ranking.items.tolist() == [[2, 0, -1, -1], [3, 0, 1, -1]]
    assert ranking.scores.tolist() == [[2, 1, -np.inf, -np.inf], [2, 1, 1, -np.inf]]


def test_rank_masks_a_slice_of_a_long_history() -> None:
    whole = QueryBatch(Task.SEQUENTIAL, np.zeros(3, np.int32), History.of([[0], [1, 2], [3]]), k=1)
    ranking = rank(np.array([[0, 3, 2, 1], [0, 1, 2, 3]], np.float32), whole.slice(1, 3))
    assert ranking.items.tolist() == [[3], [2]]


def test_rank_answers_with_candidates_not_columns() -> None:
    candidates = np.array([[7, 5, -1], [2, 9, 4]], np.int32)
    batch = QueryBatch(Task.DIRECT, np.zeros(2, np.int32), History.of([[7], []]), k=3, candidates=candidates)
    scores = np.array([[1, 2, 99], [3, 1, 3]], np.float32)
    ranking = rank(scores, batch)
    assert ranking.items.tolist() == [[5, 7, -1], [2, 4, 9]]
    assert scores[0, 2] == 99, "scores among candidates are left alone"


@pytest.mark.parametrize(
    "scores",
    [np.zeros((3, 4), np.float32), np.zeros((2, 4)), np.zeros(8, np.float32), [[0.0] * 4] * 2],
    ids=["another number of queries", "float64", "one axis", "a list"],
)
def test_scores_of_another_shape_or_type_are_refused(scores: Float32) -> None:
    batch = QueryBatch(Task.SEQUENTIAL, np.zeros(2, np.int32), History.of([[], []]))
    with pytest.raises(PluginError, match="scores"):
        rank(scores, batch)
