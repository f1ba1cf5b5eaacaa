"""A run on clicks leaves a trace: candidates by probability, clicks as targets, and a calibration that is report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reasonrec_trace import open_trace
from reasonrec_trace.replay import Wanted, replay

from reasonrec_core.config import check_config
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    """Users who click what has an even number, most of the time."""
    rng, folder = np.random.default_rng(0), tmp_path / "clicks"
    folder.mkdir()
    (folder / "items.csv").write_text("item_id,title\n" + "".join(f"i{i},Item {i}\n" for i in range(12)))
    for part, (start, n) in {"train": (0, 400), "valid": (1000, 120), "test": (2000, 120)}.items():
        users, items = rng.integers(0, 15, n), rng.integers(0, 12, n)
        label = (rng.random(n) < np.where(items % 2, 0.2, 0.8)).astype(int)
        rows = [f"u{u},i{i},{y},{start + t}" for t, (u, i, y) in enumerate(zip(users, items, label, strict=True))]
        (folder / f"{part}.csv").write_text("\n".join(["user_id,item_id,label,timestamp", *rows]) + "\n")
    return folder


def test_click_probabilities_leave_a_trace(clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    settings = {
        "data": {"path": str(clicks)},
        "split": {"kind": "predefined"},
        "delegates": ["lightgbm-ctr"],
        "evaluate": {"tasks": ["ctr"], "resamples": 100},
    }
    folder = tmp_path / "run"
    run_pipeline(check_config(settings, "clicks.toml"), folder, Registry.discover(), lambda done, total, label: None)
    file = open_trace(folder)
    records = list(file.records())
    assert file.header.task == "ctr"
    assert {(record.route, record.delegate) for record in records} == {("replace", "lightgbm-ctr")}
    loss = json.loads((folder / "metrics.json").read_text())["systems"]["lightgbm-ctr"]["LogLoss"]["value"]
    report = []
    for record in records:
        assert set(record.targets) <= set(record.ranking) == set(record.candidates)
        assert list(record.scores) == sorted(record.scores, reverse=True)
        clicked = [item in record.targets for item in record.ranking]
        report.append(-np.mean(np.log([s if y else 1 - s for s, y in zip(record.scores, clicked, strict=True)])))
        assert record.quality["lightgbm-ctr"]["LogLoss"] == pytest.approx(report[-1], rel=1e-4)
    assert np.mean(report) == pytest.approx(loss, rel=1e-4)
    assert replay(file, Wanted()).changed == 0
    calibration = json.loads((folder / "metrics.json").read_text())["calibration"]
    assert calibration["cases"] == calibration["before"]["cases"] == len(records)
