"""The conformance suite of uncertainty estimators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from reasonrec_core.components import Kind
from reasonrec_core.contracts import checked_uncertainty
from reasonrec_core.ranking import rank
from reasonrec_core.testing.compare import assert_same_uncertainty
from reasonrec_core.testing.component import ComponentConformance, Workplace
from reasonrec_core.testing.later import later_queries
from reasonrec_core.testing.queries import edge_queries, one_by_one
from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import (
    Deliberation,
    LazySteps,
    Observation,
    QueryBatch,
    Ranking,
    Step,
    StepKind,
    Task,
    Uncertainty,
)

TASK = Task.SEQUENTIAL


class UncertaintyConformance(ComponentConformance):
    """Subclass it in a plugin's tests and set ``component``."""

    kind = Kind.UNCERTAINTY

    def estimate(self, estimator: Any, data: Tiny, batch: QueryBatch, observation: Observation) -> Uncertainty:
        """Ask ``estimator`` as the pipeline does: with an answer after it, with None before it."""
        answer = None if estimator.stage == "before" else popular(data, batch)
        return checked_uncertainty(estimator.estimate(batch, observation, answer), batch, estimator.stage)

    def test_stage_is_before_or_after(self) -> None:
        assert getattr(self.component_class(), "stage", None) in {"before", "after"}

    def test_says_how_unsure_it_is(self, workplace: Workplace) -> None:
        batch, observation, _ = workplace.asked(TASK)
        found = self.estimate(workplace.fitted(TASK), workplace.data(TASK), batch, observation)
        assert np.ptp(found.total) > 0, "every query is equally uncertain, so it cannot tell when to ask"

    def test_answers_at_the_edges(self, workplace: Workplace) -> None:
        data, estimator = workplace.data(TASK), workplace.fitted(TASK)
        for name, batch, observation in edge_queries(data, data.test.queries):
            try:
                self.estimate(estimator, data, batch, observation)
            except Exception as error:
                raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error

    def test_one_query_gets_the_answer_that_it_gets_among_many(self, workplace: Workplace) -> None:
        batch, observation, _ = workplace.asked(TASK)
        data, estimator = workplace.data(TASK), workplace.fitted(TASK)
        many = self.estimate(estimator, data, batch, observation)
        for row, single, seen in one_by_one(batch, observation):
            alone = self.estimate(estimator, data, single, seen)
            assert_same_uncertainty(alone, _row(many, row), f"query {row} alone")

    def test_changes_nothing_that_it_is_given(self, workplace: Workplace) -> None:
        batch, observation, _ = workplace.asked(TASK)
        self.estimate(workplace.fitted(TASK), workplace.data(TASK), batch, observation)
        workplace.assert_unchanged(TASK)

    def test_same_seed_same_answer(self, workplace: Workplace) -> None:
        batch, observation, _ = workplace.asked(TASK)
        data = workplace.data(TASK)
        again = self.estimate(workplace.fit(data.fit), data, batch, observation)
        assert_same_uncertainty(again, self.estimate(workplace.fitted(TASK), data, batch, observation), "fitted twice")

    def test_loaded_it_answers_as_before(self, workplace: Workplace) -> None:
        batch, observation, _ = workplace.asked(TASK)
        data = workplace.data(TASK)
        expected = self.estimate(workplace.fitted(TASK), data, batch, observation)
        found = self.estimate(workplace.loaded(TASK), data, batch, observation)
        assert_same_uncertainty(found, expected, "saved and loaded")

    def test_serves_items_that_came_after_the_fit(self, workplace: Workplace) -> None:
        data, old = workplace.later(TASK), len(workplace.data(TASK).dataset.catalog)
        estimator = workplace.loaded_later(TASK)
        for name, batch, observation in later_queries(data, old):
            try:
                self.estimate(estimator, data, batch, observation)
            except Exception as error:
                raise AssertionError(f"new items, {name}: {type(error).__name__}: {error}") from error

    def test_fits_without_validation_and_features(self, workplace: Workplace) -> None:
        data = workplace.data(TASK)
        batch, observation, _ = workplace.asked(TASK)
        bare = replace(observation, features={}, present={})
        estimator = workplace.fit(replace(data.fit, valid=None, observation=bare))
        self.estimate(estimator, data, batch, bare)


def popular(data: Tiny, batch: QueryBatch) -> Deliberation:
    """A policy's answer from popularity among the items that follow the newest of the history."""
    train, n_items = data.fit.train, len(data.dataset.catalog)
    counts = np.ones((n_items + 1, n_items), dtype=np.float64)
    counts += np.bincount(train.items, minlength=n_items) * 0.2
    follows = train.users[1:] == train.users[:-1]
    np.add.at(counts, (train.items[:-1][follows], train.items[1:][follows]), 5.0)
    newest = np.full(len(batch), n_items)
    some = batch.history.lengths > 0
    newest[some] = batch.history.items[batch.history.indptr[1:][some] - 1]
    probability = counts[newest] / counts[newest].sum(axis=1, keepdims=True)
    scores = np.log(probability).astype(np.float32)
    if batch.candidates is not None:
        scores = np.take_along_axis(scores, np.maximum(batch.candidates, 0), axis=1)
    ranking = rank(scores, batch)
    mass = np.where(ranking.items < 0, 0, np.exp(ranking.scores)).astype(np.float32)
    steps = LazySteps(len(batch), lambda row: (Step(StepKind.DECIDE, f"what follows, query {row}"),))
    best = mass[:, 0] if mass.shape[1] else np.zeros(len(batch), np.float32)
    return Deliberation(steps, best, Ranking(ranking.items, ranking.scores), mass)


def _row(found: Uncertainty, row: int) -> Uncertainty:
    index = slice(row, row + 1)
    return Uncertainty(
        found.total[index],
        found.stage,
        None if found.epistemic is None else found.epistemic[index],
        None if found.aleatoric is None else found.aleatoric[index],
    )
