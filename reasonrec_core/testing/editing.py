"""The conformance suite of editable policies: an edited step changes the answer, and what is cited caused it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reasonrec_core.components import EditablePolicy
from reasonrec_core.testing.compare import arrays_of, assert_close, assert_same_deliberation, assert_unchanged
from reasonrec_core.testing.component import Workplace
from reasonrec_core.testing.later import later_queries
from reasonrec_core.testing.policy import PolicyConformance, answer_row
from reasonrec_core.testing.queries import edge_queries, one_by_one
from reasonrec_core.types import NO_EDITS, Deliberation, Edits, Float32, Int32, Observation, QueryBatch, StepKind, Task
from reasonrec_core.validation import check_attribution, check_beliefs, check_deliberation

ROUNDING = 1e-3


class EditablePolicyConformance(PolicyConformance):
    """Subclass it in a plugin's tests, instead of `PolicyConformance`, and set ``component``.

    The tests of the intent are skipped for a policy that infers no labels of the tiny dataset.
    """

    def test_is_editable(self) -> None:
        assert issubclass(self.component_class(), EditablePolicy)

    def test_labels_and_their_items_fit_together(self, workplace: Workplace, ranked_task: Task) -> None:
        policy, (_, _, n_items) = workplace.fitted(ranked_task), workplace.asked(ranked_task)
        for name, labels in policy.labels.items():
            assert labels, f"{name}: no labels"
            assert len(set(labels)) == len(labels), f"{name}: two labels of one name"
            member = policy.membership(name)
            assert member.shape == (n_items, len(labels)), f"{name}: membership {member.shape}"
            assert member.dtype == np.float32, f"{name}: membership {member.dtype}"
            rows = np.asarray(member.sum(axis=1)).ravel()
            assert (np.isclose(rows, 1, atol=1e-4) | (np.diff(member.indptr) == 0)).all(), f"{name}: rows sum to 1"

    def test_infers_a_distribution_over_labels(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, _ = workplace.asked(ranked_task)
        policy = workplace.fitted(ranked_task)
        many = check_beliefs(policy.infer_labels(batch, observation), batch, policy.labels)
        for row, single, seen in one_by_one(batch, observation):
            alone = check_beliefs(policy.infer_labels(single, seen), single, policy.labels)
            for name, belief in alone.items():
                assert_close(belief, many[name][row : row + 1], f"query {row} alone: beliefs about {name}")

    def test_without_edits_the_answer_stays(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, _ = workplace.asked(ranked_task)
        policy = workplace.fitted(ranked_task)
        plain: Deliberation = policy.deliberate(batch, observation)
        nothing = Edits(
            np.ones(len(batch.history.items), np.float32),
            {name: np.full(len(batch), -1, np.int32) for name in policy.labels},
        )
        for name, edits in {"None": None, "NO_EDITS": NO_EDITS, "edits that change nothing": nothing}.items():
            assert_same_deliberation(policy.deliberate(batch, observation, edits), plain, name)
        assert not any(step.edited for steps in plain.steps for step in steps), "a step says that it was edited"

    def test_states_the_mass_of_its_answers(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, _ = workplace.asked(ranked_task)
        assert workplace.fitted(ranked_task).deliberate(batch, observation).mass is not None

    def test_what_is_ignored_no_longer_counts(self, workplace: Workplace, ranked_task: Task) -> None:
        """Without the entry with the largest attribution the best item loses mass, on average."""
        batch, observation, n_items = workplace.asked(ranked_task)
        policy = workplace.fitted(ranked_task)
        cause = check_attribution(policy.attribution(batch, observation), batch)
        assert cause.any(), "no history entry causes any answer"
        edits = Edits(np.where(_largest(cause, batch), 0, 1).astype(np.float32))
        whole = replace(batch, k=n_items)
        plain, edited = policy.deliberate(whole, observation), policy.deliberate(whole, observation, edits)
        check_deliberation(edited, whole, n_items)
        best = plain.ranking.items[:, :1]
        lost = _mass_of(plain, best) - _mass_of(edited, best)
        some = batch.history.lengths > 0
        assert lost[some].mean() > 0, "ignoring what caused an answer does not move it"
        for row in np.flatnonzero(some)[:5]:
            kinds = {step.kind for step in edited.steps[row] if step.edited}
            assert StepKind.OBSERVE in kinds, f"query {row}: no observe step says that history was ignored"

    def test_an_assumed_label_gets_more_of_the_answer(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, n_items = workplace.asked(ranked_task)
        policy, whole = workplace.fitted(ranked_task), replace(batch, k=n_items)
        plain = policy.deliberate(whole, observation)
        for name, labels in _second(policy, batch, observation).items():
            edited = check_deliberation(
                policy.deliberate(whole, observation, Edits(None, {name: labels})), whole, n_items
            )
            member = policy.membership(name).toarray()
            before, after = _share(plain, member, labels), _share(edited, member, labels)
            assert (after >= before - ROUNDING).all(), f"{name}: the assumed label lost mass"
            assert after.mean() > before.mean(), f"{name}: assuming a label changes nothing"
            kinds = {step.kind for step in edited.steps[0] if step.edited}
            assert kinds == {StepKind.INFER}, f"{name}: edited steps are {sorted(kinds)}"
            about = {step.about for step in edited.steps[0] if step.edited} - {None}
            assumed = (name, policy.labels[name][int(labels[0])])
            assert about <= {assumed}, f"{name}: the edited step says that it is about {about}, not {assumed}"
            for field, label in {step.about for step in plain.steps[0] if step.about}:
                assert label in policy.labels[field], f"a step is about {label!r}, which {field!r} does not have"

    def test_edited_queries_get_the_same_answer_alone(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, _ = workplace.asked(ranked_task)
        policy = workplace.fitted(ranked_task)
        edits = _some_edits(policy, batch)
        given = arrays_of(batch, observation)
        before = {name: array.copy() for name, array in given.items()}
        assert edits.relevance is not None
        relevance = edits.relevance.copy()
        many = policy.deliberate(batch, observation, edits)
        assert_same_deliberation(policy.deliberate(batch, observation, edits), many, "asked twice")
        for row, single, seen in one_by_one(batch, observation):
            index = np.array([row], dtype=np.intp)
            alone = policy.deliberate(single, seen, edits.take(batch.history, index))
            assert_same_deliberation(alone, answer_row(many, index), f"query {row} alone")
        assert_unchanged(before, given)
        assert np.array_equal(relevance, edits.relevance), "relevance was modified"

    def test_attribution_is_the_same_alone_and_asked_twice(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, _ = workplace.asked(ranked_task)
        policy = workplace.fitted(ranked_task)
        many = check_attribution(policy.attribution(batch, observation), batch)
        np.testing.assert_array_equal(policy.attribution(batch, observation), many, err_msg="asked twice")
        for row, single, seen in one_by_one(batch, observation):
            alone = check_attribution(policy.attribution(single, seen), single)
            assert_close(alone, many[batch.history.rows == row], f"query {row} alone")

    def test_cites_what_has_the_largest_attribution(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, _ = workplace.asked(ranked_task)
        policy = workplace.fitted(ranked_task)
        many, answer = policy.attribution(batch, observation), policy.deliberate(batch, observation)
        for row in range(len(batch)):
            cause = many[batch.history.rows == row]
            cited = [position for position in answer.steps[row][-1].evidence if isinstance(position, int)]
            assert bool(cited) == bool(cause.any()), f"query {row}: cites {cited} for the attribution {cause}"
            if cited:
                rest = np.delete(cause, cited)
                assert cause[cited].min() > 0, f"query {row}: cites what caused nothing"
                assert cause[cited].min() >= rest.max(initial=0) * (1 - 1e-4), f"query {row}: cites {cited}"

    def test_edits_at_the_edges(self, workplace: Workplace, ranked_task: Task) -> None:
        data = workplace.data(ranked_task)
        policy, n_items = workplace.fitted(ranked_task), len(data.dataset.catalog)
        for name, batch, observation in edge_queries(data, data.test.queries):
            try:
                check_attribution(policy.attribution(batch, observation), batch)
                check_beliefs(policy.infer_labels(batch, observation), batch, policy.labels)
                nothing = np.zeros(len(batch.history.items), np.float32)
                edits = replace(_some_edits(policy, batch), relevance=nothing)
                answer = check_deliberation(policy.deliberate(batch, observation, edits), batch, n_items)
                assert answer.steps[0]
            except Exception as error:
                raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error

    def test_items_that_came_after_the_fit_carry_its_labels(self, workplace: Workplace, ranked_task: Task) -> None:
        fitted, policy = workplace.fitted(ranked_task), workplace.loaded_later(ranked_task)
        data, (batch, observation, old) = workplace.later(ranked_task), workplace.asked(ranked_task)
        believed = fitted.infer_labels(batch, observation)
        for name, belief in policy.infer_labels(batch, data.observation(batch)).items():
            assert_close(belief, believed[name], f"{name}: beliefs from old items")
        assert dict(policy.labels) == dict(fitted.labels), "new items change the labels"
        for name, labels in policy.labels.items():
            member = policy.membership(name)
            assert member.shape == (len(data.dataset.catalog), len(labels)), f"{name}: membership {member.shape}"
            assert_close(member[:old].toarray(), fitted.membership(name).toarray(), f"{name}: labels of old items")
        for name, asked, seen in later_queries(data, old):
            try:
                check_attribution(policy.attribution(asked, seen), asked)
                check_beliefs(policy.infer_labels(asked, seen), asked, policy.labels)
                answer = policy.deliberate(asked, seen, _some_edits(policy, asked))
                assert check_deliberation(answer, asked, len(data.dataset.catalog)).steps[0]
            except Exception as error:
                raise AssertionError(f"new items, {name}: {type(error).__name__}: {error}") from error

    def test_loaded_it_is_edited_as_before(self, workplace: Workplace, ranked_task: Task) -> None:
        batch, observation, _ = workplace.asked(ranked_task)
        policy, loaded = workplace.fitted(ranked_task), workplace.loaded(ranked_task)
        assert dict(loaded.labels) == dict(policy.labels)
        edits = _some_edits(policy, batch)
        expected = policy.deliberate(batch, observation, edits)
        assert_same_deliberation(loaded.deliberate(batch, observation, edits), expected, "saved and loaded")
        assert_close(loaded.attribution(batch, observation), policy.attribution(batch, observation), "attribution")


def _largest(values: Float32, batch: QueryBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool[L]: the entries with the largest value of their query."""
    rows = batch.history.rows
    most = np.zeros(len(batch), np.float32)
    np.maximum.at(most, rows, values)
    return np.asarray(values == most[rows])


def _second(policy: Any, batch: QueryBatch, observation: Observation) -> dict[str, Int32]:
    """Per field int32[B], each query's second most likely label; skips where no labels are inferred."""
    beliefs = {name: belief for name, belief in policy.infer_labels(batch, observation).items() if belief.shape[1] > 1}
    if not beliefs:
        pytest.skip("it infers no labels of the tiny dataset")
    return {name: np.argsort(-belief, axis=1)[:, 1].astype(np.int32) for name, belief in beliefs.items()}


def _some_edits(policy: Any, batch: QueryBatch) -> Edits:
    """Every third entry ignored, every second query with the second label of a field."""
    relevance = np.where(np.arange(len(batch.history.items)) % 3, 1, 0).astype(np.float32)
    labels = next((name for name, known in policy.labels.items() if len(known) > 1), None)
    if labels is None:
        return Edits(relevance)
    return Edits(relevance, {labels: np.where(np.arange(len(batch)) % 2, 1, -1).astype(np.int32)})


def _mass_of(answer: Deliberation, items: Int32) -> Float32:
    """float32[B]: the mass of the items int32[B, n] in an answer over all that can be ranked."""
    assert answer.ranking is not None
    assert answer.mass is not None
    found = (answer.ranking.items[:, :, None] == items[:, None, :]) & (items[:, None, :] >= 0)
    return np.asarray((answer.mass * found.any(axis=2)).sum(axis=1), dtype=np.float32)


def _share(answer: Deliberation, member: Float32, labels: Int32) -> Float32:
    """float32[B]: the part of the answer's mass that is on items with each query's label."""
    assert answer.ranking is not None
    assert answer.mass is not None
    carries = member[np.maximum(answer.ranking.items, 0), labels[:, None]] > 0
    return np.asarray((answer.mass * carries).sum(axis=1) / answer.mass.sum(axis=1), dtype=np.float32)
