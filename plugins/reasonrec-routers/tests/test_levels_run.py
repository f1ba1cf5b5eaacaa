"""Levels of thought as a cascade, through the command line: fitted, routed, traced, explained, reported, final."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner

from reasonrec_core.cli.main import cli

USERS, NEWEST = 80, 20
CHAIN: dict[str, Any] = {
    "network": {"dimensions": 8, "layers": 1, "heads": 1, "components": 4, "max_history": 20},
    "training": {"epochs": 2, "warmup": 2, "device": "cpu"},
    "counted": {"transitions": {"trials": 2}},
    "gates": {"steps": 5, "epochs": 1, "folds": 2, "hidden": 2, "depth": 5},
}
PIPELINE: dict[str, Any] = {
    "name": "levels",
    "policy": {"name": "chain", **CHAIN, "network": {**CHAIN["network"], "members": 2}},
    "delegates": [
        {"name": "policy", "label": "profile", "policy": "profile", "settings": {"trials": 20}},
        {"name": "policy", "label": "chain-1", "policy": "chain", "settings": CHAIN},
    ],
    "router": {"kind": "cascade", "share": 0.6, "overhead": 1.0},
    "evaluate": {"k": [10], "resamples": 100, "latency_sample": 10, "faithfulness": 0},
    "report": {"cards": 2},
}


def ask(*words: str) -> str:
    """What ``reasonrec WORDS`` prints, if it succeeds."""
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def keep_newest(source: Path, folder: Path) -> Path:
    """The newest ratings of the first users of ml-100k, with all items."""
    rows: dict[int, list[dict[str, str]]] = {user: [] for user in range(1, USERS + 1)}
    with (source / "interactions.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.get(int(row["user_id"]), []).append(row)
    kept = [row for each in rows.values() for row in sorted(each, key=lambda row: int(row["timestamp"]))[-NEWEST:]]
    folder.mkdir()
    with (folder / "interactions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)
    (folder / "items.csv").write_bytes((source / "items.csv").read_bytes())
    return folder


@pytest.fixture(scope="module")
def run(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("levels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REASONREC_CACHE", str(folder / "cache"))
        data = keep_newest(real_data("ml-100k"), folder / "ml-100k")
        (folder / "levels.toml").write_text(tomli_w.dumps(PIPELINE | {"data": {"path": str(data)}}))
        ask("run", str(folder / "levels.toml"), "--out", str(folder / "run"))
        yield folder / "run"


def answers(run: Path) -> list[dict[str, Any]]:
    return [json.loads(ask("recommend", str(run), "--user", str(user), "--json", "--why")) for user in range(1, 13)]


def test_a_level_answers_is_named_and_says_why(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["routing"]["validation"]["costs"]["delegates"]) == {"profile", "chain-1"}
    assert metrics["routing"]["asks"]
    assert metrics["routing"]["reached"] == pytest.approx(0.6, abs=0.1)
    found = answers(run)
    levels = {each["by"] for each in found if each["route"] == "replace"}
    assert levels & {"profile", "chain-1"}
    assert {each["by"] for each in found} <= {"profile", "chain-1", "chain"}
    mine = next(each for each in found if each["route"] == "replace")
    assert mine["reason"].startswith(f"{mine['by']} answers")
    assert [step["kind"] for step in mine["steps"]][-1] == "decide"
    assert any(item["because"] for item in mine["items"])
    shown = ask("recommend", str(run), "--user", str(1 + found.index(mine)), "--why")
    assert f"Answered by {mine['by']}" in shown
    assert "because of" in shown


def test_the_trace_and_the_report_name_the_levels(run: Path) -> None:
    shown = ask("trace", "show", str(run), "--route", "replace")
    assert "profile" in shown or "chain-1" in shown
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "chain-1" in page
    assert "profile" in page


def test_final_levels_have_learned_from_everything(run: Path) -> None:
    said = ask("final", str(run))
    assert "profile" in said
    assert "chain-1" in said
    found = answers(run)[0]
    assert found["models"] == "final"


def test_levels_are_kept_while_nothing_that_they_depend_on_changes(run: Path) -> None:
    stamps = {label: run / "stages" / f"delegate-{label}" for label in ("profile", "chain-1")}
    before = {label: (path / "component").stat().st_mtime_ns for label, path in stamps.items()}
    ask("fit", str(run.parent / "levels.toml"), "--out", str(run), "--set", "delegates.profile.settings.trials=10")
    after = {label: (path / "component").stat().st_mtime_ns for label, path in stamps.items()}
    assert after["profile"] > before["profile"]
    assert after["chain-1"] == before["chain-1"]
