"""Does a text name an item? Thoughts must not hold the answer that they lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reasonrec_core.data.catalog import normalise_text

SHORTEST = 4
"""Shorter names (``It``, ``Up``) are in any text by chance."""
ASIDE = re.compile(r"\([^()]*\)")
TURNED = re.compile(r"^(.*), (the|a|an|les?|la|il|el|der|die|das)$", re.IGNORECASE)


class TitleLeak:
    """Looks for an item's title in texts, as whole words, whatever the case and punctuation.

    Also looked for are the title without what stands in brackets (``Heat (1995)``) and with a turned article put back
    (``Usual Suspects, The``). Names shorter than four letters are not looked for: they are in any text by chance.
    """

    def __init__(self, titles: Iterable[str]) -> None:
        forms: set[str] = set()
        for title in titles:
            bare = ASIDE.sub(" ", title).strip()
            turned = TURNED.match(bare)
            forms |= {normalise_text(form) for form in (title, bare, f"{turned[2]} {turned[1]}" if turned else "")}
            if turned:
                forms.add(normalise_text(turned[1]))
        self._forms = [f" {form} " for form in forms if len(form) >= SHORTEST]

    def leaks(self, text: str) -> bool:
        """Whether the text holds one of the titles."""
        words = f" {normalise_text(text)} "
        return any(form in words for form in self._forms)
