"""The evaluation loop: batches, threads, and answers that break the contract."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from small_cases import answer_with, make_cases, make_clicks

from reasonrec_core.errors import DataError, PluginError
from reasonrec_core.evaluate import evaluate_ranking, score_ctr, score_ranking
from reasonrec_core.types import Cases, QueryBatch, Ranking

N_ITEMS = 50


@pytest.fixture
def table() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((40, N_ITEMS)).astype(np.float32)


@pytest.fixture
def cases() -> Cases:
    rng = np.random.default_rng(1)
    history = [[int(i) for i in rng.choice(25, rng.integers(0, 6), replace=False)] for _ in range(40)]
    return make_cases([[int(i)] for i in rng.integers(25, N_ITEMS, 40)], history=history)


def test_chunks_and_threads_change_nothing(table: np.ndarray, cases: Cases) -> None:
    whole = evaluate_ranking(answer_with(table), cases, (1, 10), n_items=N_ITEMS, chunk=1000, threads=1)
    parts = evaluate_ranking(answer_with(table), cases, (1, 10), n_items=N_ITEMS, chunk=3, threads=3)
    assert whole.values == parts.values
    np.testing.assert_array_equal(whole.ranking.items, parts.ranking.items)
    again = score_ranking(whole.ranking, cases, (1, 10), n_items=N_ITEMS)
    assert again.values == whole.values


def test_the_system_is_asked_for_one_more_place_and_never_shown_targets(table: np.ndarray, cases: Cases) -> None:
    asked: list[QueryBatch] = []

    def answer(batch: QueryBatch) -> Ranking:
        asked.append(batch)
        return answer_with(table)(batch)

    evaluate_ranking(answer, cases, (5, 10), n_items=N_ITEMS, chunk=16, threads=1)
    assert [len(batch) for batch in asked] == [16, 16, 8]
    assert {batch.k for batch in asked} == {11}
    assert not hasattr(asked[0], "targets")


def test_threads_work_at_once_with_one_blas_thread_each(table: np.ndarray, cases: Cases) -> None:
    meet = threading.Barrier(2, timeout=20)
    limits: list[set[int]] = []

    def answer(batch: QueryBatch) -> Ranking:
        from threadpoolctl import threadpool_info

        meet.wait()  # both threads are inside, or the barrier breaks
        limits.append({pool["num_threads"] for pool in threadpool_info()})
        return answer_with(table)(batch)

    evaluate_ranking(answer, cases, (5,), n_items=N_ITEMS, chunk=20, threads=2)
    assert limits == [{1}, {1}]


def test_progress_counts_queries(table: np.ndarray, cases: Cases) -> None:
    seen: list[tuple[int, int]] = []
    evaluate_ranking(
        answer_with(table), cases, (5,), n_items=N_ITEMS, chunk=15, progress=lambda d, t, _: seen.append((d, t))
    )
    assert seen == [(15, 40), (30, 40), (40, 40)]


def test_a_catalogue_smaller_than_the_cutoff() -> None:
    scores = evaluate_ranking(answer_with(np.array([[1, 2, 3]], np.float32)), make_cases([[0]]), (10,), n_items=3)
    assert scores.values["MRR@10"] == pytest.approx(1 / 3)
    assert scores.counts["short"] == 0


def test_table_has_a_row_per_query(table: np.ndarray, cases: Cases) -> None:
    scores = evaluate_ranking(answer_with(table), cases, (5,), n_items=N_ITEMS, item_counts=np.ones(N_ITEMS, np.int64))
    rows = scores.table().to_pylist()
    assert len(rows) == 40
    assert rows[3]["items"] == scores.ranking.items[3].tolist()
    hits = [0 < row["rank"] <= 5 for row in rows]
    assert [row["HR@5"] for row in rows] == [float(hit) for hit in hits]


def change(table: np.ndarray, edit: Callable[[Ranking, QueryBatch], object]) -> Callable[[QueryBatch], Ranking]:
    """A system whose answer is edited."""

    def answer(batch: QueryBatch) -> Ranking:
        ranking = answer_with(table)(batch)
        return edit(Ranking(ranking.items.copy(), ranking.scores.copy()), batch)  # type: ignore[return-value]

    return answer


def put(field: str, row: int, column: int, value: object) -> Callable[[Ranking, QueryBatch], Ranking]:
    def edit(ranking: Ranking, batch: QueryBatch) -> Ranking:
        if callable(value):
            getattr(ranking, field)[row, column] = value(batch)
        else:
            getattr(ranking, field)[row, column] = value
        return ranking

    return edit


def owned(batch: QueryBatch) -> int:
    return int(batch.history.row(7)[0])


GARBAGE = {
    "no ranking": (lambda r, b: r.items, "is ndarray, not Ranking"),
    "rows missing": (lambda r, b: r.take(np.arange(3)), r"ranked items: int32\[3, 11\]"),
    "too many columns": (lambda r, b: Ranking(np.tile(r.items, 2), np.tile(r.scores, 2)), "22 columns, not 11"),
    "float items": (lambda r, b: replace(r, items=r.items.astype(float)), "ranked items: float64"),
    "shapes differ": (lambda r, b: replace(r, scores=r.scores[:, :5]), "scores"),
    "item too large": (put("items", 2, 1, N_ITEMS), "query 2 ranks item 50, outside the catalogue of 50"),
    "item below -1": (put("items", 2, 1, -7), "ranks item -7"),
    "NaN": (put("scores", 4, 0, np.nan), r"is nan \(query 4, place 1\)"),
    "infinite": (put("scores", 4, 0, np.inf), "is inf"),
    "-inf for an item": (put("scores", 4, 10, -np.inf), "is -inf"),
    "ascending": (put("scores", 1, 5, 99), "request 1 do not descend"),
    "history": (put("items", 7, 0, owned), "which the user already has"),
}


@pytest.mark.parametrize(("edit", "message"), GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_named(table: np.ndarray, cases: Cases, edit, message: str) -> None:
    cases = make_cases([[30]] * 40, history=[[i % 25, 1] for i in range(40)])
    with pytest.raises(PluginError, match=message) as caught:
        evaluate_ranking(change(table, edit), cases, (10,), n_items=N_ITEMS, name="mine")
    assert caught.value.where == "mine"


def test_items_outside_the_candidates_are_named(table: np.ndarray) -> None:
    candidates = np.tile(np.arange(10, dtype=np.int32), (40, 1))
    cases = make_cases([[3]] * 40, candidates=candidates)
    with pytest.raises(PluginError, match="item 20, which is not a candidate"):
        evaluate_ranking(
            lambda b: Ranking(
                np.tile(np.arange(20, 26, dtype=np.int32), (len(b), 1)), np.zeros((len(b), 6), np.float32)
            ),
            cases,
            (5,),
            n_items=N_ITEMS,
        )


def test_what_a_system_raises_says_when(table: np.ndarray, cases: Cases) -> None:
    def answer(batch: QueryBatch) -> Ranking:
        if batch.users[0] == 32:
            raise KeyError("weights")
        return answer_with(table)(batch)

    with pytest.raises(PluginError, match="mine: failed on requests 32 to 39 with KeyError: 'weights'"):
        evaluate_ranking(answer, cases, (5,), n_items=N_ITEMS, chunk=8, name="mine")


def test_an_error_stops_the_other_batches(cases: Cases) -> None:
    calls: list[int] = []

    def answer(batch: QueryBatch) -> Ranking:
        calls.append(len(batch))
        raise ValueError("no")

    with pytest.raises(PluginError):
        evaluate_ranking(answer, cases, (5,), n_items=N_ITEMS, chunk=1, threads=2)
    assert len(calls) <= 2  # each thread's first


def test_an_interrupt_is_passed_on(cases: Cases) -> None:
    def answer(batch: QueryBatch) -> Ranking:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_ranking(answer, cases, (5,), n_items=N_ITEMS)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda b: np.full((len(b), 1), 1.5, np.float32), "probability 1.5"),
        (lambda b: np.full((len(b), 1), -0.1, np.float32), "probability -0.1"),
        (lambda b: np.full((len(b), 1), np.nan, np.float32), "probability nan"),
        (lambda b: np.zeros(len(b), np.float32), r"float32\[3\], not float32\[3, 1\]"),
        (lambda b: np.zeros((len(b), 1), np.int32), "int32"),
        (lambda b: [[0.5]] * len(b), "list, not an array"),
    ],
)
def test_probabilities_that_are_none_are_named(answer, message: str) -> None:
    clicks = make_clicks([1, 0, 1])
    with pytest.raises(PluginError, match=message):
        score_ctr(answer(clicks.queries), clicks)


def test_labels_that_are_none_are_named() -> None:
    half = np.full((2, 1), 0.5, np.float32)
    with pytest.raises(DataError, match="0 or 1"):
        score_ctr(half, make_clicks([5, 3]))
    with pytest.raises(DataError, match="labels"):
        score_ctr(half, replace(make_clicks([1, 0]), labels=None))
