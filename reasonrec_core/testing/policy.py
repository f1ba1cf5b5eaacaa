"""The conformance suite of reasoning policies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from reasonrec_core.components import ConsultingPolicy, DistributionPolicy, Kind, StochasticPolicy
from reasonrec_core.testing.compare import assert_close, assert_same_deliberation
from reasonrec_core.testing.component import ComponentConformance, Workplace
from reasonrec_core.testing.later import later_queries
from reasonrec_core.testing.queries import edge_queries, one_by_one
from reasonrec_core.types import Deliberation, Float32, Int32, QueryBatch, Ranking, Step, StepKind, Task
from reasonrec_core.validation import check_deliberation, check_distribution, check_samples

ORDER = list(StepKind)


class PolicyConformance(ComponentConformance):
    """Subclass it in a plugin's tests and set ``component``.

    Attributes:
        steps: the kinds of step that every answer to a user with a history must have.
    """

    kind = Kind.POLICY
    steps: ClassVar[frozenset[StepKind]] = frozenset(StepKind)

    def test_answers_the_task(self, workplace: Workplace, task: Task) -> None:
        batch, observation, n_items = workplace.asked(task)
        answer = check_deliberation(workplace.fitted(task).deliberate(batch, observation), batch, n_items)
        assert answer.cost.seconds >= 0
        assert answer.cost.tokens >= 0

    def test_steps_say_what_led_to_the_answer(self, workplace: Workplace, task: Task) -> None:
        batch, observation, _ = workplace.asked(task)
        answer: Deliberation = workplace.fitted(task).deliberate(batch, observation)
        fields = {*workplace.data(task).dataset.catalog.fields, *observation.features, "image", "item_id"}
        for row in range(len(batch)):
            steps = answer.steps[row]
            kinds = [ORDER.index(step.kind) for step in steps]
            assert kinds == sorted(kinds), f"query {row}: steps are not in the order in which they cause each other"
            assert {step.kind for step in steps} >= self.steps, f"query {row}: kinds {[s.kind.value for s in steps]}"
            for step in steps:
                _check_step(step, int(batch.history.lengths[row]), fields)
        assert len(answer.steps[-1]) == len(answer.steps[len(batch) - 1]), "negative index"
        with pytest.raises(IndexError):
            answer.steps[len(batch)]

    def test_threads_get_the_same_answers(self, workplace: Workplace, task: Task) -> None:
        policy = workplace.fitted(task)
        if not policy.thread_safe:
            pytest.skip("not declared thread-safe")
        batch, observation, _ = workplace.asked(task)
        parts = [np.arange(start, len(batch), 4) for start in range(4)] * 3
        expected = [policy.deliberate(batch.take(rows), observation.take(rows)) for rows in parts[:4]] * 3
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(lambda rows: policy.deliberate(batch.take(rows), observation.take(rows)), parts)
            for answer, alone in zip(answers, expected, strict=True):
                assert_same_deliberation(answer, alone, "in threads")

    def test_answers_at_the_edges(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        policy, n_items = workplace.fitted(task), len(data.dataset.catalog)
        for name, batch, observation in edge_queries(data, data.test.queries):
            try:
                answer = check_deliberation(policy.deliberate(batch, observation), batch, n_items)
                for step in answer.steps[0]:
                    _check_step(step, int(batch.history.lengths[0]), None)
            except Exception as error:
                raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error

    def test_one_query_gets_the_answer_that_it_gets_among_many(self, workplace: Workplace, task: Task) -> None:
        batch, observation, _ = workplace.asked(task)
        policy = workplace.fitted(task)
        whole = policy.deliberate(batch, observation)
        for row, single, seen in one_by_one(batch, observation):
            among = answer_row(whole, np.array([row], dtype=np.intp))
            assert_same_deliberation(policy.deliberate(single, seen), among, f"query {row} alone")

    def test_changes_nothing_that_it_is_given(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        batch, observation, _ = workplace.asked(task)
        answer = workplace.fit(data.fit).deliberate(batch, observation)
        _ = answer.steps[0]
        workplace.assert_unchanged(task)

    def test_same_seed_same_answer(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        batch, observation, _ = workplace.asked(task)
        again = workplace.fit(data.fit).deliberate(batch, observation)
        assert_same_deliberation(again, workplace.fitted(task).deliberate(batch, observation), "fitted twice")

    def test_loaded_it_answers_as_before(self, workplace: Workplace, task: Task) -> None:
        batch, observation, _ = workplace.asked(task)
        expected = workplace.fitted(task).deliberate(batch, observation)
        assert_same_deliberation(workplace.loaded(task).deliberate(batch, observation), expected, "saved and loaded")

    def test_what_it_says_of_every_item_agrees_with_its_answer(self, workplace: Workplace, ranked_task: Task) -> None:
        policy: Any = workplace.fitted(ranked_task)
        data = workplace.data(ranked_task)
        if not isinstance(policy, DistributionPolicy):
            return  # it promises nothing that could be checked
        for name, batch, observation in edge_queries(data, data.test.queries):
            n_items = len(data.dataset.catalog)
            whole = check_distribution(policy.distribution(batch, observation), batch, n_items)
            answer = check_deliberation(workplace.fitted(ranked_task).deliberate(batch, observation), batch, n_items)
            assert answer.mass is not None
            assert answer.ranking is not None
            assert_close(answer.mass, _at(whole, answer.ranking.items, batch), f"{name}: the mass of what is ranked")
            for row, single, seen in one_by_one(batch, observation):
                assert_close(policy.distribution(single, seen), whole[row : row + 1], f"{name}: query {row} alone")

    def test_passes_are_drawn_networks(self, workplace: Workplace, ranked_task: Task) -> None:
        policy: Any = workplace.fitted(ranked_task)
        if not isinstance(policy, StochasticPolicy):
            return  # it promises nothing that could be checked
        batch, observation, _ = workplace.asked(ranked_task)
        ranking = workplace.fitted(ranked_task).deliberate(batch, observation).ranking
        found = check_samples(policy.samples(batch, observation, ranking.items, 4, 1), ranking.items)
        assert np.ptp(found, axis=0).max() > 0, "all passes are the same"
        assert np.array_equal(found, policy.samples(batch, observation, ranking.items, 4, 1)), "not repeatable"
        for row, single, seen in one_by_one(batch, observation):
            alone = policy.samples(single, seen, ranking.items[row : row + 1], 4, 1)
            assert_close(alone, found[:, row : row + 1], f"query {row} alone")

    def test_consulted_it_answers_among_what_it_may(self, workplace: Workplace, ranked_task: Task) -> None:
        policy: Any = workplace.fitted(ranked_task)
        if not (isinstance(policy, ConsultingPolicy) and policy.consults):
            return  # it promises nothing that could be checked
        data = workplace.data(ranked_task)
        n_items = len(data.dataset.catalog)
        for name, batch, observation in edge_queries(data, data.test.queries):
            for said in _said_by_delegates(batch, n_items):
                try:
                    answer = check_deliberation(policy.consult(batch, observation, said), batch, n_items)
                    again = policy.consult(batch, observation, said)
                    for step in answer.steps[0]:
                        _check_step(step, int(batch.history.lengths[0]), None)
                except Exception as error:
                    raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
                assert_same_deliberation(again, answer, f"{name}, {len(said)} delegates, asked again")

    def test_serves_items_that_came_after_the_fit(self, workplace: Workplace, task: Task) -> None:
        data, old = workplace.later(task), len(workplace.data(task).dataset.catalog)
        policy, n_items = workplace.loaded_later(task), len(data.dataset.catalog)
        for name, batch, observation in later_queries(data, old):
            try:
                answer = check_deliberation(policy.deliberate(batch, observation), batch, n_items)
                for row in range(0, len(batch), max(1, len(batch) // 4)):
                    for step in answer.steps[row]:
                        _check_step(step, int(batch.history.lengths[row]), None)
                if batch is data.test.queries:
                    again = workplace.loaded_later(task).deliberate(batch, observation)
                    assert_same_deliberation(again, answer, "loaded again")
            except Exception as error:
                raise AssertionError(f"new items, {name}: {type(error).__name__}: {error}") from error

    def test_fits_without_validation_and_features(self, workplace: Workplace, task: Task) -> None:
        data = workplace.data(task)
        batch, _, n_items = workplace.asked(task)
        bare = replace(data.fit.observation, features={}, present={}, horizon=np.zeros(0, np.float32))
        policy = workplace.fit(replace(data.fit, valid=None, observation=bare))
        seen = replace(bare, horizon=data.observation(batch).horizon)
        answer = check_deliberation(policy.deliberate(batch, seen), batch, n_items)
        assert answer.steps[0]


def _said_by_delegates(batch: QueryBatch, n_items: int) -> list[dict[str, Ranking]]:
    """Nobody's answers; those of somebody who knows nothing, and of one who ranks by number, allowed or not."""
    size, k = len(batch), batch.k
    if batch.candidates is None:
        listed = np.tile(np.arange(min(k, n_items), dtype=np.int32), (size, 1))
    else:
        listed = batch.candidates[:, :k].astype(np.int32)
    scores = np.where(listed >= 0, -np.arange(listed.shape[1], dtype=np.float32), np.float32(-np.inf))
    nothing = Ranking(np.full((size, k), -1, np.int32), np.full((size, k), -np.inf, np.float32))
    return [{}, {"silent": nothing, "by-number": Ranking(listed, scores)}]


def _check_step(step: Step, length: int, fields: set[str] | None) -> None:
    assert step.claim.strip(), f"{step.kind}: empty claim"
    assert 0 <= step.weight <= 1, f"{step.kind}: weight {step.weight}"
    for evidence in step.evidence:
        if isinstance(evidence, int):
            assert 0 <= evidence < length, f"{step.kind}: evidence {evidence} in a history of {length}"
        else:
            assert isinstance(evidence, str), f"{step.kind}: evidence {evidence!r}"
            assert evidence, f"{step.kind}: empty evidence"
            if fields is not None:
                known = evidence in fields or evidence.partition(":")[0].partition("=")[0] in fields
                assert known, f"{step.kind}: evidence {evidence!r} is no item field"
    weights = [weight for _, weight in step.alternatives]
    assert all(name for name, _ in step.alternatives), f"{step.kind}: an alternative without a name"
    assert all(0 <= weight <= 1 for weight in weights), f"{step.kind}: weights of alternatives {weights}"
    assert weights == sorted(weights, reverse=True), f"{step.kind}: alternatives are not best first"


def _at(whole: Float32, items: Int32, batch: QueryBatch) -> Float32:
    """float32[B, K]: of float32[B, n_items or C] what belongs to ``items``; 0 for padding."""
    if batch.candidates is None:
        found = np.take_along_axis(whole, np.maximum(items, 0), axis=1)
    else:
        same = batch.candidates[:, None, :] == items[:, :, None]
        found = np.where(same, whole[:, None, :], 0).max(axis=2, initial=0)
    return np.where(items < 0, np.float32(0), found).astype(np.float32)


def answer_row(answer: Deliberation, index: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Deliberation:
    """The answer to one query of a batch."""
    row = int(index[0])
    return Deliberation(
        steps=[answer.steps[row]],
        confidence=answer.confidence[index],
        ranking=None if answer.ranking is None else answer.ranking.take(index),
        mass=None if answer.mass is None else answer.mass[index],
        probability=None if answer.probability is None else answer.probability[index],
        text=None if answer.text is None else (answer.text[row],),
    )
