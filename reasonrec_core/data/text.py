"""Texts made comparable."""

from __future__ import annotations

import re
import unicodedata


def normalised(text: str | None) -> str:
    """Case, width, accents' encoding, punctuation and spacing removed; "" for None."""
    folded = unicodedata.normalize("NFKC", text or "").casefold()
    return " ".join(re.sub(r"[\W_]+", " ", folded).split())
