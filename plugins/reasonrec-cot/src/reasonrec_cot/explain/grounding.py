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
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reasonrec_core.data.catalog import normalise_text
from reasonrec_cot.explain.aspects import Aspects
from reasonrec_cot.explain.evidence import Evidence
from reasonrec_cot.explain.numbers import numbers
from reasonrec_cot.words.item_words import ItemWords

QUOTED = re.compile(r"[\"“”«»]([^\"“”«»]{1,200})[\"“”«»]")
SHORTEST_TITLE = 2
"""Words of a title that is looked for outside quotation marks: "It" and "Heat" are words like any other."""


class ClaimKind(StrEnum):
    """What is claimed."""

    TITLE = "title"
    LABEL = "label"
    ASPECT = "aspect"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a text says.

    Attributes:
        text: the words.
        verified: whether the evidence holds it.
    """

    kind: ClaimKind
    text: str
    verified: bool


@dataclass
class Grounding:
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
        self.claims.update(claim.kind.value for claim in claims)
        self.verified.update(claim.kind.value for claim in claims if claim.verified)

    @property
    def share(self) -> float | None:
        """Verified claims of all claims, None where nothing was claimed."""
        total = sum((self.claims or Counter()).values())
        return sum((self.verified or Counter()).values()) / total if total else None


class GroundingCheck:
    """Finds and verifies claims.

    Args:
        items: words of the catalogue: what can be claimed of its items.
        aspects: what can be claimed of reviews, None where there are none.
    """

    def __init__(self, items: ItemWords, aspects: Aspects | None = None) -> None:
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

    def check(self, text: str, evidence: Evidence) -> list[Claim]:
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
            held = {**(evidence.aspects or {}), **(evidence.own or {})}
            claims += [Claim(ClaimKind.ASPECT, word, word in held) for word in self._aspects.within(rest)]
        return claims + [Claim(ClaimKind.NUMBER, said, true) for said, true in numbers(plain, evidence)]

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


def _quotable(evidence: Evidence) -> set[str]:
    return _titles(evidence) | _labels(evidence)


def _titles(evidence: Evidence) -> set[str]:
    return {normalise_text(title) for title in (evidence.title, *evidence.titles)}


def _labels(evidence: Evidence) -> set[str]:
    own = {label for labels in evidence.fields.values() for label in labels}
    return {normalise_text(label) for label in (*own, *(evidence.labels or {}))}
