"""Where a command may not write, and what it prints of data: one message, nothing changed; no terminal is steered."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
from installed import install_module, reasonrec

from reasonrec_core.cli.main import main
from reasonrec_core.testing.tiny import tiny_dataset

EVIL = "A\x9b31m \u202eevil\u2066 \x1b]0;x\x07 é"
STEERING = set("\x07\x1b\x9b\u202e\u2066")


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def write_log(folder: Path) -> Path:
    folder.mkdir()
    rows = [f"{u},{i},{1000 * u + t}" for u in range(1, 9) for t, i in enumerate((u, u + 1, u + 2, u + 3))]
    (folder / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    titles = [f'{i},"{EVIL} {i}","{EVIL}"' for i in range(1, 12)]
    (folder / "items.csv").write_text("\n".join(["item_id,title,brand", *titles]) + "\n")
    return folder


def write_pipeline(folder: Path, data: Path) -> Path:
    evaluate = {"k": [3], "resamples": 100, "latency_sample": 1, "faithfulness": 0}
    settings = {"name": "p", "data": {"path": str(data)}, "delegates": ["popularity"], "evaluate": evaluate}
    (folder / "p.toml").write_text(tomli_w.dumps(settings))
    return folder / "p.toml"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "out"))
        yield tmp_path / "out"


@pytest.mark.parametrize("verb", ["run", "import", "split", "synth"])
def test_a_socket_is_left_as_it_is(verb: str, bound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tiny_dataset(tmp_path / "tiny").folder
    words: dict[str, list[object]] = {
        "run": ["run", write_pipeline(tmp_path, data), "--out"],
        "import": ["data", "import", write_log(tmp_path / "raw"), "--out"],
        "split": ["data", "split", data, "--out"],
        "synth": ["data", "synth", "--users", "20", "--items", "20", "--out"],
    }
    assert call(*words[verb], bound) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert str(bound) in said[0]
    assert bound.is_socket()


def test_no_json_of_data_steers_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, run = write_log(tmp_path / "raw"), tmp_path / "run"
    assert call("run", write_pipeline(tmp_path, raw), "--out", run, "-q") == 0
    capsys.readouterr()
    for words in (
        ("recommend", run, "--history-item", "3"),
        ("similar", run, "3"),
        ("data", "describe", raw),
        ("data", "describe", run / "stages" / "data" / "dataset"),
    ):
        assert call(*words, "--json") == 0, words
        shown = capsys.readouterr().out
        assert not STEERING & set(shown), words
        if words[0] in {"recommend", "similar"}:
            assert "\x9b31m \u202eevil\u2066" in json.dumps(json.loads(shown), ensure_ascii=False)


@pytest.mark.parametrize("form", [["--json"], []])
def test_no_words_of_a_plugin_steer_the_terminal(tmp_path: Path, form: list[str]) -> None:
    code = f"""
    @hookimpl
    def reasonrec_delegates():
        return [ComponentSpec("mine", "reasonrec_a_impl:Mine", {EVIL!r}, ("sequential",))]
    """
    install_module(tmp_path / "site", "reasonrec-a", code)
    done = reasonrec(tmp_path / "site", "plugins", *form, real="reasonrec-doctor")
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout
    assert not STEERING & set(done.stdout + done.stderr)


@pytest.mark.parametrize("verb", ["run", "import", "recommend"])
def test_a_folder_that_may_not_be_written_is_one_message(tmp_path: Path, verb: str) -> None:
    """Root may write anywhere, unless it gives that up."""
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if bound and shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and setpriv is not there")
    locked, raw = tmp_path / "locked", write_log(tmp_path / "raw")
    pipeline = write_pipeline(tmp_path, raw)
    locked.mkdir()
    words: dict[str, list[object]] = {
        "run": ["run", pipeline, "--out", locked / "run"],
        "import": ["data", "import", raw, "--out", locked / "set"],
        "recommend": ["recommend", tmp_path / "run", "--users", "all", "--out", locked / "all.csv"],
    }
    if verb == "recommend":
        assert call("run", pipeline, "--out", tmp_path / "run", "-q") == 0
    locked.chmod(0o555)
    command = [*bound, sys.executable, "-m", "reasonrec_core", *map(str, words[verb])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    locked.chmod(0o755)
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2, done.stderr
    assert len(said) == 1
    assert str(locked) in said[0]
    assert "ermission denied" in said[0]
    assert "Traceback" not in done.stderr
    assert not list(locked.iterdir())
