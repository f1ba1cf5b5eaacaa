"""Slices divide the queries as they say, and each carries its size and interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_report.measure.slices import evaluate_slices, length_buckets, popularity_buckets
from small_cases import listed, make_cases, make_clicks

from reasonrec_core.evaluate import score_ctr, score_ranking
from reasonrec_core.evaluate.significance import horizon_quartiles


def names(pair) -> list[str]:
    labels, codes = pair
    return [labels[c] for c in codes]


def test_length_buckets() -> None:
    assert names(length_buckets(np.array([0, 5, 6, 8, 9, 13, 14, 900]))) == [
        "<= 5", "<= 5", "6-8", "6-8", "9-13", "9-13", ">= 14", ">= 14",
    ]  # fmt: skip


def test_quartiles_of_history_length() -> None:
    assert names(horizon_quartiles(np.arange(1, 9))) == ["<= 2"] * 2 + ["3-4"] * 2 + ["5-6"] * 2 + [">= 7"] * 2
    assert len(set(horizon_quartiles(np.full(10, 3))[1])) == 1, "equal lengths stay together"


def test_popularity_buckets() -> None:
    # 100 interactions: 50 + 30 make 80 %, the item of 50 is the head.
    counts = np.array([5, 50, 30, 5, 0, 5, 5])
    assert names(popularity_buckets(counts)) == ["tail", "head", "mid", "tail", "unseen", "tail", "tail"]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_popularity_falls_from_bucket_to_bucket(counts: list[int]) -> None:
    codes = popularity_buckets(np.array(counts))[1]
    ordered = codes[np.argsort(-np.array(counts), kind="stable")]
    assert (np.diff(ordered) >= 0).all()
    for value in set(counts):
        assert len(set(codes[np.array(counts) == value])) == 1
    assert ((codes == 3) == (np.array(counts) == 0)).all()


def test_slices_of_a_ranking() -> None:
    history = [[9]] * 4 + [[9] * 20] * 4
    targets = [[0], [1], [0], [1], [0], [1], [2], [2]]
    lists = listed([[0, 3]] * 8)
    cases = make_cases(targets, history=history)
    scores = score_ranking(lists, cases, (1,), n_items=10, item_counts=np.full(10, 5))
    present = {"image": np.array([True, True, False] + [True] * 7)}
    counts = np.array([50, 30, 0, 5, 5, 5, 5, 0, 0, 0])
    found = {
        (s.by, s.name): s for s in evaluate_slices(scores, cases, item_counts=counts, present=present, metrics=["HR@1"])
    }
    sizes = {key: s.n for key, s in found.items()}
    assert sizes == {
        ("evidence horizon", "<= 1"): 4,
        ("evidence horizon", "2-20"): 4,
        ("history length", "<= 5"): 4,
        ("history length", ">= 14"): 4,
        ("target popularity", "head"): 3,
        ("target popularity", "mid"): 3,
        ("target popularity", "unseen"): 2,
        ("target image", "has image"): 6,
        ("target image", "no image"): 2,
    }
    assert found["target popularity", "head"].metrics["HR@1"] == {"value": 1, "low": 1, "high": 1}
    half = found["history length", "<= 5"].metrics["HR@1"]
    assert half["value"] == 0.5
    assert half["low"] < 0.5 < half["high"]


def test_slices_of_one_division_make_up_the_whole() -> None:
    rng = np.random.default_rng(0)
    cases = make_cases(
        [[int(i)] for i in rng.integers(0, 20, 90)], history=[list(range(rng.integers(1, 30))) for _ in range(90)]
    )
    scores = score_ranking(listed([list(rng.choice(20, 4, replace=False)) for _ in range(90)]), cases, (3,), n_items=20)
    parts = evaluate_slices(scores, cases, item_counts=rng.poisson(3, 20), metrics=["NDCG@3"], resamples=50)
    for by in ("evidence horizon", "history length", "target popularity"):
        mine = [s for s in parts if s.by == by]
        assert sum(s.n for s in mine) == 90
        total = sum(s.n * s.metrics["NDCG@3"]["value"] for s in mine)
        assert total / 90 == pytest.approx(scores.values["NDCG@3"])


def test_slices_of_clicks_recompute_auc() -> None:
    labels = [1, 0, 1, 0]
    cases = make_clicks(labels, users=[0, 0, 1, 1])
    cases.queries.candidates[2:] = 1
    scores = score_ctr(np.array([[0.9], [0.1], [0.2], [0.8]], np.float32), cases)
    parts = evaluate_slices(scores, cases, item_counts=np.array([9, 0]), metrics=["AUC"], resamples=50)
    found = {s.name: s.metrics["AUC"]["value"] for s in parts if s.by == "target popularity"}
    assert found == {"head": 1, "unseen": 0}
