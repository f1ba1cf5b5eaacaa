"""Text from data and from errors, made harmless for a terminal."""

from __future__ import annotations


def plain(text: str) -> str:
    """``text`` without control characters (a title may hold an escape sequence that would steer the terminal)."""
    if text.isprintable():
        return text
    import unicodedata

    return "".join(c if c in "\t\n" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)
