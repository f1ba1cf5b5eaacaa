"""The page of sentences has what users meet: errors, notes, help, settings, steps, the page."""

from __future__ import annotations

import re
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

CLUMSY = (
    r"\b(is|are) said\b",
    r"\bsaid so\b",
    r"^(Of|Told by) ",  # a description is a phrase of its own, not the end of a sentence that the name begins
    r"\bspeaks? of\b",
    r"\bspoken\b",
    r"\bthat there (is|are)\b",
    r"\bis no (id|number|candidate|folder|path|form|value|decision|model)\b",
    r"\bgo(es)? on\b",
    r"\bso many\b",
    r"\bat last\b",
    r"\bsums? up\b",
    r"\bshall\b",
    r"\b[Mm]end\b",
    r"\bit took\b",
    r"\bcame of it\b",
    r"\binconspicuous\b",
    r"\bbefore it is decided\b",
    r"\bid a line\b",
)
"""Turns of phrase that nobody who speaks English at home would use here."""


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
    assert "Can the confidence be trusted?" in page


def test_no_sentence_has_a_clumsy_turn_of_phrase(sentences: object) -> None:
    found = sentences.collect_sentences()  # type: ignore[attr-defined]
    clumsy = [f"{each.file}:{each.line}: {each.text}" for each in found for way in CLUMSY if re.search(way, each.text)]
    assert not clumsy, "\n".join(clumsy)


@pytest.mark.parametrize(
    "text", ["Of AdamW, at its highest.", "What it took: 4 % more", "0 is no number", "1 rows are said"]
)
def test_what_was_stumbled_over_is_found(text: str) -> None:
    assert any(re.search(way, text) for way in CLUMSY)
