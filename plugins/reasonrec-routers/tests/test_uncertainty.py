"""Entropy, margin, evidence horizon: the conformance suite, the formulas, the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_routers.uncertainty import Entropy, EvidenceHorizon, Margin, StatedConfidence

from reasonrec_core.components import Empty, Kind, UncertaintyEstimator
from reasonrec_core.errors import PluginError
from reasonrec_core.registry import Registry
from reasonrec_core.testing import UncertaintyConformance
from reasonrec_core.types import Deliberation, History, Observation, QueryBatch, Ranking, Task

N_ITEMS = 50


class TestEntropy(UncertaintyConformance):
    component = "entropy"


class TestMargin(UncertaintyConformance):
    component = "margin"


class TestEvidenceHorizon(UncertaintyConformance):
    component = "evidence-horizon"


class TestStatedConfidence(UncertaintyConformance):
    component = "stated-confidence"


def query(size: int, candidates: int | None = None) -> tuple[QueryBatch, Observation]:
    shown = None if candidates is None else np.tile(np.arange(candidates, dtype=np.int32), (size, 1))
    task = Task.SEQUENTIAL if candidates is None else Task.DIRECT
    batch = QueryBatch(task, np.zeros(size, np.int32), History.of([[0]] * size), candidates=shown)
    return batch, Observation({}, {}, np.full(size, 0.25, np.float32))


def answer(mass: list[list[float]]) -> Deliberation:
    values = np.array(mass, np.float32)
    items = np.tile(np.arange(values.shape[1], dtype=np.int32), (len(values), 1))
    return Deliberation([()] * len(values), values[:, 0], Ranking(items, values), values)


def entropy() -> Entropy:
    estimator = Entropy(Empty())
    estimator._n_items = N_ITEMS
    return estimator


def test_entropy_of_a_complete_distribution_is_the_textbook_one() -> None:
    p = np.array([0.5, 0.25, 0.125, 0.125])
    found = entropy().estimate(*query(1, candidates=4), answer([p.tolist()])).total
    assert found[0] == pytest.approx(-(p * np.log(p)).sum() / np.log(4), abs=1e-6)


def test_entropy_is_one_for_ignorance_and_zero_for_certainty() -> None:
    even = [1 / N_ITEMS] * 10  # a tenth of the list; the rest lies evenly on the items that are not listed
    found = entropy().estimate(*query(2), answer([even, [1.0] + [0.0] * 9])).total
    np.testing.assert_allclose(found, [1.0, 0.0], atol=1e-6)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=10), st.floats(0, 1))
def test_all_estimators_are_total_and_stay_in_the_unit_interval(raw: list[float], listed: float) -> None:
    mass = np.sort(np.array(raw))[::-1]
    mass = mass / max(mass.sum(), 1e-9) * listed
    asked, given_answer = query(1), answer([mass.tolist()])
    for estimator in (entropy(), Margin(Empty()), EvidenceHorizon(Empty())):
        found = estimator.estimate(*asked, None if estimator.stage == "before" else given_answer)
        assert found.total.dtype == np.float32
        assert 0 <= found.total[0] <= 1


def test_margin_is_one_minus_the_lead_and_uses_what_one_item_leaves() -> None:
    found = Margin(Empty()).estimate(*query(2), answer([[0.5, 0.2], [0.3, 0.3]])).total
    np.testing.assert_allclose(found, [0.7, 1.0], atol=1e-6)
    single = Margin(Empty()).estimate(*query(2), answer([[0.9], [0.2]])).total
    np.testing.assert_allclose(single, [1 - (0.9 - 0.1), 1.0], atol=1e-6)


def test_concentrating_mass_lowers_entropy_and_margin() -> None:
    flat, peaked = [0.1] * 5, [0.3, 0.05, 0.05, 0.05, 0.05]
    for estimator in (entropy(), Margin(Empty())):
        found = estimator.estimate(*query(2), answer([flat, peaked])).total
        assert found[0] > found[1]


def test_policy_without_a_distribution_is_refused_by_name() -> None:
    silent = Deliberation([()], np.zeros(1, np.float32), Ranking(np.zeros((1, 1), np.int32), np.zeros((1, 1))))
    for estimator, name in ((entropy(), "entropy"), (Margin(Empty()), "margin")):
        with pytest.raises(PluginError, match=f"the {name} estimator needs the policy's distribution"):
            estimator.estimate(*query(1), silent)


def test_evidence_horizon_needs_no_answer_and_calls_itself_epistemic() -> None:
    found = EvidenceHorizon(Empty()).estimate(*query(3), None)
    assert found.stage == "before"
    np.testing.assert_array_equal(found.total, np.full(3, 0.25, np.float32))
    np.testing.assert_array_equal(found.epistemic, found.total)


def test_stated_confidence_is_taken_at_its_word() -> None:
    batch, observation = query(2)
    said = answer([[0.3, 0.1], [0.9, 0.05]])
    found = StatedConfidence(Empty()).estimate(batch, observation, said)
    np.testing.assert_allclose(found.total, [0.7, 0.1], atol=1e-6)
    assert found.stage == "after"
    with pytest.raises(PluginError, match="needs an answer"):
        StatedConfidence(Empty()).estimate(batch, observation, None)


def test_every_registered_estimator_states_its_stage() -> None:
    """And only the evidence horizon, which reads the history alone, comes before the answer."""
    registry, stages = Registry.discover(), {}
    for name in registry.names(Kind.UNCERTAINTY):
        estimator = registry.load(Kind.UNCERTAINTY, name)
        assert issubclass(estimator, UncertaintyEstimator)
        stages[name] = estimator.stage
    assert set(stages.values()) <= {"before", "after"}
    assert [name for name, stage in stages.items() if stage == "before"] == ["evidence-horizon"]
