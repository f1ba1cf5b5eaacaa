"""Reliability: known cases and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrec_core.evaluate import reliability

vectors = st.integers(0, 99_999).map(lambda s: np.random.default_rng(s).random((2, 1 + s % 60)))


def test_reliability_by_hand() -> None:
    table = reliability([0.0, 0.5, 0.51, 1.0], [0, 1, 0, 1], bins=2)
    assert table.count.tolist() == [2, 2]
    np.testing.assert_allclose(table.confidence, [0.25, 0.755])
    np.testing.assert_allclose(table.accuracy, [0.5, 0.5])
    assert table.ece == pytest.approx(0.5 * 0.25 + 0.5 * 0.255)


def test_equal_mass_bins_hold_equally_many_and_keep_equal_confidences_together() -> None:
    confidence = np.linspace(0.9, 1.0, 30)
    assert reliability(confidence, np.ones(30), bins=15, kind="mass").count.tolist() == [2] * 15
    tied = reliability([0.3] * 9 + [0.9], np.ones(10), bins=5, kind="mass")
    assert sorted(tied.count.tolist()) == [0, 0, 0, 1, 9]


def test_a_calibrated_confidence_has_little_error_and_a_boastful_one_much() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    right = rng.random(20_000) < p
    assert reliability(p, right).ece < 0.02
    assert reliability(np.sqrt(p), right).ece > 0.1


@settings(max_examples=80, deadline=None)
@given(vectors, st.sampled_from(["width", "mass"]))
def test_reliability_laws(pair, kind: str) -> None:
    confidence, right = np.round(pair[0], 1), (pair[1] < 0.5).astype(float)
    table = reliability(confidence, right, kind=kind)
    assert table.count.sum() == len(right)
    assert 0 <= table.ece <= 1
    assert abs(confidence.mean() - right.mean()) <= table.ece + 1e-12, "bins cannot hide the overall gap"
    order = np.random.default_rng(0).permutation(len(right))
    assert reliability(confidence[order], right[order], kind=kind).ece == pytest.approx(table.ece)


@pytest.mark.parametrize("bad", [[[0.5], [1, 0]], [[], []], [[1.2], [1]], [[np.nan], [1]]])
def test_nonsense_is_refused(bad) -> None:
    with pytest.raises(ValueError):
        reliability(*bad)
