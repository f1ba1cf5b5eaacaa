"""Ranking metrics: hand-computed cases, agreement with the definitions, and laws that hold for any list."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cases import answer_with, by_definition, listed, make_cases

from reasonrec_core.errors import DataError
from reasonrec_core.evaluate import evaluate_ranking, score_ranking
from reasonrec_core.types import Ranking

METRICS = ("HR", "Recall", "Precision", "NDCG", "MRR", "MAP")


def test_one_relevant_item_at_rank_three() -> None:
    scores = score_ranking(listed([[4, 5, 6, 7]]), make_cases([[6]]), (2, 3), n_items=9)
    assert {name: scores.values[f"{name}@3"] for name in METRICS} == pytest.approx(
        {"HR": 1, "Recall": 1, "Precision": 1 / 3, "NDCG": 1 / 2, "MRR": 1 / 3, "MAP": 1 / 3}
    )
    assert {scores.values[f"{name}@2"] for name in METRICS} == {0.0}
    assert scores.rank.tolist() == [3]


def test_several_relevant_items() -> None:
    # Relevant at ranks 1 and 4 of 4, a third one not found.
    scores = score_ranking(listed([[1, 8, 9, 2]]), make_cases([[1, 2, 3]]), (4,), n_items=10)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert scores.values == pytest.approx(
        {
            "HR@4": 1,
            "Recall@4": 2 / 3,
            "Precision@4": 2 / 4,
            "NDCG@4": (1 + 1 / math.log2(5)) / ideal,
            "MRR@4": 1,
            "MAP@4": (1 / 1 + 2 / 4) / 3,
            "Coverage@4": 4 / 10,
        }
    )


def test_a_target_that_is_named_twice_counts_once() -> None:
    once, twice = ([[1, 2]], [[1, 2, 1]])
    ranking = listed([[1, 9, 8]])
    a, b = (score_ranking(ranking, make_cases(t), (3,), n_items=10).values for t in (once, twice))
    assert a == b


def test_ties_count_against_us() -> None:
    # Four items share the best score; the relevant one could be first to fourth and counts as fourth.
    ranking = Ranking(np.array([[5, 6, 7, 8, 9]], np.int32), np.array([[3, 3, 3, 3, 1]], np.float32))
    scores = score_ranking(ranking, make_cases([[5]]), (1, 3, 4), n_items=10)
    assert (scores.values["HR@1"], scores.values["HR@3"], scores.values["HR@4"]) == (0, 0, 1)
    assert scores.values["MRR@4"] == 1 / 4


def test_a_constant_score_earns_nothing() -> None:
    cases = make_cases([[i] for i in range(30)])
    scores = evaluate_ranking(answer_with(np.zeros((30, 30), np.float32)), cases, (5,), n_items=30)
    assert scores.values["HR@5"] == 0


def test_generated_lists_lose_what_is_invalid_or_repeated() -> None:
    ranking = listed([[99, 3, 3, 4, 5], [-5, 1, 2, 1, 4], [6]], width=5)
    scores = score_ranking(ranking, make_cases([[4], [4], [0]]), (2, 3), n_items=10)
    assert scores.counts == {"invalid": 2, "repeated": 2, "short": 1}
    assert scores.ranking.items.tolist() == [[3, 4, 5, -1, -1], [1, 2, 4, -1, -1], [6, -1, -1, -1, -1]]
    assert scores.rank.tolist() == [2, 3, 0]
    assert scores.values["HR@2"] == pytest.approx(1 / 3)


def test_candidates_name_the_protocol() -> None:
    candidates = np.tile(np.arange(100, dtype=np.int32), (2, 1))
    scores = score_ranking(listed([[1, 2], [3, 200]]), make_cases([[2], [9]], candidates=candidates), (2,), n_items=300)
    assert scores.values["HR@2[uni99]"] == 0.5
    assert scores.counts["invalid"] == 1, "item 200 was not offered"
    assert all("[uni99]" in name for name in scores.metrics)


def test_novelty_and_coverage() -> None:
    counts = np.array([7, 1, 0, 0], np.int64)
    scores = score_ranking(listed([[0, 2], [0]]), make_cases([[1], [1]]), (2,), n_items=4, item_counts=counts)
    first, third = -math.log2(8 / 12), -math.log2(1 / 12)
    np.testing.assert_allclose(scores.per_query["Novelty@2"], [(first + third) / 2, first])
    np.testing.assert_allclose(scores.per_query["Popularity@2"], [3.5, 7])
    assert scores.values["Coverage@2"] == 0.5


def test_queries_without_a_relevant_item_are_left_out_of_the_mean() -> None:
    scores = score_ranking(listed([[1, 2], [1, 2]]), make_cases([[1], []]), (2,), n_items=4)
    assert scores.values["HR@2"] == 1
    assert np.isnan(scores.per_query["HR@2"][1])


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(DataError, match="no requests"):
        score_ranking(Ranking(np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32)), make_cases([]), n_items=4)
    with pytest.raises(DataError, match="cut-offs"):
        score_ranking(listed([[1]]), make_cases([[1]]), (0,), n_items=4)


tables = st.integers(0, 99_999).map(np.random.default_rng)


def draw_scores(rng: np.random.Generator, n: int, items: int, levels: int) -> np.ndarray:
    return rng.integers(0, levels, (n, items)).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(tables, st.integers(1, 6), st.integers(3, 25), st.sampled_from([2, 5, 10_000]), st.integers(1, 8))
def test_lists_of_one_more_item_give_what_complete_scores_give(rng, n, items, levels, k) -> None:
    """The claim of `relevance.find_hits`, for one relevant item and any ties."""
    table = draw_scores(rng, n, items, levels)
    targets = rng.integers(0, items, n)
    scores = evaluate_ranking(answer_with(table), make_cases([[int(t)] for t in targets]), (k,), n_items=items)
    for query, target in enumerate(targets):
        expected = by_definition(list(table[query]), {int(target)}, k)
        found = {name: scores.per_query[f"{name}@{k}"][query] for name in expected}
        assert found == pytest.approx(expected)


@settings(max_examples=150, deadline=None)
@given(tables, st.integers(3, 25), st.sampled_from([3, 10_000]), st.integers(1, 8), st.integers(1, 4))
def test_several_relevant_items_agree_with_the_definition(rng, items, levels, k, n_relevant) -> None:
    table = draw_scores(rng, 1, items, levels)
    relevant = {int(i) for i in rng.choice(items, min(n_relevant, items), replace=False)}
    scores = evaluate_ranking(answer_with(table), make_cases([sorted(relevant)]), (k,), n_items=items)
    expected = by_definition(list(table[0]), relevant, k)
    values = {name: scores.values[f"{name}@{k}"] for name in expected}
    ordered = np.sort(table[0])[::-1]
    if k < items and ordered[k - 1] == ordered[k]:  # a group of ties crosses the cut: a lower bound
        assert all(values[name] <= expected[name] + 1e-12 for name in expected)
    else:
        assert values == pytest.approx(expected)


@settings(max_examples=100, deadline=None)
@given(tables, st.integers(1, 5), st.integers(4, 20), st.integers(1, 4))
def test_laws(rng, n, items, n_relevant) -> None:
    table = draw_scores(rng, n, items, 6)
    targets = [[int(i) for i in rng.choice(items, n_relevant, replace=False)] for _ in range(n)]
    ks = tuple(range(1, 6))
    scores = evaluate_ranking(answer_with(table), make_cases(targets), ks, n_items=items)
    for name in METRICS:
        by_k = np.stack([scores.per_query[f"{name}@{k}"] for k in ks])
        assert ((by_k >= 0) & (by_k <= 1 + 1e-12)).all()
        if name in ("HR", "Recall", "MRR"):
            assert (np.diff(by_k, axis=0) >= 0).all(), f"{name} falls with k"
    if n_relevant == 1:
        for k in ks:
            hit = scores.per_query[f"HR@{k}"]
            np.testing.assert_allclose(scores.per_query[f"Recall@{k}"], hit)
            np.testing.assert_allclose(scores.per_query[f"Precision@{k}"], hit / k)
            np.testing.assert_allclose(scores.per_query[f"MAP@{k}"], scores.per_query[f"MRR@{k}"])
            assert (scores.per_query[f"MRR@{k}"] <= scores.per_query[f"NDCG@{k}"]).all()


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(4, 20))
def test_no_way_of_breaking_ties_is_worse_than_ours(rng, items) -> None:
    table = draw_scores(rng, 1, items, 4)
    cases = make_cases([[int(rng.integers(items))]])
    ours = evaluate_ranking(answer_with(table), cases, (3,), n_items=items).values
    for _ in range(10):
        broken = (table + rng.random(table.shape) * 0.5).astype(np.float32)
        other = evaluate_ranking(answer_with(broken), cases, (3,), n_items=items).values
        assert all(ours[f"{name}@3"] <= other[f"{name}@3"] for name in METRICS)


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(2, 6), st.integers(6, 20))
def test_renaming_items_and_reordering_queries_changes_nothing(rng, n, items) -> None:
    table = draw_scores(rng, n, items, 5)
    targets = rng.integers(0, items, n)
    scores = evaluate_ranking(answer_with(table), make_cases([[int(t)] for t in targets]), (4,), n_items=items)
    queries, names = rng.permutation(n), rng.permutation(items)
    renamed = np.empty_like(table)
    renamed[:, names] = table
    moved = make_cases([[int(names[t])] for t in targets[queries]])
    again = evaluate_ranking(answer_with(renamed[queries]), moved, (4,), n_items=items)
    for name in METRICS:
        np.testing.assert_allclose(again.per_query[f"{name}@4"], scores.per_query[f"{name}@4"][queries])


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(6, 20), st.integers(1, 3))
def test_ndcg_and_map_are_one_exactly_for_the_best_lists(rng, items, n_relevant) -> None:
    relevant = sorted(int(i) for i in rng.choice(items, n_relevant, replace=False))
    rest = [i for i in range(items) if i not in relevant]
    best = listed([relevant + rest[: 5 - n_relevant]])
    values = score_ranking(best, make_cases([relevant]), (5,), n_items=items).values
    assert values["NDCG@5"] == pytest.approx(1)
    assert values["MAP@5"] == pytest.approx(1)
    worse = listed([[rest[0], *relevant, *rest[1 : 5 - n_relevant]]])
    values = score_ranking(worse, make_cases([relevant]), (5,), n_items=items).values
    assert values["NDCG@5"] < 1
    assert values["MAP@5"] < 1
