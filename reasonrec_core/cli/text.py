"""Text from data and from errors, made harmless for a terminal."""

from __future__ import annotations

TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that turn the direction of what follows, so that it reads as something else."""


def plain(text: str) -> str:
    """``text`` without control characters (a title may hold an escape sequence that would steer the terminal)."""
    if text.isprintable():
        return text
    import unicodedata

    def harmless(c: str) -> bool:
        return c in "\t\n" or (unicodedata.category(c) != "Cc" and c not in TURNING)

    return "".join(c if harmless(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def line(text: str) -> str:
    """`plain` text on one line, so that data cannot write lines of its own."""
    return plain(" ".join(text.split()))
