"""Files of a run that are not what their component wrote, whatever the stamp says: named, with what mends them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.pipeline.stage_stamp import STAMP, Stamp, stamp_folder
from reasonrec_core.registry import Registry
from reasonrec_core.testing.tiny import tiny_dataset

ESTIMATOR = "uncertainty-evidence-horizon/component/config.json"
TABLE = "delegate-transitions/component/transitions.npz"
CONTENTS = {
    "a number": (ESTIMATOR, b"0.5"),
    "a list": (ESTIMATOR, b"[1]"),
    "an unknown key": (ESTIMATOR, b'{"x": 1}'),
    "no JSON": (ESTIMATOR, b"\xff{"),
    "a value out of bounds": ("delegate-transitions/component/config.json", b'{"window": -3}'),
    "no array": (TABLE, b"PK\x03\x04"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("forged")
    tree = {
        "name": "forged",
        "data": {"path": str(tiny_dataset(place / "data").folder)},
        "policy": "toy",
        "delegates": ["popularity", {"name": "transitions", "window": 2, "search": False}],
        "router": {"share": 0.35, "stage": "before", "estimators": ["evidence-horizon"]},
        "evaluate": {"tasks": ["sequential"], "k": [3, 5], "resamples": 100, "latency_sample": 1, "faithfulness": 0},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REASONREC_CACHE", str(place / "cache"))
        registry = Registry.discover()
        run_pipeline(check_config(tree, "x.toml"), place / "run", registry, lambda done, total, label: None)
    return place / "run"


def stamp_again(stage: Path) -> None:
    """The stamp of a stage whose files are taken as they are, under its old key."""
    known = Stamp.read(stage).model_dump(exclude={"files"})
    (stage / STAMP).unlink()
    stamp_folder(stage, **known)


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return left.value.code if isinstance(left.value.code, int) else 0


@pytest.mark.parametrize("what", CONTENTS)
def test_it_is_named_with_the_command_that_mends_it(
    what: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, (name, content) = Path(shutil.copytree(finished, tmp_path / "run")), CONTENTS[what]
    stage = name.partition("/")[0]
    (run / "stages" / name).write_bytes(content)
    stamp_again(run / "stages" / stage)
    assert call("recommend", str(run), "--history", "item-01") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"error: {run / 'stages' / name}")
    assert "Report it" not in said
    assert said.strip().endswith(f"Fit it again: reasonrec run {run / 'config.toml'} --out {run} --refit {stage}.")


def test_that_command_mends_it(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    asked, again = ("recommend", str(run), "--history", "item-01", "--json"), ("run", str(run / "config.toml"), "-q")
    assert call(*asked) == 0
    wanted = json.loads(capsys.readouterr().out)
    (run / "stages" / ESTIMATOR).write_bytes(b"0.5")
    stamp_again(run / "stages" / "uncertainty-evidence-horizon")
    assert call(*again, "--out", str(run)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert call(*shlex.split(said.partition("Fit it again: reasonrec ")[2].strip().removesuffix(".")), "-q") == 0
    capsys.readouterr()
    assert call(*asked) == 0
    assert json.loads(capsys.readouterr().out)["items"] == wanted["items"]


@pytest.mark.parametrize("shape", ["short", "of another kind"])
def test_arrays_that_do_not_fit_the_run(
    shape: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    arrays = read_arrays(run / "stages" / TABLE)
    name = sorted(arrays)[0]
    other = {**arrays, name: arrays[name][:-1] if shape == "short" else np.array(["x"])}
    write_arrays(run / "stages" / TABLE, other)
    stamp_again(run / "stages" / "delegate-transitions")
    assert call("recommend", str(run), "--history", "item-01") == 2
    said = capsys.readouterr().err
    assert "Report it" not in said
    assert "--refit delegate-transitions." in said


@pytest.mark.parametrize("damaged", [False, True])
def test_the_hash_tells_whether_the_run_or_the_plugin_is_to_blame(
    damaged: bool,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Damage that left size and time as they were is found once a plugin fails over it."""
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    stage = run / "stages" / "delegate-popularity"
    Stamp.read(stage).restore_times(stage)
    if damaged:
        path = stage / "component" / "config.json"
        content, now = path.read_bytes(), path.stat()
        path.write_bytes(b"[" + content[1:])
        os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns))

    def fail(*given: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(Popularity, "load", fail)
    assert call("recommend", str(run), "--history", "item-01") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--refit delegate-popularity." in said
    if damaged:
        assert "the stage delegate-popularity is damaged: component/config.json is damaged" in said
        assert "ZeroDivisionError" not in said
        assert "report it" not in said
    else:
        assert said.startswith("error: delegate 'popularity' of ")
        assert "in load: raised ZeroDivisionError: on purpose. " in said
        assert "If it fails again, report it to its authors." in said
