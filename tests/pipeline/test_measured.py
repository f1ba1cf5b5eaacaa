"""The delegation curve, the costs and the calibration of a finished run hold together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_a_run_holds_curve_costs_and_calibration(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    curve = metrics["delegation_curve"]
    first, last = curve["points"][0], curve["points"][-1]
    assert first["value"] == first["random"] == pytest.approx(curve["policy"])
    assert last["value"] == pytest.approx(last["random"])
    assert curve["chosen"]["value"] == pytest.approx(metrics["systems"]["routed"][curve["metric"]]["value"])
    assert all(point["oracle"] >= max(point["value"], point["random"]) - 1e-9 for point in curve["points"])
    assert sum(row["n"] for row in curve["horizon"]) == metrics["costs"]["rows"][0]["requests"]
    whole, *routes = (row for row in metrics["costs"]["rows"] if row["kind"] == "route" or row["who"] == "routed")
    assert sum(row["requests"] for row in routes) in (0, whole["requests"])
    assert all(row["single"]["mean"] > 0 and row["batched"]["mean"] > 0 for row in metrics["costs"]["rows"])


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
