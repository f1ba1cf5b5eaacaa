"""The delegation curve of two delegates, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_report.measure.delegation import SHARES, AllAnswered

from reasonrec_core.routing import CalibrationData
from reasonrec_core.testing.router import fit_router
from reasonrec_core.types import Uncertainty


@pytest.fixture
def tested() -> AllAnswered:
    """Queries that two delegates answer, one of them better where the signal is high."""
    rng = np.random.default_rng(0)
    n, signal = 300, rng.random(300).astype(np.float32)
    quality = {"policy": rng.random(n), "a": rng.random(n) * 0.5 + 0.5 * signal, "b": rng.random(n) * 0.3}
    known = {"evidence-horizon": Uncertainty(signal, "before")}
    hits = {label: values > 0.5 for label, values in quality.items()}
    ties = np.arange(n, dtype=np.int64)
    wanted = {"share": 0.3, "estimators": ("evidence-horizon",), "stage": "before"}
    router = fit_router(wanted, CalibrationData("policy", known, quality, hits, ties))
    return AllAnswered(router, known, quality, "policy", ties, 0, 200)


def test_the_ends_are_the_policy_and_the_delegate(tested: AllAnswered) -> None:
    np.testing.assert_array_equal(tested.at(0.0), tested.quality["policy"])
    np.testing.assert_array_equal(tested.at(1.0), tested.quality["a"])


def test_no_choice_of_requests_passes_the_oracle(tested: AllAnswered) -> None:
    rng = np.random.default_rng(1)
    for share in SHARES:
        count = round(share * 300)
        sent = np.isin(np.arange(300), rng.permutation(300)[:count])
        assert np.where(sent, tested.quality["a"], tested.mine).mean() <= tested.oracle(count / 300) + 1e-12
        assert tested.at(float(share)).mean() <= tested.oracle(float(share)) + 1e-12


def test_the_oracle_is_the_best_choice_by_hand(tested: AllAnswered) -> None:
    best = (
        np.maximum(tested.quality["a"], tested.quality["b"])
        if len(tested.router.delegates) > 1
        else tested.quality["a"]
    )
    gains = np.sort(best - tested.mine)[::-1]
    assert tested.oracle(0.1) == pytest.approx(tested.mine.mean() + gains[:30].sum() / 300)
