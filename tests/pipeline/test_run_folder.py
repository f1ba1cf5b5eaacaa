"""One writer a run folder, stages that know their files, nothing half-written: what holds when things go wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tomli_w
from reasonrec_serve import Recommender

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config, load_config
from reasonrec_core.errors import ConfigError, DataError, PluginError, RunError
from reasonrec_core.io import is_leftover, sweep_leftovers, whole_file, whole_folder
from reasonrec_core.pipeline.run import evaluate_run, fit_pipeline, run_pipeline
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.pipeline.run_lock import lock_run
from reasonrec_core.pipeline.stage_stamp import Stamp, stamp_folder
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent

HOLD = """
import sys, time
from pathlib import Path
from reasonrec_core.pipeline.run_lock import lock_run
with lock_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def copy(finished: Path, folder: Path) -> Path:
    return Path(shutil.copytree(finished, folder))


def all_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def metrics_of(folder: Path) -> dict[str, object]:
    found = json.loads((folder / "metrics.json").read_text())
    return {name: found[name] for name in ("systems", "comparisons")}


def flip(path: Path, at: int = -1) -> None:
    """Change a byte, as the hand of somebody or a disk does; the file is of another time."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.unlink()  # a hard link to the cache is not what shall be damaged
    path.write_bytes(bytes(data))
    os.utime(path, (1, 1))


def test_a_second_writer_is_told_who_writes(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {name: value for name, value in pipeline(data).items() if value is not None}
    (tmp_path / "p.toml").write_text(tomli_w.dumps(settings))
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        before = all_files(tmp_path / "run")
        with pytest.raises(SystemExit) as left:
            main(["run", str(tmp_path / "p.toml"), "--out", str(tmp_path / "run")])
        said = capsys.readouterr().err
        assert (left.value.code, said.count("\n")) == (2, 1)
        assert f"the run is being written by process {other.pid} on {os.uname().nodename} since 20" in said
        assert all_files(tmp_path / "run") == before
        other.send_signal(signal.SIGKILL)
    # The lock of a dead process is none, though its note is still there.
    assert (tmp_path / "run" / "run.lock.json").exists()
    with lock_run(tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / "run.lock.json").exists()


def test_a_folder_that_vanishes_while_it_is_locked_is_locked_anew(tmp_path: Path) -> None:
    with lock_run(tmp_path / "run"):
        shutil.rmtree(tmp_path / "run")
        with lock_run(tmp_path / "run"), pytest.raises(RunError, match="being written"), lock_run(tmp_path / "run"):
            pass


class Wait:
    """Progress that stops a run until it may go on."""

    def __init__(self, label: str) -> None:
        self.label, self.there, self.go = label, threading.Event(), threading.Event()

    def __call__(self, done: int, total: int, label: str) -> None:
        if label.startswith(self.label):
            self.there.set()
            assert self.go.wait(120)


def test_runs_with_other_settings_in_one_folder_do_not_mix(data: Path, tmp_path: Path, finished: Path) -> None:
    folder, other = tmp_path / "run", check_config(pipeline(data, seed=5), "other.toml")
    shutil.copytree(finished, folder)
    (folder / "metrics.json").unlink()
    wait, failed = Wait("evaluate"), list[BaseException]()
    shutil.rmtree(folder / "stages" / "answers-sequential-test-toy")

    def first() -> None:
        try:
            run_pipeline(check_config(pipeline(data), "tiny.toml"), folder, Registry.discover(), wait)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert wait.there.wait(120)
    for attempt in (run_pipeline, fit_pipeline):
        with pytest.raises(RunError, match=f"written by process {os.getpid()}"):
            attempt(other, folder, Registry.discover(), silent)
    with pytest.raises(RunError, match="being written"):
        evaluate_run(folder, Registry.discover(), silent)
    assert Recommender.open(folder).recommend(history=["item-01"]).items  # reading needs no lock
    wait.go.set()
    thread.join()
    assert not failed
    assert metrics_of(folder) == metrics_of(finished)


def test_answers_are_filed_under_what_this_process_fitted(
    data: Path, tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no lock holds (a file system without any), a stamp that another run wrote meanwhile decides nothing."""
    folder = copy(finished, tmp_path / "run")
    shutil.rmtree(folder / "stages" / "answers-sequential-test-toy")

    def meddle(done: int, total: int, label: str) -> None:
        policy = folder / "stages" / "policy-toy"
        if label.startswith("evaluate"):
            stamp_folder(policy, "of another run")

    key = Stamp.read(finished / "stages" / "answers-sequential-test-toy").key
    evaluate_run(folder, Registry.discover(), meddle)
    assert Stamp.read(folder / "stages" / "answers-sequential-test-toy").key == key


@pytest.mark.parametrize("verb", ["recommend", "run"])
def test_a_run_that_was_stopped_between_two_settings_answers_nothing(
    data: Path, tmp_path: Path, finished: Path, verb: str
) -> None:
    folder = copy(finished, tmp_path / "run")

    def stop(done: int, total: int, label: str) -> None:
        if label == "fit popularity":
            raise KeyboardInterrupt

    delegates = [{"name": "transitions", "window": 3, "search": False}, "popularity"]
    changed = check_config(pipeline(data, delegates=delegates), "tiny.toml")
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(changed, folder, Registry.discover(), stop)
    if verb == "recommend":
        with pytest.raises(
            RunError, match=r"delegate-transitions was created again, but the run was not finished. Finish"
        ):
            Recommender.open(folder)
    else:
        run_pipeline(check_config(pipeline(data), "tiny.toml"), folder, Registry.discover(), silent)
        assert metrics_of(folder) == metrics_of(finished)


DAMAGES = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}
FILES = [
    "agent/agent.json",
    "agent/stage.json",
    "data/dataset/interactions.parquet",
    "data/dataset/manifest.json",
    "delegate-transitions/stage.json",
    "policy-toy/component/config.json",
]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_stage_is_named_and_made_anew(
    data: Path, tmp_path: Path, finished: Path, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(finished, tmp_path / "run")
    path = folder / "stages" / name
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    DAMAGES[how](path)
    with pytest.raises(SystemExit) as left:
        main(["recommend", str(folder), "--history", "item-01"])
    said = capsys.readouterr().err
    assert (left.value.code, said.count("\n")) == (2, 1)
    stage = name.partition("/")[0]
    assert f"the stage {stage} is damaged: " in said
    assert f"Repair it: reasonrec run {folder / 'config.toml'} --out {folder}." in said
    main_again = check_config(pipeline(data), "tiny.toml")
    fit_pipeline(main_again, folder, Registry.discover(), silent)
    assert Recommender.open(folder).recommend(history=["item-01"]).items
    assert json.loads((folder / "run.json").read_text())


def test_damage_that_shows_nowhere_is_found_by_reading_all(data: Path, tmp_path: Path, finished: Path) -> None:
    folder, said = copy(finished, tmp_path / "run"), list[str]()
    path = folder / "stages" / "policy-toy" / "component" / "config.json"
    before = path.stat()
    flip(path, 1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    config = check_config(pipeline(data), "tiny.toml")
    run_pipeline(config, folder, Registry.discover(), silent, verify=True, say=said.append)
    assert said == ["policy-toy is fitted again: component/config.json is damaged."]
    assert metrics_of(folder) == metrics_of(finished)


def test_a_copy_is_read_once(tmp_path: Path) -> None:
    stage, again = tmp_path / "stage", tmp_path / "copy"
    stage.mkdir()
    (stage / "a").write_text("a")
    stamp_folder(stage, "key")
    shutil.copytree(stage, again)
    os.utime(again / "a", (1, 1))
    stamp = Stamp.read(again)
    assert stamp.find_damage(again) == ""
    stamp.restore_times(again)
    assert (again / "a").stat().st_mtime_ns == (stage / "a").stat().st_mtime_ns


def test_damaged_data_in_the_cache_is_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reasonrec_core.data import open_or_import

    rows = "".join(f"u{user},i{item},{user * 7 + item}\n" for user in range(5) for item in range(4))
    (tmp_path / "interactions.csv").write_text(f"user_id,item_id,timestamp\n{rows}")
    first = open_or_import(tmp_path / "interactions.csv", tmp_path / "cache")
    flip(first.folder / "interactions.parquet", 40)
    again = open_or_import(tmp_path / "interactions.csv", tmp_path / "cache")
    again.verify()
    assert (again.hash, again.folder) == (first.hash, first.folder)


LEAVE = """
import os, sys
from pathlib import Path
from reasonrec_core.io import whole_file, whole_folder
run = Path(sys.argv[1])
with whole_folder(run / "stages" / "policy"), whole_file(run / "metrics.json"), whole_file(run / "users" / "a.parquet"):
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LEAVE, str(tmp_path)], check=False)
    left = [*tmp_path.glob(".*"), *tmp_path.glob("*/.*")]
    assert len(left) == 3
    assert all(is_leftover(path.name) for path in left)
    with whole_folder(tmp_path / "stages" / "other") as mine, whole_file(tmp_path / "mine.json") as file:
        foreign = tmp_path / "stages" / ".other.00000000-1.abcdefgh"
        foreign.mkdir()
        (tmp_path / "stages" / ".mine").mkdir()
        with RunFolder(tmp_path).locked():
            assert not any(path.exists() for path in left)
            assert mine.exists()
            assert file.exists()
            assert foreign.exists()
        os.utime(foreign, (time.time(), time.time() - 8 * 24 * 3600))
        sweep_leftovers(tmp_path / "stages")
        assert not foreign.exists()
    assert (tmp_path / "stages" / ".mine").exists()


@pytest.mark.parametrize("name", ["../data", "", "..", "a/b", "a\\b", "a\0"])
def test_no_name_in_a_run_leads_out_of_it(finished: Path, tmp_path: Path, name: str) -> None:
    folder = copy(finished, tmp_path / "run")
    with pytest.raises(RunError, match="no file in it can be called"):
        RunFolder.open(folder).require_whole(name)


def test_a_failed_command_changes_nothing(data: Path, tmp_path: Path, finished: Path) -> None:
    folder = copy(finished, tmp_path / "run")
    evaluate_run(folder, Registry.discover(), silent)
    before = all_files(folder)
    split = {"kind": "predefined"}
    for changes in ({"data": {"path": str(tmp_path / "none")}}, {"split": split}, {"seed": 3, "split": split}):
        with pytest.raises(DataError):
            run_pipeline(check_config(pipeline(data, **changes), "tiny.toml"), folder, Registry.discover(), silent)
        assert all_files(folder) == before


def test_a_moved_run_evaluates_without_the_data_that_it_was_made_from(
    data: Path, tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data, tmp_path / "sets")
    config = check_config(pipeline(tmp_path / "sets"), "tiny.toml")
    fit_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    settings = (tmp_path / "run" / "config.toml").read_bytes()
    shutil.rmtree(tmp_path / "sets")
    (tmp_path / "else").mkdir()
    (tmp_path / "run").rename(tmp_path / "else" / "moved")
    monkeypatch.chdir(tmp_path / "else")
    evaluate_run(Path("moved"), Registry.discover(), silent)
    assert metrics_of(Path("moved")) == metrics_of(finished)
    assert Path("moved/config.toml").read_bytes() == settings
    assert Recommender.open(Path("moved")).recommend(user="user-01").items
    run_pipeline(load_config(Path("moved/config.toml")), Path("moved"), Registry.discover(), silent)
    assert metrics_of(Path("moved")) == metrics_of(finished)
    other = check_config(pipeline(tmp_path / "sets", split={"negatives": 5}), "tiny.toml")
    run_pipeline(other, Path("moved"), Registry.discover(), silent)
    with pytest.raises(DataError, match="no such file"):
        run_pipeline(check_config(pipeline(tmp_path / "stes"), "tiny.toml"), Path("moved"), Registry.discover(), silent)


@pytest.mark.parametrize(
    "changes", [{"observe": {"../x": {"encoder": "text"}}}, {"delegates": [{"name": "popularity", "label": "../x"}]}]
)
def test_no_setting_leads_out_of_a_run(data: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="use letters, digits"):
        check_config(pipeline(data, **changes), "x")


@pytest.mark.parametrize(
    ("key", "value"), [("features", ["../../x"]), ("policy", ["../x", "toy"]), ("delegates", [["../x", "popularity"]])]
)
def test_no_file_of_a_run_leads_out_of_it(finished: Path, tmp_path: Path, key: str, value: object) -> None:
    """Not even where the stamp says that it is whole: whoever forges one file forges another."""
    folder = copy(finished, tmp_path / "run")
    agent = folder / "stages" / "agent"
    state = json.loads((agent / "agent.json").read_text())
    state["stages"]["policy-../x"] = state["stages"]["delegate-../x"] = ""
    (agent / "agent.json").write_text(json.dumps({**state, key: value}))
    stamp_folder(agent, "forged")
    with pytest.raises(RunError, match="no file in it can be called"):
        Recommender.open(folder)


def test_a_full_disk_is_one_message_and_nothing_half_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, real = check_config(pipeline(data), "tiny.toml"), Popularity.save

    def full(self: Popularity, folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "popularity.npy"))

    monkeypatch.setattr(Popularity, "save", full)
    with pytest.raises(PluginError, match=r"save: cannot write \(No space left on device\)\. Make room on the disk\."):
        run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    assert not (tmp_path / "run" / "stages" / "delegate-popularity").exists()
    assert not [path for path in (tmp_path / "run").rglob("*") if is_leftover(path.name)]
    monkeypatch.setattr(Popularity, "save", real)
    run_pipeline(config, tmp_path / "run", Registry.discover(), silent)


def test_a_cache_that_cannot_be_is_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("REASONREC_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(DataError, match="Set REASONREC_CACHE"):
        fit_pipeline(check_config(pipeline(data), "x"), tmp_path / "run", Registry.discover(), silent)
    assert not (tmp_path / "run").exists()


def test_odd_paths_and_links_are_paths(data: Path, tmp_path: Path) -> None:
    real = tmp_path / "a b é 日\nline"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    fit_pipeline(check_config(pipeline(data), "x"), tmp_path / "link", Registry.discover(), silent)
    evaluate_run(real, Registry.discover(), silent)
    assert (tmp_path / "link").is_symlink()
    assert Recommender.open(tmp_path / "link").recommend(history=["item-01"]).items
