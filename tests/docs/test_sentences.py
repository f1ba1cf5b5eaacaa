"""The page of sentences has what users meet: errors, notes, help, settings, steps, the page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = '''
"""A docstring is not a sentence that users meet."""

@click.command("x")
def command():
    """Help of a command."""
    raise DataError(f"no column {name!r} is there", fix="Name one of the columns.")

note("this is said to users", "two words")
'''


@pytest.fixture
def sentences(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import sentences

    yield sentences
    sys.modules.pop("sentences", None)


def test_sentences_are_found_with_their_kinds(
    sentences: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module.py").write_text(CODE)
    monkeypatch.setattr(sentences, "ROOT", tmp_path)
    found = [(each.kind, each.text) for each in sentences.read_module(tmp_path / "module.py")]  # type: ignore[attr-defined]
    assert found == [
        ("help", "Help of a command."),
        ("error", "no column {} is there"),
        ("error", "Name one of the columns."),
        ("note", "this is said to users"),
    ]


def test_the_page_has_every_kind(sentences: object) -> None:
    found = sentences.collect_sentences()  # type: ignore[attr-defined]
    assert {each.kind for each in found} >= {"error", "note", "help", "setting", "metric", "page", "text"}
    page = sentences.write_page(found)  # type: ignore[attr-defined]
    assert "there is no such pipeline file" in page
    assert "How far confidence can be trusted" in page
