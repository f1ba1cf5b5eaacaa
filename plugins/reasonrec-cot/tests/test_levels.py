"""Levels below the language model: a policy, what `cot` asks weighed, and that policy's student, in one cascade."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli_w
from click.testing import CliRunner

from reasonrec_core.cli.main import cli
from reasonrec_core.testing.tiny import tiny_dataset


@pytest.fixture
def run(tmp_path: Path, llama: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    small = {"epochs": 2, "warmup": 2, "batch": 32, "device": "cpu"}
    tree = {
        "name": "levels",
        "data": {"path": str(tiny_dataset(tmp_path / "tiny").folder)},
        "policy": {
            "name": "cot", "answer": "label", "backbone": {"model": str(llama), "device": "cpu"},
            "prompt": {"history": 3}, "shortlist": {"size": 3, "delegate": "transitions", "sources": ["level"]},
        },
        "delegates": [
            {"name": "transitions", "search": False},
            {"name": "policy", "label": "level", "policy": "profile", "settings": {"trials": 20}},
            {"name": "cot-fusion"},
            {"name": "distilled", "teacher": ["level"], "dimensions": 8, "hidden": 8, "histories": 50,
             "training": small},
        ],
        "router": {"kind": "cascade", "share": 0.9, "overhead": 1.0},
        "evaluate": {"k": [3], "resamples": 100, "latency_sample": 2, "faithfulness": 0},
        "report": {"cards": 1},
    }  # fmt: skip
    (tmp_path / "levels.toml").write_text(tomli_w.dumps(tree))
    done = CliRunner().invoke(cli, ["run", str(tmp_path / "levels.toml"), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    return tmp_path / "run"


def test_a_run_with_levels_below_the_language_model_is_opened_and_answers(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["routing"]["validation"]["costs"]["delegates"]) == {
        "transitions", "level", "cot-fusion", "distilled",
    }  # fmt: skip
    for user in ("user-00", "user-01", "user-02"):
        done = CliRunner().invoke(cli, ["recommend", str(run), "--user", user, "--json", "--why"])
        assert done.exit_code == 0, done.output
        answer = json.loads(done.output)
        assert len(answer["items"]) == 10
        assert bool(answer["steps"]) == (answer["by"] in {"cot", "level"})
