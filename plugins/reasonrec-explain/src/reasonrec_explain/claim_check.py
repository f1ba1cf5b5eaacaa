"""Is what an explanation says true? Each claim is found in its text and looked up in the evidence.

Claims are: what stands in quotation marks, titles and labels of the catalogue wherever they occur as whole words,
aspects, and numbers. A claim is verified if the evidence holds it: a title if it is the item's or in the history, a
label if the item or the history has it, an aspect if a visible review of the item or of the user names it, a number if
it is what it is said to be (of reviews, stars, history items with a label, reviews with an aspect). What the check
cannot see are negation, and relations that are said in other words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reasonrec_core.data.catalog import normalise_text
from reasonrec_core.evaluate import Claim
from reasonrec_explain.aspects import Aspects
from reasonrec_explain.evidence import ExplanationEvidence
from reasonrec_explain.item_text import ItemText

QUOTED = re.compile(r"[\"“”«»]([^\"“”«»]{1,200})[\"“”«»]")
SHORTEST_TITLE = 2
"""Words of a title that is looked for outside quotation marks: "It" and "Heat" are words like any other."""
NUMBER = re.compile(r"(?<![\w.,-])(\d{1,9}(?:\.\d{1,4})?)(%|\s%)?(?![\w%]|[.,]\d)")
STARS = re.compile(r"\s*(?:(?:out )?of (?:5|five) )?stars?\b")
SCALE = re.compile(r"\d\s+(?:out )?of\s*$")
SHARE = re.compile(r"\s*(?:out )?of (?:the |your )?(\d+)\b(.{0,40})", re.DOTALL)
NAMING = re.compile(r"\s*reviews?(?: of (?:it|this))? (?:name|mention)s? (?:the )?([\w']+)")
REVIEWS = re.compile(r"\s*reviews?\b")
CHOICES = re.compile(r"\s*(?:items|choices|films|movies|products|things)\b")
SUBJECT = 60
"""Characters before a number in which what it counts stands."""


class ClaimKind(StrEnum):
    """What is claimed."""

    TITLE = "title"
    LABEL = "label"
    ASPECT = "aspect"
    NUMBER = "number"


@dataclass
class ClaimCounts:
    """Counts over many explanations.

    Attributes:
        texts: checked.
        without: of these, how many claim nothing.
        claims, verified: by kind.
    """

    texts: int = 0
    without: int = 0
    claims: Counter[str] | None = None
    verified: Counter[str] | None = None

    def add(self, claims: Sequence[Claim]) -> None:
        """Count one explanation."""
        self.claims, self.verified = self.claims or Counter(), self.verified or Counter()
        self.texts += 1
        self.without += not claims
        self.claims.update(claim.kind for claim in claims)
        self.verified.update(claim.kind for claim in claims if claim.verified)

    @property
    def share(self) -> float | None:
        """Verified claims of all claims, None where nothing was claimed."""
        total = sum((self.claims or Counter()).values())
        return sum((self.verified or Counter()).values()) / total if total else None


class ClaimChecker:
    """Finds and verifies claims.

    Args:
        items: words of the catalogue: what can be claimed of its items.
        aspects: what can be claimed of reviews, None where there are none.
    """

    def __init__(self, items: ItemText, aspects: Aspects | None = None) -> None:
        self._aspects = aspects
        labels = {label for name in items.fields for item in range(len(items)) for label in items.labels(item, name)}
        titles = {items.title(item) for item in range(len(items))}
        self._known: dict[tuple[str, ...], ClaimKind] = {}
        for kind, texts in ((ClaimKind.TITLE, titles), (ClaimKind.LABEL, labels)):
            for text in texts:
                said = tuple(normalise_text(text).split())
                if said and (kind is ClaimKind.LABEL or len(said) >= SHORTEST_TITLE):
                    self._known[said] = kind
        self._longest = max(map(len, self._known), default=0)

    def check(self, text: str, evidence: ExplanationEvidence) -> list[Claim]:
        """All claims of a text, each with whether the evidence holds it; total and in linear time."""
        claims = []
        for quoted in QUOTED.findall(text):
            claims.append(Claim(ClaimKind.TITLE, quoted, normalise_text(quoted) in _quotable(evidence)))
        plain = QUOTED.sub(" , ", text)
        named, rest = self._named(plain)
        for kind, said in named:
            true = said in (_titles(evidence) if kind is ClaimKind.TITLE else _labels(evidence))
            claims.append(Claim(kind, said, true))
        if self._aspects is not None:
            counts = {**(evidence.aspects or {}), **(evidence.own or {})}
            claims += [Claim(ClaimKind.ASPECT, word, word in counts) for word in self._aspects.within(rest)]
        return claims + [Claim(ClaimKind.NUMBER, said, true) for said, true in find_numbers(plain, evidence)]

    def _named(self, text: str) -> tuple[list[tuple[ClaimKind, str]], str]:
        """Titles and labels of the catalogue in a text, the longest first, and the words that are left."""
        said, found, rest, at = normalise_text(text).split(), [], [], 0
        while at < len(said):
            for size in range(min(self._longest, len(said) - at), 0, -1):
                kind = self._known.get(tuple(said[at : at + size]))
                if kind is not None:
                    found.append((kind, " ".join(said[at : at + size])))
                    at += size
                    break
            else:
                rest.append(said[at])
                at += 1
        return list(dict.fromkeys(found)), " ".join(rest)


def _quotable(evidence: ExplanationEvidence) -> set[str]:
    return _titles(evidence) | _labels(evidence)


def _titles(evidence: ExplanationEvidence) -> set[str]:
    return {normalise_text(title) for title in (evidence.title, *evidence.titles)}


def _labels(evidence: ExplanationEvidence) -> set[str]:
    own = {label for labels in evidence.fields.values() for label in labels}
    return {normalise_text(label) for label in (*own, *(evidence.labels or {}))}


def find_numbers(text: str, evidence: ExplanationEvidence) -> Iterator[tuple[str, bool]]:
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


def _true(said: str, before: str, after: str, evidence: ExplanationEvidence, names: set[str]) -> bool:
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


def _counts(evidence: ExplanationEvidence) -> dict[str, list[float]]:
    counts: dict[str, list[float]] = {}
    for group in (evidence.labels, evidence.aspects, evidence.own):
        for name, count in (group or {}).items():
            counts.setdefault(name, []).append(float(count))
    for labels in evidence.fields.values():
        for label in labels:
            counts.setdefault(label, [])
    return counts


def _counted(before: str, after: str, evidence: ExplanationEvidence) -> list[float]:
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
