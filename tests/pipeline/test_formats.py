"""Run folders of other versions open or say in one line how they are made anew, and what stands in them stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tomli_w
from reasonrec_serve import Recommender

from reasonrec_core.cli.main import main
from reasonrec_core.config import load_config
from reasonrec_core.errors import RunError
from reasonrec_core.pipeline.run import evaluate_run, fit_pipeline
from reasonrec_core.pipeline.run_folder import FORMAT, RunFolder
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent


@pytest.fixture
def old(data: Path, tmp_path: Path) -> Path:
    """A run folder as reasonrec 0.1 laid it out."""
    folder = tmp_path / "runs" / "old"
    for name in ("agent", "delegate-popularity", "policy-profile"):
        (folder / "stages" / name).mkdir(parents=True)
        stamp = {"key": "0" * 64, "seconds": 1.5, "notes": {}}
        (folder / "stages" / name / "stage.json").write_text(json.dumps(stamp))
    shutil.copytree(data, folder / "stages" / "data" / "dataset")
    agent = {
        "width": 6,
        "features": [],
        "encoders": {},
        "horizon": {"kind": "length", "cap": 50, "lengths": [3, 4]},
        "policy": ["profile", "profile"],
        "delegates": [["popularity", "popularity"]],
        "estimators": [["entropy", "entropy"]],
        "routers": {},
    }
    (folder / "stages" / "agent" / "agent.json").write_text(json.dumps(agent))
    (folder / "run.json").write_text(json.dumps({"format": 1, "name": "old"}))
    (folder / "config.toml").write_text(tomli_w.dumps({k: v for k, v in pipeline(data).items() if v is not None}))
    (folder / "environment.json").write_text(json.dumps({"versions": {"reasonrec": "0.1.0"}}))
    metrics = {"dataset": {"name": "tiny"}, "systems": {"routed": {"NDCG@5": {"value": 0.1, "low": 0.0, "high": 0.2}}}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_a_run_of_the_last_release_says_in_one_line_how_it_is_made_anew(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    for verb in (["recommend", str(old), "--user", "user-01"], ["evaluate", str(old)]):
        with pytest.raises(SystemExit) as left:
            main(verb)
        assert left.value.code == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert f"{old}: the run has format 1, this version of reasonrec reads format {FORMAT}. Create it again" in said
        assert said.rstrip().endswith(f"reasonrec run {old / 'config.toml'} --out {old}.")
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before


def test_what_it_says_makes_it_anew(old: Path) -> None:
    fit_pipeline(load_config(old / "config.toml"), old, Registry.discover(), silent)
    assert json.loads((old / "run.json").read_text())["format"] == FORMAT
    assert len(Recommender.open(old).recommend(history=["item-01"]).items) == 10


def test_a_run_of_a_later_version_asks_for_an_update(old: Path) -> None:
    (old / "run.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(RunError, match="pip install --upgrade reasonrec"):
        RunFolder.open(old)


@pytest.mark.parametrize("text", ["[]", "{", '{"name": "mine"}'])
def test_a_folder_that_is_no_run_is_not_opened(old: Path, text: str) -> None:
    (old / "run.json").write_text(text)
    with pytest.raises(RunError, match="this folder is not a run"):
        RunFolder.open(old)


def test_a_run_is_evaluated_wherever_its_pipeline_was_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings that a run keeps name its data so that they are found again."""
    shutil.copytree(data, tmp_path / "sets" / "tiny")
    (tmp_path / "examples").mkdir()
    settings = pipeline(Path("../sets/tiny"), policy=None, router=None, evaluate={"tasks": ["sequential"], "k": [3]})
    (tmp_path / "examples" / "p.toml").write_text(tomli_w.dumps({k: v for k, v in settings.items() if v is not None}))
    monkeypatch.chdir(tmp_path)
    fit_pipeline(load_config(Path("examples/p.toml")), Path("runs/p"), Registry.discover(), silent)
    assert evaluate_run(Path("runs/p"), Registry.discover(), silent).systems
