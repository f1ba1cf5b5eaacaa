"""The delegation curve, the costs and the calibration of a finished run hold together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonrec_core.cli.run import show_results
from reasonrec_core.config import check_config
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent


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


def test_without_reporters_a_run_has_its_metrics_and_says_where(
    data: Path, tmp_path: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = check_config(pipeline(data, report={"reporters": []}), "tiny.toml")
    results = run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    whole = json.loads((finished / "metrics.json").read_text())
    mine = json.loads(results.to_json())
    reported = {"abstention", "analyses", "calibration", "costs", "delegation_curve", "risk_coverage", "slices"}
    timed = {"delegation", "routing", "seconds"}
    assert mine.keys() - {"analyses"} == whole.keys() - reported
    assert {k: v for k, v in mine.items() if k not in timed | reported} == {
        k: v for k, v in whole.items() if k not in timed | reported
    }
    assert mine["routing"]["reached"] == whole["routing"]["reached"]
    assert not (tmp_path / "run" / "cards.json").exists()
    show_results(results, tmp_path / "run", Registry.discover(), closing="")
    assert "The figures are in metrics.json." in capsys.readouterr().out
    show_results(results, finished, Registry.discover(), closing="")
    assert "▼ significantly worse" in capsys.readouterr().out
