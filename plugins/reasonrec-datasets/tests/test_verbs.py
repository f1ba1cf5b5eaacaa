"""``reasonrec data split | fetch | synth`` as a user calls them: output, exit codes, nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from reasonrec_datasets import build_dataset, import_path
from reasonrec_datasets.download import transfer

from reasonrec_core.cli.main import main
from reasonrec_core.cli.options import terminal
from reasonrec_core.data import open_split

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(terminal, "verbosity", 0)

    def call(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["data", *map(str, args)])
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "shop"
    with pytest.raises(SystemExit) as left:
        main(["data", "synth", "--out", str(folder), "--users", "120", "--items", "60", "--image-size", "48"])
    assert left.value.code == 0
    return folder


def test_synth_writes_our_layout_and_replaces_its_own(run: Run, tmp_path: Path) -> None:
    for users in (40, 30):
        options = ("--users", users, "--items", 30, "--image-size", 32)
        code, out, _ = run("synth", "--out", tmp_path / "shop", *options)
        assert code == 0
        assert f"{users} users, 30 items" in out
        raw = import_path(tmp_path / "shop")
        assert raw.users.num_rows == users
        assert raw.items.num_rows == 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--users", "0"], "users:"),
        (["--items", "7"], "items:"),
        (["--season", "-1"], "season:"),
        (["--users", "many"], "not a valid integer"),
    ],
)
def test_synth_bad_settings(run: Run, tmp_path: Path, options: list[str], words: str) -> None:
    code, _, err = run("synth", "--out", tmp_path / "x", *options)
    assert code == 2
    assert words in err
    assert not list(tmp_path.iterdir())


def test_split_of_raw_data_prints_saves_and_opens(shop: Path, run: Run, tmp_path: Path) -> None:
    code, out, err = run("split", shop, "--negatives", 9, "--out", tmp_path / "split")
    assert code == 0, err
    assert "leave-one-out" in out
    assert "10 candidates each" in out
    dataset = build_dataset(import_path(shop), tmp_path / "dataset")
    split = open_split(tmp_path / "split", dataset)
    assert split.test.queries.candidates.shape[1] == 10
    code, out, _ = run("split", shop, "--kind", "temporal", "--json")
    facts = json.loads(out)
    assert facts["protocol"].startswith("global temporal")
    assert facts["train"]["interactions"] > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kind", "sideways"], "no splitter is called 'sideways'"),
        (["--valid", "0.7"], "has no such setting"),
        (["--kind", "ratio", "--valid", "0.7", "--test", "0.7"], "nothing for training"),
        (["--kind", "temporal", "--valid-from", "soon", "--test-from", "later"], "valid_from"),
        (["--kind", "temporal", "--valid-from", "2025-06-01"], "go together"),
        (["--kind", "predefined"], "no predefined parts"),
        (["--kind", "temporal", "--valid-from", "2001-01-01", "--test-from", "2001-02-01"], "no interactions for"),
        (["--negatives", "0"], "--negatives"),
        (["--negatives", "60"], "at most"),
        (["--min-history", "500"], "no validation users"),
    ],
)
def test_split_bad_input(shop: Path, run: Run, tmp_path: Path, options: list[str], words: str) -> None:
    code, out, err = run("split", shop, "--out", tmp_path / "split", *options)
    assert (code, out) == (2, "")
    assert words in err.lower()
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_split_does_not_write_over_other_files(shop: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    code, _, err = run("split", shop, "--out", tmp_path)
    assert code == 2
    assert "other files" in err


def test_missing_path(run: Run, tmp_path: Path) -> None:
    code, _, err = run("split", tmp_path / "nowhere")
    assert code == 2
    assert "nowhere" in err


def test_fetch_says_why_it_cannot(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(transfer, "TIMEOUT", 0.001)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    code, out, err = run("fetch", "ml-100k", "--out", tmp_path / "x")
    assert (code, out) == (2, "")
    assert "terms of use" in err
    assert "could not be fetched from any source" in err
    assert not list(tmp_path.iterdir())


def test_help_has_examples(run: Run) -> None:
    for verb in ("split", "fetch", "synth"):
        code, out, _ = run(verb, "--help")
        assert code == 0
        assert f"reasonrec data {verb}" in out
