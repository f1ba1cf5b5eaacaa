"""What an explanation is compared with: a sentence of what the user wrote, the whole review, or its headline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from reasonrec_core.components import Settings
from reasonrec_core.types import Reviews
from reasonrec_explain.aspects import Aspects, split_sentences
from reasonrec_explain.sanitise import Sanitiser

SENTENCE_CHARACTERS = 240
"""Longest sentence that is said."""


class ReferenceSettings(Settings):
    """What counts as the user's own explanation."""

    part: Literal["sentence", "review", "summary"] = "sentence"
    """``sentence``: the first sentence of the review that names an aspect (else the first of fit length, else the
    beginning); ``review``: all of it; ``summary``: its headline, else as ``sentence``."""
    fewest_words: int = Field(default=4, ge=1)
    """Of a sentence."""
    most_words: int = Field(default=40, ge=4)
    """Of a sentence."""


def make_references(reviews: Reviews, aspects: Aspects, settings: ReferenceSettings | None = None) -> list[str]:
    """One text per review, by one rule for references and for what is retrieved."""
    settings = settings or ReferenceSettings()
    return [
        _part(text, summary, aspects, settings) for text, summary in zip(reviews.texts, reviews.summaries, strict=True)
    ]


def find_hints(texts: Sequence[str], aspects: Aspects) -> list[str | None]:
    """The first aspect that each reference names, None where it names none: the feature word of PETER+ and P5."""
    return [next(iter(aspects.within(text)), None) for text in texts]


def _part(text: str, summary: str, aspects: Aspects, settings: ReferenceSettings) -> str:
    if settings.part == "review":
        return " ".join(text.split())
    if settings.part == "summary" and summary.strip():
        return " ".join(summary.split())
    all_of_it = split_sentences(text)
    fit = [s for s in all_of_it if settings.fewest_words <= len(s.split()) <= settings.most_words]
    named = next((s for s in fit if aspects.within(s)), None)
    return named or next(iter(fit), None) or " ".join(text.split()[: settings.most_words])


def clean_sentence(reference: str, sanitiser: Sanitiser) -> str:
    """A sentence of a review to say or to learn from: reviews are untrusted, too; "" where nothing is left."""
    return sanitiser.clean(reference, SENTENCE_CHARACTERS)
