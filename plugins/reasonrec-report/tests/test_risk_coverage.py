"""The risk-coverage curve: known cases and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_report.measure.risk_coverage import risk_coverage

vectors = st.integers(0, 99_999).map(lambda s: np.random.default_rng(s).random((2, 1 + s % 60)))


def test_risk_coverage_by_hand() -> None:
    curve = risk_coverage([0.9, 0.1, 0.5], [0, 1, 1])
    np.testing.assert_allclose(curve.coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(curve.risk, [0, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curve.threshold, [0.9, 0.5, 0.1])
    assert curve.aurc == pytest.approx((0 + 1 / 2 + 2 / 3) / 3)
    assert curve.e_aurc == pytest.approx(0)


@settings(max_examples=80, deadline=None)
@given(vectors)
def test_risk_coverage_laws(pair) -> None:
    confidence, loss = np.round(pair[0], 1), pair[1]
    curve = risk_coverage(confidence, loss)
    assert curve.risk[-1] == pytest.approx(loss.mean())
    assert curve.e_aurc >= -1e-12
    assert risk_coverage(-loss, loss).e_aurc == pytest.approx(0)
    assert risk_coverage(np.zeros(len(loss)), loss).aurc == pytest.approx(loss.mean()), "no order, no gain"
    order = np.random.default_rng(0).permutation(len(loss))
    assert risk_coverage(confidence[order], loss[order]).aurc == pytest.approx(curve.aurc)
    assert risk_coverage(np.exp(confidence), loss).aurc == pytest.approx(curve.aurc), "only the order counts"


@pytest.mark.parametrize("bad", [[[0.5], [1, 0]], [[], []]])
def test_nonsense_is_refused(bad) -> None:
    with pytest.raises(ValueError, match="same length"):
        risk_coverage(*bad)
