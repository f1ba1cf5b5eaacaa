"""Tags in item text: those of a page set text and go alone; those of a prompt or a chat go with all that they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Span = tuple[int, int]

ANGLES = str.maketrans("‹⟨〈˂", "<<<<") | str.maketrans("›⟩〉˃", ">>>>")
ANGLED = frozenset("<‹⟨〈")
MARKED = frozenset("<[{/‹⟨〈")
HIDDEN = r"\bhidden\b|display\s*:\s*none|visibility\s*:|font-size\s*:\s*[01]\b|opacity\s*:\s*0"
"""What keeps a part of a page from being seen."""
UNSEEN = re.compile(rf"<\s*\w+\s[^<>]*(?:{HIDDEN})", re.IGNORECASE)
COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)


class Markup:
    """The tags of a text.

    Args:
        table: lists ``inline``, ``block``, ``tags`` and ``bracketed`` of names.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        inline, block, tags, bracketed = (_any(table[name]) for name in ("inline", "block", "tags", "bracketed"))
        self._inline = re.compile(rf"<\s*/?\s*(?:{inline})(?:\s[^<>]*)?/?\s*>", re.IGNORECASE)
        self._block = re.compile(rf"<\s*/?\s*(?:{block})(?:\s[^<>]*)?/?\s*>", re.IGNORECASE)
        ways = (
            rf"<{{1,3}}\s*[/!|]?\s*(?:{tags})(?!\w)[^>]*>{{0,3}}",
            rf"{UNSEEN.pattern}[^<>]*>",
            r"<\s*/?\s*[a-z]\w*<[^>]*>",
            rf"(?:\[{{1,3}}|\{{{{1,3}})\s*/?\s*(?:{bracketed})\s*:?\s*(?:\]+|\}}+)",
            rf"\(\s*/\s*(?:{tags})\s*\)",
        )
        self._tag = re.compile("|".join(ways), re.IGNORECASE)

    def unset(self, text: str) -> str:
        """A text without the tags that set it; from the first tag that hides something on, it stays as it is."""
        if ANGLED.isdisjoint(text):
            return text
        hidden = UNSEEN.search(text)
        shown = text[: hidden.start()] if hidden else text
        return self._block.sub(", ", self._inline.sub("", shown)) + text[len(shown) :]

    def tags(self, text: str) -> Iterator[Span]:
        """The first tag that speaks, written forwards; all such tags written backwards."""
        if MARKED.isdisjoint(text):
            return
        marked = text.translate(ANGLES)
        if (tag := self._tag.search(marked)) is not None:
            yield tag.span()
        if "<" in marked:
            for tag in self._tag.finditer(marked[::-1]):
                yield len(text) - tag.end(), len(text) - tag.start()

    def held(self, text: str, start: int) -> tuple[Span, int] | None:
        """What the tag or comment at ``start`` holds, and where it is over; None where there is none."""
        marked = text.translate(ANGLES)
        if (comment := COMMENT.match(marked, start)) is not None:
            return (start, start), comment.end()
        if (tag := self._tag.match(marked, start)) is None:
            return None
        closing = next((each for each in self._tag.finditer(marked, tag.end()) if "/" in each[0]), None)
        if closing is None:
            return (tag.end(), tag.end()), tag.end()
        return (tag.end(), closing.start()), closing.end()


def _any(words: Sequence[str]) -> str:
    return "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in sorted(words, key=len, reverse=True))
