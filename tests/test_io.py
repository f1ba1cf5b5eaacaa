"""Whole files and folders: what stands in the place is replaced only where it is ours, and never half."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from reasonrec_datasets import build_dataset
from reasonrec_datasets.synth import SynthConfig, make_catalogue
from reasonrec_datasets.testing import tiny_tables

from reasonrec_core.cli.main import main
from reasonrec_core.data import SplitConfig, make_split, save_split
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import DataError
from reasonrec_core.io import hash_folder, whole_file, whole_folder, write_text
from reasonrec_core.testing.tiny import tiny_dataset

Write = Callable[[Path], object]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(params=["folder", "dataset", "split", "shop"])
def write(request: pytest.FixtureRequest, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Everything that writes a whole folder where the user says."""
    raw = tiny_tables(tmp_path_factory.mktemp("raw"))

    def bare(folder: Path) -> None:
        with whole_folder(folder, "mark") as aside:
            (aside / "mark").touch()

    writers: dict[str, Write] = {
        "folder": bare,
        "dataset": lambda folder: build_dataset(raw, folder),
        "split": lambda folder: save_split(make_split(dataset, SplitConfig()), folder, dataset),
        "shop": lambda folder: make_catalogue(folder, SynthConfig(users=20, items=20)),
    }
    return writers[request.param]


def thesis(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("my thesis")


def website(path: Path) -> None:
    path.mkdir()
    (path / "manifest.json").write_text('{"name": "a web application"}')


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (thesis, "holds other files"),
        (website, "holds other files"),
        (lambda path: path.write_text("my thesis"), "is a file, not a folder"),
        (os.mkfifo, "is a pipe or a device, not a folder"),
    ],
)
def test_what_is_not_ours_is_left_as_it_is(
    write: Write, tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    target = tmp_path / "out"
    make(target)
    before = [(path, path.lstat().st_ino) for path in (target, *target.rglob("*"))]
    with pytest.raises(DataError, match=f"{target}: {said}.*Name a"):
        write(target)
    assert [(path, path.lstat().st_ino) for path in (target, *target.rglob("*"))] == before
    assert os.listdir(tmp_path) == ["out"]


def test_a_device_is_left_as_it_is() -> None:
    for attempt in (lambda: write_text(Path("/dev/null"), "x"), lambda: whole_folder(Path("/dev/null")).__enter__()):
        with pytest.raises(DataError, match="/dev/null: is a pipe or a device"):
            attempt()
    assert Path("/dev/null").is_char_device()


def test_nothing_an_empty_folder_and_our_own_are_written(write: Write, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for target in ("out", "out", "new"):
        write(tmp_path / target)
    assert sorted(os.listdir(tmp_path)) == ["new", "out"]


def test_a_dataset_is_not_replaced_by_a_split_nor_the_other_way_round(dataset: Dataset, tmp_path: Path) -> None:
    folder = build_dataset(tiny_tables(tmp_path / "raw"), tmp_path / "set").folder
    with pytest.raises(DataError, match="holds other files"):
        save_split(make_split(dataset, SplitConfig()), folder, dataset)
    save_split(make_split(dataset, SplitConfig()), tmp_path / "split", dataset)
    with pytest.raises(DataError, match="holds other files"):
        build_dataset(tiny_tables(tmp_path / "raw"), tmp_path / "split")


def test_what_appears_while_the_folder_is_made_is_left_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds other files"), whole_folder(tmp_path / "out"):
        thesis(tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "my thesis"


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    with whole_folder(tmp_path / "out") as aside:
        (aside / "x").touch()
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "x").exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_file_takes_the_place_of_files_only(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "out")
    mode = (tmp_path / "out").lstat().st_mode
    with (
        pytest.raises(DataError, match=r"is a .*, not a file\. Name another output file"),
        whole_file(tmp_path / "out"),
    ):
        pytest.fail("the block was entered")
    assert (tmp_path / "out").lstat().st_mode == mode
    assert os.listdir(tmp_path) == ["out"]


def test_the_command_line_says_it_in_one_message(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "out")
    with pytest.raises(SystemExit) as left:
        main(["data", "split", str(dataset.folder), "--out", str(tmp_path / "out")])
    assert left.value.code == 2
    assert f"error: {tmp_path / 'out'}: is a pipe or a device, not a folder. Name another" in capsys.readouterr().err


def test_a_hash_follows_every_file_below_a_folder_but_compiled_python(tmp_path: Path) -> None:
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    files = {name: tmp_path / "code" / name for name in ("a.py", "b.toml", "stamp.json", "__pycache__/a.pyc")}
    for path in files.values():
        path.write_text("1")
    found = [hash_folder(tmp_path / "code", ["stamp.json"])]
    for name in ("stamp.json", "__pycache__/a.pyc", "a.py", "b.toml"):
        files[name].write_text("2")
        found.append(hash_folder(tmp_path / "code", ["stamp.json"]))
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 3
    one = hash_folder(files["a.py"])
    files["a.py"].write_text("3")
    assert hash_folder(files["a.py"]) != one


@pytest.mark.parametrize("deleted", [False, True])
def test_another_process_may_be_first_at_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deleted: bool
) -> None:
    """What it made stays; it may even be deleted again, as parts of a cache are whose rows stand elsewhere by now."""
    rename = os.replace

    def come_between(old: Path, new: Path) -> None:
        new.mkdir()
        (new / "made").write_text("by another")
        try:
            rename(old, new)
        finally:
            if deleted:
                shutil.rmtree(new)

    with whole_folder(tmp_path / "out", first_stays=True) as aside:
        write_text(aside / "made", "here")
        monkeypatch.setattr(os, "replace", come_between)
    left = {path.name: (path / "made").read_text() for path in tmp_path.iterdir()}
    assert left == ({} if deleted else {"out": "by another"})
