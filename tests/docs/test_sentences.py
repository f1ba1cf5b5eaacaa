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
    r"(?<![Tt]here )\b(is|are) no (?!longer\b|more\b|better\b)",
    r"\blike any other\b",
    r"\bwhatever its\b",
    r"\bsay so\b",
    r"\bfor positives\b",
    r"\bnames of the columns\b",
    r"\b[Bb]ring (more|them|parts)\b",
    r"\bwritten otherwise\b",
    r"\bof a (smaller )?value\b",
    r"^Most (bytes|columns) ",
    r"\bbeside the log\b",
    r"\bgo(es)? with --",
    r"\b(is|are) there$",
    r"\bcounts? alike\b",
    r"\bhardly right\b",
    r"\banew\b",
    r"\bread by rule\b",
    r"\bnot by your fault\b",
    r"\bor the like\b",
    r"\bmeant to, allow\b",
    r"\bnevertheless\b",
    r"\bnames? (item|user)s? '?\{\}",
    r"\bwhere it is there\b",
    r"\b(so|all) that (it|he|she) should\b",
    r"\bspeaks? for\b",
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
    "text",
    [
        "Of AdamW, at its highest.",
        "What it took: 4 % more",
        "0 is no number",
        "1 rows are said",
        "3 of 5 cells are no numbers",
        "no shard of data is there",
        "3 rows of a value below 2 are left out",
        "read as an id like any other",
    ],
)
def test_what_was_stumbled_over_is_found(text: str) -> None:
    assert any(re.search(way, text) for way in CLUMSY)


def test_the_table_of_sentences_is_that_of_the_code(sentences: object) -> None:
    table = (ROOT / "benchmarks" / "results" / "sentences.md").read_text(encoding="utf-8")
    assert len(table.splitlines()) > 200
    found = sentences.collect_sentences()  # type: ignore[attr-defined]
    missing = sentences.find_missing(table, found)  # type: ignore[attr-defined]
    assert not missing, "\n".join(missing)
    made_up = "| before | after |\n| x | nobody says this anywhere |\n"
    assert sentences.find_missing(made_up, found) == ["nobody says this anywhere"]  # type: ignore[attr-defined]


def test_scripts_are_read(sentences: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.js").write_text('say(`<p class="a b c">${n} more items are shown</p>`); name = "just-a-key";')
    monkeypatch.setattr(sentences, "ROOT", tmp_path)
    found = list(sentences.read_script(tmp_path / "page.js"))  # type: ignore[attr-defined]
    assert [each.text for each in found] == ["{} more items are shown"]
