"""The notebooks run from top to bottom on what they make themselves, and are stored with what they then show."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))
PLACES = re.compile(r"(/tmp|/home|/root|/work|/Users|[A-Z]:\\\\)[/\\]")
"""Where a machine's own files are."""


def load_execute() -> Any:
    """The function that also stores the outputs."""
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.execute


def list_outputs(book: Any) -> list[list[str]]:
    """Per cell of code the kinds of its outputs."""
    return [
        sorted({kind for output in cell.outputs for kind in output.get("data", {output.output_type: ""})})
        for cell in book.cells
        if cell.cell_type == "code"
    ]


def test_there_are_five() -> None:
    assert [path.stem.partition("-")[0] for path in BOOKS] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_no_machine_s(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    text = path.read_text(encoding="utf-8")
    assert not PLACES.search(text), PLACES.search(text)
    assert len(text) < 600_000
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count == number for number, cell in enumerate(code, 1))
    assert sum(bool(cell.outputs) for cell in code) > len(code) / 2
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_what_is_stored(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    made = load_execute()(path, tmp_path / "here")
    assert list_outputs(made) == list_outputs(nbformat.read(path, as_version=4))
