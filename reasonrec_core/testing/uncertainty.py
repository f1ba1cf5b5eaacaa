"""The conformance suite of uncertainty estimators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from reasonrec_core.components import FitData, Kind
from reasonrec_core.testing.compare import assert_same_uncertainty
from reasonrec_core.testing.component import ComponentConformance, Workplace
from reasonrec_core.testing.habits import habits
from reasonrec_core.testing.later import later_queries
from reasonrec_core.testing.queries import edge_queries, one_by_one
from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Observation, QueryBatch, Task, Uncertainty
from reasonrec_core.validation import check_uncertainty

TASK = Task.SEQUENTIAL


class UncertaintyConformance(ComponentConformance):
    """Subclass it in a plugin's tests and set ``component``."""

    kind = Kind.UNCERTAINTY

    @classmethod
    def ready(cls, component: Any, data: FitData) -> None:
        """The estimator gets to know the policy whose answers it is asked about, `Habits`."""
        component.attach(habits(data))

    def estimate(self, estimator: Any, data: Tiny, batch: QueryBatch, observation: Observation) -> Uncertainty:
        """Ask ``estimator`` as the pipeline does: with an answer after it, with None before it."""
        answer = None if estimator.stage == "before" else habits(data.fit).deliberate(batch, observation)
        return check_uncertainty(estimator.estimate(batch, observation, answer), batch, estimator.stage)

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


def _row(found: Uncertainty, row: int) -> Uncertainty:
    index = slice(row, row + 1)
    return Uncertainty(
        found.total[index],
        found.stage,
        None if found.epistemic is None else found.epistemic[index],
        None if found.aleatoric is None else found.aleatoric[index],
    )
