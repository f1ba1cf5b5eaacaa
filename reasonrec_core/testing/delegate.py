"""The conformance suite of delegates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from reasonrec_core.components import Delegate, FeedbackDelegate, Kind, VectorDelegate, pick_candidates, standardise
from reasonrec_core.errors import ConfigError
from reasonrec_core.ranking import rank, top_k
from reasonrec_core.testing.compare import assert_close, assert_same_ranking
from reasonrec_core.testing.component import ComponentConformance, Workplace
from reasonrec_core.testing.later import later_queries
from reasonrec_core.testing.queries import edge_queries, one_by_one
from reasonrec_core.types import Bool, Float32, History, Int32, Observation, QueryBatch, Task, indptr_of
from reasonrec_core.validation import check_ranking, check_scores, check_shares

RANKED = (Task.SEQUENTIAL, Task.DIRECT)


class DelegateConformance(ComponentConformance):
    """Subclass it in a plugin's tests and set ``component``.

    Attributes:
        steady: whether old items keep their scores when new items come after the fit. Scores are comparable only
            within a ranking, so a delegate may be without this promise; its order of old items is then its own.
        needs_features: whether it refuses (`ConfigError`) to be fitted where nothing is observed of the items.
    """

    kind = Kind.DELEGATE
    steady: ClassVar[bool] = True
    needs_features: ClassVar[bool] = False

    def test_scores_every_item_that_it_is_asked_for(self, workplace: Workplace, task: Task) -> None:
        batch, observation, n_items = workplace.asked(task)
        scores = check_scores(workplace.fitted(task).score(batch, observation), batch, n_items)
        assert np.isfinite(scores).any(axis=1).all(), "a query whose every item is -inf"

    def test_recommends_the_best_scores_first(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, n_items = workplace.asked(ranked_task)
        delegate = workplace.fitted(ranked_task)
        ranking = check_ranking(delegate.recommend(batch, observation), batch, n_items)
        expected = rank(delegate.score(batch, observation), batch)
        assert_same_ranking(ranking.head(expected.items.shape[1]), expected, "recommend and score disagree")

    def test_tells_items_apart(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, _ = workplace.asked(ranked_task)
        scores = workplace.fitted(ranked_task).score(batch, observation)
        distinct = [len(np.unique(row[np.isfinite(row)])) for row in scores]
        assert np.median(distinct) >= 3, "nearly all items have the same score"

    def test_answers_at_the_edges(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        delegate, n_items = workplace.fitted(task), len(data.dataset.catalog)
        for name, batch, observation in edge_queries(data, data.test.queries):
            try:
                check_scores(delegate.score(batch, observation), batch, n_items)
                if task in RANKED:
                    check_ranking(delegate.recommend(batch, observation), batch, n_items)
            except Exception as error:
                raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error

    def test_one_query_gets_the_answer_that_it_gets_among_many(self, workplace: Workplace, task: Task) -> None:
        batch, observation, _ = workplace.asked(task)
        delegate = workplace.fitted(task)
        many = delegate.score(batch, observation)
        for row, single, seen in one_by_one(batch, observation):
            assert_close(delegate.score(single, seen)[0], many[row], f"query {row} alone")

    def test_changes_nothing_that_it_is_given(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        batch, observation, _ = workplace.asked(task)
        delegate = workplace.fit(data.fit)
        first = delegate.score(batch, observation)
        kept = first.copy()
        if task in RANKED:
            delegate.recommend(batch, observation)
        workplace.assert_unchanged(task)
        first.fill(-np.inf)
        assert_close(delegate.score(batch, observation), kept, "overwriting the scores changed the delegate")

    def test_scores_are_products_of_its_vectors(self, workplace: Workplace, task: Task) -> None:
        delegate = workplace.fitted(task)
        batch, observation, _ = workplace.asked(task)
        scores = np.asarray(delegate.score(batch, observation))
        if not isinstance(delegate, VectorDelegate):
            pytest.skip("has no vectors")
        items = delegate.item_vectors(observation)
        product = (delegate.query_vectors(batch, observation) @ items.T).astype(np.float32)
        product[:, ~items.any(1)] = np.nan  # of which nothing is known: they are ranked last
        product = pick_candidates(product, batch)
        known = ~np.isnan(product)
        assert_close(product[known], scores[known], "scores beside the vectors' products")

    def test_says_which_part_of_the_history_is_the_reason(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        delegate = workplace.fitted(task)
        for name, batch, observation in edge_queries(data, data.test.queries):
            items = reasoned_items(delegate, batch, observation)
            shares = check_shares(delegate.attribute(batch, observation, items), batch, items)
            assert_close(delegate.attribute(batch, observation, items), shares, f"{name}: asked twice, other shares")
        batch, observation, _ = workplace.asked(task)
        items = reasoned_items(delegate, batch, observation)
        shares = delegate.attribute(batch, observation, items)
        for row, single, seen in one_by_one(batch, observation):
            alone = delegate.attribute(single, seen, items[row : row + 1])
            assert np.allclose(alone, shares[batch.history.rows == row], atol=0.02), f"query {row} alone: other shares"

    def test_what_is_named_as_the_reason_moves_the_score_most(self, workplace: Workplace, task: Task) -> None:
        batch, observation, _ = workplace.asked(task)
        delegate = workplace.fitted(task)
        rows = np.flatnonzero(batch.history.lengths >= 4)
        batch, observation = batch.take(rows), observation.take(rows)
        items = reasoned_items(delegate, batch, observation)[:, :1]
        shares = delegate.attribute(batch, observation, items)[:, 0]
        moved = {
            name: fall_without(delegate, batch, observation, items, chosen) for name, chosen in removals(batch, shares)
        }
        if not shares.any():
            assert np.allclose(moved["named"], 0, atol=0.02), "the history moves scores, and nothing of it is a reason"
            return
        assert moved["named"].mean() > moved["others"].mean(), "other entries move the score as much as what is named"

    def test_same_seed_same_scores(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        batch, observation, _ = workplace.asked(task)
        again = workplace.fit(data.fit)
        assert_close(
            again.score(batch, observation),
            workplace.fitted(task).score(batch, observation),
            "fitted twice, other scores",
        )

    def test_loaded_it_answers_as_before(self, workplace: Workplace, task: Task) -> None:
        batch, observation, _ = workplace.asked(task)
        expected = workplace.fitted(task).score(batch, observation)
        assert_close(workplace.loaded(task).score(batch, observation), expected, "saved and loaded")

    def test_serves_items_that_came_after_the_fit(self, workplace: Workplace, task: Task) -> None:
        data, old = workplace.later(task), len(workplace.data(task).dataset.catalog)
        delegate, n_items = workplace.loaded_later(task), len(data.dataset.catalog)
        for name, batch, observation in later_queries(data, old):
            try:
                check_scores(delegate.score(batch, observation), batch, n_items)
                if task in RANKED:
                    check_ranking(delegate.recommend(batch, observation), batch, n_items)
            except Exception as error:
                raise AssertionError(f"new items, {name}: {type(error).__name__}: {error}") from error

    def test_new_items_leave_the_scores_of_old_ones(self, workplace: Workplace, task: Task) -> None:
        if not self.steady:
            pytest.skip("declared not steady")
        batch, observation, n_items = workplace.asked(task)
        expected = workplace.fitted(task).score(batch, observation)
        found = workplace.loaded_later(task).score(batch, workplace.later(task).observation(batch))
        kept = found if batch.candidates is not None else found[:, :n_items]
        assert_close(kept, expected, "old items, with new ones in the catalogue")

    def test_fits_without_validation_and_features(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        batch, _, n_items = workplace.asked(task)
        bare = replace(data.fit.observation, features={}, present={}, horizon=np.zeros(0, np.float32))
        if self.needs_features:
            with pytest.raises(ConfigError):
                workplace.fit(replace(data.fit, valid=None, observation=bare))
            bare = data.fit.observation
        delegate = workplace.fit(replace(data.fit, valid=None, observation=bare))
        seen = replace(bare, horizon=data.observation(batch).horizon)
        check_scores(delegate.score(batch, seen), batch, n_items)

    def test_rows_that_it_learns_later_count_as_if_it_had_been_fitted_to_them(
        self, workplace: Workplace, task: Task, tmp_path: Path
    ) -> None:
        delegate = workplace.fitted(task)
        if not getattr(delegate, "updates", False):
            pytest.skip("learns nothing without a fit")
        data, (batch, observation, _) = workplace.data(task), workplace.asked(task)
        fit, log = replace(data.fit, valid=None), data.fit.train  # without validation nothing is chosen
        place = np.arange(len(log)) - np.searchsorted(log.users, log.users)
        late = np.where(log.users == log.users[-1], 2, np.minimum(place // 3, 2))  # the last user is new at the end
        first, *rest = (log.take(late == part) for part in range(3))
        expected = workplace.fit(fit).score(batch, observation)
        learned = workplace.fit(replace(fit, train=first))
        before = copy(learned)
        kept = before.score(batch, observation)
        for rows in rest:
            learned.update(rows)
        np.testing.assert_array_equal(learned.score(batch, observation), expected, "it learned A, then B")
        np.testing.assert_array_equal(before.score(batch, observation), kept, "a copy answers as before")
        learned.save(tmp_path)
        again = type(learned).load(tmp_path, data.dataset.catalog)
        self.ready(again, data.fit)
        again.update(rest[-1].take(np.zeros(len(rest[-1]), np.bool_)))
        np.testing.assert_array_equal(again.score(batch, observation), expected, "it was saved, and learned nothing")

    def test_feedback_moves_scores_row_after_row_and_is_kept(
        self, workplace: Workplace, task: Task, tmp_path: Path
    ) -> None:
        if not isinstance(workplace.fitted(task), FeedbackDelegate):
            pytest.skip("learns nothing from feedback")
        data, (batch, observation, _) = workplace.data(task), workplace.asked(task)
        learned, alone = workplace.fit(data.fit), workplace.fit(data.fit)
        before, kept = copy(learned), learned.score(batch, observation)
        items = reasoned_items(learned, batch, observation)[:, :2]
        pair, rewards = replace(batch, candidates=items), np.tile(np.array([0, 1], np.float32), (len(batch), 1))
        lead = learned.score(pair, observation)
        items = np.where(np.arange(len(batch))[:, None] % 5 == 4, np.int32(-1), items)  # some lists were empty
        learned.observe(batch, items, rewards)
        scores, moved = learned.score(batch, observation), learned.score(pair, observation)
        assert (moved[:, 1] - moved[:, 0]).mean() > (lead[:, 1] - lead[:, 0]).mean(), "what was chosen gained nothing"
        np.testing.assert_array_equal(before.score(batch, observation), kept, "a copy answers as before")
        for row in range(len(batch)):
            alone.observe(batch.slice(row, row + 1), items[row : row + 1], rewards[row : row + 1])
        assert_close(alone.score(batch, observation), scores, "rows one by one")
        learned.save(tmp_path)
        again, later = (type(learned).load(tmp_path, d.dataset.catalog) for d in (data, workplace.later(task)))
        self.ready(again, data.fit)
        np.testing.assert_array_equal(again.score(batch, observation), scores, "saved and loaded")
        self.ready(later, data.fit)
        nobody, n_items = replace(batch, users=np.full(len(batch), -1, np.int32)), workplace.later(task).dataset.n_items
        later.observe(nobody, np.full((len(batch), 2), n_items - 1, np.int32), rewards)
        check_scores(later.score(nobody, workplace.later(task).observation(nobody)), nobody, n_items)

    def test_threads_get_the_same_answers(self, workplace: Workplace, task: Task) -> None:
        delegate = workplace.fitted(task)
        if not delegate.thread_safe:
            pytest.skip("declared not thread-safe")
        batch, observation, _ = workplace.asked(task)
        expected = delegate.score(batch, observation)
        parts = [np.arange(start, len(batch), 4) for start in range(4)] * 6
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(lambda rows: delegate.score(batch.take(rows), observation.take(rows)), parts)
            for rows, answer in zip(parts, answers, strict=True):
                assert_close(answer, expected[rows], "in threads")


def reasoned_items(delegate: Delegate[Any], batch: QueryBatch, observation: Observation) -> Int32:
    """int32[B, K]: the items that reasons are asked for: the best ones, -1 where there are fewer."""
    best = top_k(delegate.score(batch, observation), 3)
    if batch.candidates is None:
        return best
    return np.asarray(np.take_along_axis(batch.candidates, best, axis=1), np.int32)


def removals(batch: QueryBatch, shares: Float32) -> list[tuple[str, Bool]]:
    """bool[L]: the largest two shares of every history, and two others drawn at random."""
    rows = batch.history.rows
    chance = np.random.default_rng(0).random(len(shares))
    order = np.lexsort((chance, -shares, rows))
    place = np.empty(len(rows), np.int64)
    place[order] = np.arange(len(rows)) - np.repeat(batch.history.indptr[:-1], batch.history.lengths)
    named = place < 2
    order = np.lexsort((chance, named, rows))
    place[order] = np.arange(len(rows)) - np.repeat(batch.history.indptr[:-1], batch.history.lengths)
    return [("named", named), ("others", place < 2)]


def fall_without(
    delegate: Delegate[Any], batch: QueryBatch, observation: Observation, items: Int32, chosen: Bool
) -> Float32:
    """float32[B]: how many standard deviations the first of ``items`` falls without bool[L] ``chosen`` entries."""
    kept = History(
        indptr_of(np.bincount(batch.history.rows[~chosen], minlength=len(batch))),
        batch.history.items[~chosen],
        batch.history.times[~chosen],
    )
    less = replace(batch, history=kept)
    found = [standardise(delegate.score(each, observation), each, items)[:, 0] for each in (batch, less)]
    return np.asarray(found[0] - found[1])
