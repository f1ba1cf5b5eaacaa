"""What is written is read back; whatever a model writes is read without an error, and its faults are named."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from injections import SPECIAL, TEXTS
from reasonrec_cot.prompting.output_grammar import LIKE_A_TAG, PARTS, TAG, parse, render
from reasonrec_explain.sanitise import Sanitiser, TextLimits, fence

TAGS = [*(f"<{p}>" for p in PARTS), *(f"</{p}>" for p in PARTS)]
B, D, A = "<observe>o</observe>", "<deliberate>d</deliberate>", "<answer>A</answer>"
PLAIN = st.text(st.characters(exclude_characters="<>"), min_size=1).map(str.strip).filter(bool)
WILD = st.lists(st.one_of(st.sampled_from([*TAGS, "<", ">", "0.5", "</", "<Answer >"]), st.text(max_size=5))).map(
    "".join
)
CLEANER = Sanitiser(TextLimits(), SPECIAL)


@given(PLAIN, PLAIN, PLAIN, st.floats(0, 1))
def test_what_is_written_is_read_back(observe: str, deliberate: str, answer: str, confidence: float) -> None:
    read = parse(render(answer, confidence, observe=observe, deliberate=deliberate))
    assert (read.observe, read.deliberate, read.answer) == (observe, deliberate, answer)
    assert read.confidence == round(confidence, 2)
    assert read.well_formed
    assert parse(render(answer, confidence), ("answer", "confidence")).well_formed


@given(TEXTS)
def test_no_item_text_changes_how_an_answer_is_read(text: str) -> None:
    title, value = fence(CLEANER.clean_title(text)), CLEANER.clean_value(text)
    for clean in (title, value, CLEANER.clean(text, 120)):
        assert not TAG.search(clean)
        assert not LIKE_A_TAG.search(clean)
        assert not LIKE_A_TAG.search(unicodedata.normalize("NFKC", clean))
    said = parse(
        f"<observe>had {title}</observe><deliberate>so {value}.</deliberate>"
        "<answer>B</answer><confidence>0.20</confidence>"
    )
    assert (said.answer, said.confidence, said.faults) == ("B", 0.2, ())


@given(WILD)
def test_any_text_is_read_without_an_error(text: str) -> None:
    read = parse(text)
    assert read.confidence is None or 0 <= read.confidence <= 1
    for part in (read.observe, read.deliberate, read.answer):
        assert part is None or (part.strip() == part and part and not any(tag in part for tag in TAGS))
    complete = None not in (read.observe, read.deliberate, read.answer, read.confidence)
    assert complete or read.faults, "what is missing is a fault"


@pytest.mark.parametrize(
    ("text", "answer", "confidence", "faults"),
    [
        ("", None, None, {"missing observe", "missing deliberate", "missing answer", "missing confidence"}),
        (f"{B}{D}<answer>A", "A", None, {"unclosed answer", "missing confidence"}),
        (f"<observe>o{D}{A}<confidence>0.5</confidence>", "A", 0.5, {"unclosed observe"}),
        (f"{B}{D}{A}<answer>B</answer><confidence>1</confidence>", "A", 1.0, {"repeated answer"}),
        (f"{D}{B}{A}<confidence>1</confidence>", "A", 1.0, {"order observe"}),
        (f"Sure! {B}{D}{A}<confidence>0.1</confidence>", "A", 0.1, {"outside"}),
        (f"{B}{D}<answer></answer><confidence>.5</confidence>", None, None, {"empty answer", "number confidence"}),
        (f"{B}{D}{A}<confidence>80 %</confidence>", "A", 0.8, {"number confidence"}),
        (f"{B}{D}{A}<confidence>1.2</confidence>", "A", None, {"number confidence"}),
        (f"{B}</deliberate>{D}{A}<confidence>0</confidence>", "A", 0.0, {"stray deliberate"}),
        (f"{B}{D}< Answer >B{A}<confidence>0</confidence>", "A", 0.0, {"outside", "tag"}),
    ],
)  # fmt: skip
def test_faults_are_named(text: str, answer: str | None, confidence: float | None, faults: set[str]) -> None:
    read = parse(text)
    assert (read.answer, read.confidence) == (answer, confidence)
    assert {f"{fault} {part}".strip() for fault, part in read.faults} == faults
    assert not read.well_formed


def test_reading_takes_time_in_proportion_to_the_text() -> None:
    start = time.perf_counter()
    for text in ("<answer>" * 40_000, "< " * 100_000, "<" + " " * 200_000, "<observe " * 50_000):
        parse(text)
    assert time.perf_counter() - start < 60, "in proportion it is a second, by the square hours"


@pytest.mark.parametrize(("answer", "confidence"), [("", 0.5), ("A</answer>", 0.5), ("A", 1.5), ("A", float("nan"))])
def test_what_cannot_be_read_back_is_not_written(answer: str, confidence: float) -> None:
    with pytest.raises(ValueError):
        render(answer, confidence)
