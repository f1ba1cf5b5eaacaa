"""The delegation curve and the bills of a finished run hold together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reasonrec_core.pipeline.delegation_curve import SHARES, AllAnswered
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


def test_a_run_holds_curve_bills_and_calibration(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    curve = metrics["delegation_curve"]
    first, last = curve["points"][0], curve["points"][-1]
    assert first["value"] == first["random"] == pytest.approx(curve["policy"])
    assert last["value"] == pytest.approx(last["random"])
    assert curve["chosen"]["value"] == pytest.approx(metrics["systems"]["routed"][curve["metric"]]["value"])
    assert all(point["oracle"] >= max(point["value"], point["random"]) - 1e-9 for point in curve["points"])
    assert sum(row["n"] for row in curve["horizon"]) == metrics["bills"]["rows"][0]["requests"]
    whole, *routes = (row for row in metrics["bills"]["rows"] if row["kind"] == "route" or row["who"] == "routed")
    assert sum(row["requests"] for row in routes) in (0, whole["requests"])
    assert all(row["single"]["mean"] > 0 and row["batched"]["mean"] > 0 for row in metrics["bills"]["rows"])


def test_confidence_is_told_before_and_after(finished: Path) -> None:
    found = json.loads((finished / "metrics.json").read_text())["calibration"]
    ways = {row["way"]: row for row in found["routes"]}
    assert sum(row["cases"] for row in ways.values()) == found["cases"] == found["before"]["cases"]
    assert set(ways) <= {"self", "replace:popularity", "replace:transitions"}
    router = json.loads((finished / "stages" / "router-sequential" / "router.json").read_text())
    assert {way: router["state"]["calibration"][way]["kind"] for way in ways} == {
        way: row["kind"] for way, row in ways.items()
    }
    assert found["own"]["of"] == "toy"
    assert 0 < found["ece_chance"] < 0.5
