"""Numbers in an explanation, each looked up as what it is said to be."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reasonrec_core.data.catalog import normalise_text
from reasonrec_cot.explain.evidence import Evidence

NUMBER = re.compile(r"(?<![\w.,-])(\d{1,9}(?:\.\d{1,4})?)(%|\s%)?(?![\w%]|[.,]\d)")
STARS = re.compile(r"\s*(?:(?:out )?of (?:5|five) )?stars?\b")
SCALE = re.compile(r"\d\s+(?:out )?of\s*$")
SHARE = re.compile(r"\s*(?:out )?of (?:the |your )?(\d+)\b(.{0,40})", re.DOTALL)
NAMING = re.compile(r"\s*reviews?(?: of (?:it|this))? (?:name|mention)s? (?:the )?([\w']+)")
REVIEWS = re.compile(r"\s*reviews?\b")
CHOICES = re.compile(r"\s*(?:items|choices|films|movies|products|things)\b")
SUBJECT = 60
"""Characters before a number in which what it counts stands."""


def numbers(text: str, evidence: Evidence) -> Iterator[tuple[str, bool]]:
    """Each number of a text and whether the evidence holds it as what the words around it make it.

    Understood are ``4.5 stars``, ``4 of 5 stars``, ``14 reviews``, ``3 reviews name tone``, ``20 choices``,
    ``Comedy (3)`` and ``Comedy (3 of 20)``. Any other number is true only if a title or a label of the evidence
    holds it (a year, a size). Percentages never are: the evidence has none.
    """
    names = {w for t in (evidence.title, *evidence.titles, *_counts(evidence)) for w in normalise_text(t).split()}
    for match in NUMBER.finditer(text):
        said, percent = match[1], match[2]
        before, after = text[max(match.start() - SUBJECT, 0) : match.start()], text[match.end() :][:SUBJECT].casefold()
        yield match[0], not percent and _true(said, before.casefold(), after, evidence, names)


def _true(said: str, before: str, after: str, evidence: Evidence, names: set[str]) -> bool:
    history, reviews = float(len(evidence.history)), float(evidence.reviews)
    if SCALE.search(before):
        return _equal(said, 5.0) if STARS.match(after) else any(_equal(said, whole) for whole in (history, reviews))
    if STARS.match(after):
        return evidence.stars is not None and _equal(said, evidence.stars)
    if share := SHARE.match(after):
        return any(_equal(said, count) for count in _counted(before, share[2], evidence))
    if naming := NAMING.match(after):
        return _equal(said, float((evidence.aspects or {}).get(naming[1], -1)))
    if REVIEWS.match(after):
        return _equal(said, reviews)
    if CHOICES.match(after):
        return _equal(said, history)
    if before.rstrip().endswith("(") and after.startswith(")"):
        counts = _counted(before, "", evidence)
        return any(_equal(said, count) for count in counts) if counts else said in names
    return said in names


def _counts(evidence: Evidence) -> dict[str, list[float]]:
    counts: dict[str, list[float]] = {}
    for held in (evidence.labels, evidence.aspects, evidence.own):
        for name, count in (held or {}).items():
            counts.setdefault(name, []).append(float(count))
    for labels in evidence.fields.values():
        for label in labels:
            counts.setdefault(label, [])
    return counts


def _counted(before: str, after: str, evidence: Evidence) -> list[float]:
    """The counts of the label or aspect that stands right before the number, else of those after it."""
    front, back = f" {normalise_text(before)}", f" {normalise_text(after)} "
    counts = {f" {normalise_text(name)}": values for name, values in _counts(evidence).items() if normalise_text(name)}
    ends = [name for name in counts if front.endswith(name)]
    if ends:
        return counts[max(ends, key=len)]
    return [value for name, values in counts.items() if f"{name} " in back for value in values]


def _equal(said: str, value: float) -> bool:
    """Whether a number, to as many places as it has, is the value."""
    places = len(said.partition(".")[2])
    return abs(float(said) - value) <= 0.5 * 0.1**places + 1e-9
