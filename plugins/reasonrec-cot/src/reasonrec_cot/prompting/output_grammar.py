"""The grammar of an answer: ``<observe> <deliberate> <answer> <confidence>``, written and read.

What is written always parses back to the same parts. What a model wrote may be anything: `parse` reads what is there,
never raises, and lists what is malformed, so that it can be counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

PARTS = ("observe", "deliberate", "answer", "confidence")
"""In the order in which they are written."""
TAG = re.compile(rf"<(/?)({'|'.join(PARTS)})>")
LIKE_A_TAG = re.compile(rf"<\s{{0,3}}/?\s{{0,3}}(?:{'|'.join(PARTS)})\b[^<>]{{0,40}}>", re.IGNORECASE)
NUMBER = re.compile(r"(?:0(?:\.[0-9]{1,9})?|1(?:\.0{1,9})?)")
PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)\s?%")


class Fault(StrEnum):
    """What can be wrong with an answer."""

    MISSING = "missing"
    """A part is not there."""
    EMPTY = "empty"
    """A part holds nothing."""
    UNCLOSED = "unclosed"
    """A part does not end; it is read up to the next tag."""
    STRAY = "stray"
    """A part ends that did not begin."""
    REPEATED = "repeated"
    """A part is there again; the first counts."""
    ORDER = "order"
    """A part stands before one that it must follow."""
    OUTSIDE = "outside"
    """Text stands outside the parts."""
    TAG = "tag"
    """Something is almost a tag."""
    NUMBER = "number"
    """The confidence is no number from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer's parts, None where a part is missing or empty.

    Attributes:
        confidence: in [0, 1].
        faults: what is malformed, each with the part it concerns ("" for none).
    """

    observe: str | None = None
    deliberate: str | None = None
    answer: str | None = None
    confidence: float | None = None
    faults: tuple[tuple[Fault, str], ...] = ()

    @property
    def well_formed(self) -> bool:
        """Whether nothing is malformed."""
        return not self.faults


def opening(part: str) -> str:
    """The tag that begins a part."""
    return f"<{part}>"


def closing(part: str) -> str:
    """The tag that ends a part."""
    return f"</{part}>"


def format_confidence(confidence: float) -> str:
    """A confidence as it is written, in hundredths: ``0.53``.

    Raises:
        ValueError: not in [0, 1].
    """
    if not 0.0 <= confidence <= 1.0:
        raise ValueError(f"a confidence must lie between 0 and 1, not {confidence}")
    return f"{confidence:.2f}"


def render(answer: str, confidence: float, *, observe: str | None = None, deliberate: str | None = None) -> str:
    """An answer in the grammar; parts that are None are left out.

    Raises:
        ValueError: a part is empty or holds a tag, or the confidence is not in [0, 1].
    """
    texts = {
        "observe": observe,
        "deliberate": deliberate,
        "answer": answer,
        "confidence": format_confidence(confidence),
    }
    for part, text in texts.items():
        if text is not None and (not text.strip() or LIKE_A_TAG.search(text) or TAG.search(text)):
            raise ValueError(f"the part {part} is empty or contains a tag: {text!r}")
    return "".join(f"{opening(p)}{text}{closing(p)}" for p, text in texts.items() if text is not None)


def parse(text: str, expected: Iterable[str] = PARTS) -> Parsed:
    """Read an answer.

    Args:
        text: anything.
        expected: the parts whose absence is a fault.

    Returns:
        What could be read; total: every string gives an answer, in time linear in its length.
    """
    bodies, faults = _bodies(text)
    order = [part for part in bodies if part in PARTS]
    faults += [(Fault.ORDER, b) for a, b in pairwise(order) if PARTS.index(b) < PARTS.index(a)]
    faults += [(Fault.MISSING, part) for part in expected if part not in bodies]
    faults += [(Fault.EMPTY, part) for part, body in bodies.items() if not body]
    if LIKE_A_TAG.search(TAG.sub("", text)):
        faults.append((Fault.TAG, ""))
    confidence = None
    if said := bodies.get("confidence"):
        confidence = _confidence(said)
        if confidence is None or not NUMBER.fullmatch(said):
            faults.append((Fault.NUMBER, "confidence"))
    observe, deliberate, answer = (bodies.get(part) or None for part in PARTS[:3])
    return Parsed(observe, deliberate, answer, confidence, tuple(faults))


def _bodies(text: str) -> tuple[dict[str, str], list[tuple[Fault, str]]]:
    """Each part's text, in the order in which the parts begin."""
    bodies: dict[str, str] = {}
    faults: list[tuple[Fault, str]] = []
    inside: str | None = None
    at = 0

    def take(upto: int) -> None:
        piece = TAG.sub("", text[at:upto]).strip()
        if inside is None:
            if piece:
                faults.append((Fault.OUTSIDE, ""))
        elif inside in bodies:
            faults.append((Fault.REPEATED, inside))
        else:
            bodies[inside] = piece

    for tag in TAG.finditer(text):
        closes, part = bool(tag[1]), tag[2]
        if closes and part != inside:
            faults.append((Fault.STRAY, part))
            continue  # its surroundings stay one piece
        if not closes and inside is not None:
            faults.append((Fault.UNCLOSED, inside))
        take(tag.start())
        inside, at = (None if closes else part), tag.end()
    if inside is not None:
        faults.append((Fault.UNCLOSED, inside))
    take(len(text))
    return bodies, faults


def _confidence(said: str) -> float | None:
    """A number from 0 to 1, or a percentage, which is understood and still malformed."""
    if NUMBER.fullmatch(said):
        return float(said)
    if (percent := PERCENT.fullmatch(said)) and float(percent[1]) <= 100:
        return float(percent[1]) / 100
    return None
