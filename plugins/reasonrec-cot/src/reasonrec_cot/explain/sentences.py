"""Reviews as sentences and words."""

from __future__ import annotations

import html
import re

SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s*(?=[A-Z\"'(])|(?<=[.!?])\s+|\s*\n+\s*")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
MOST_CHARACTERS = 20_000
"""Of a review, that are read."""


def sentences(text: str) -> list[str]:
    """The sentences of a review, entities of HTML resolved, blanks made single.

    Reviews often lack the blank after a full stop ("affordable.I did"): a capital letter is enough.
    """
    pieces = SENTENCE.split(html.unescape(text[:MOST_CHARACTERS]))
    return [piece for piece in (" ".join(p.split()) for p in pieces) if piece]


def words(text: str) -> list[str]:
    """Lower-case words of letters."""
    return [word.casefold().replace("’", "'") for word in WORD.findall(text)]
