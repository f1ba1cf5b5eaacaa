"""Other ways to write a text that a language model reads as easily: what is hidden in item text is found in these.

Each view of a text keeps, for every character, where it came from, so that what is found in a view can be cut from
the text itself.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

ROT13 = str.maketrans({chr(c): codecs.encode(chr(c), "rot13") for c in range(ord("a"), ord("z") + 1)})
LEET = str.maketrans("013457@$!|", "oieastasil")
LOOKALIKES = str.maketrans("аеорсухівкмнтзјѕԁɡαβεικνορτυωϲ", "aeopcyxibkmhtsjsdgabeikvoptuwc")
"""Cyrillic and Greek letters that are drawn like Latin ones, after accents are gone."""
LEETED = re.compile(r"[013457@$!|]+(?:(?<=[^\W\d_].)|(?<=[^\W\d_]..))[^\W\d_]|\b[013457@$!|][^\W\d_]{2}")
SPACED = re.compile(
    r"(?<![^\W_])[^\W\d_](?:([ .\-_*])[^\W\d_])(?:\1[^\W\d_]){3,}(?:\1{2,}[^\W\d_](?:\1[^\W\d_])*)*(?![^\W_])"
)
HYPHENED = re.compile(r"(?<=[^\W\d_])[-.*_·](?=[^\W\d_])")
ESCAPED = re.compile(
    r"&(?:lt|gt|quot|apos|nbsp|#\d{2,6}|#x[0-9a-f]{2,5});|%[0-9a-f]{2}|\\(?:u[0-9a-f]{4}|x[0-9a-f]{2}|n|t)",
    re.IGNORECASE,
)
BACKSLASHED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrt]))")
BLOB = re.compile(r"(?<![\w+/=-])(?:[A-Za-z0-9+/_-]{12,}={0,2}|(?:[01]{8} ?){4,})(?![\w+/=])")
READABLE = 0.75
"""Share of letters and blanks in what decodes to a text."""


@dataclass(frozen=True, slots=True)
class View:
    """A text as it may be read.

    Attributes:
        text: folded: small letters without accents.
        at: place of each character in the text that it is a view of; None where they are the same.
        plain: whether its letters are those of the text.
    """

    text: str
    at: tuple[int, ...] | None = None
    plain: bool = True

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where characters ``start`` to ``end`` (not included) come from."""
        if self.at is None:
            return start, end
        places = self.at[start:end]
        return min(places), max(places) + 1


def folded(text: str) -> View:
    """Small letters, no accents, no marks that combine."""
    if text.isascii():
        return View(text.lower())
    made = [(c, n) for n, raw in enumerate(text) for c in _plain(raw)]
    return View("".join(c for c, _ in made), tuple(n for _, n in made))


@lru_cache(maxsize=65536)
def _plain(character: str) -> str:
    if unicodedata.category(character) == "Mn":
        return ""
    if ord(character) < 0x530 or 0x1E00 <= ord(character) < 0x2000:
        character = unicodedata.normalize("NFD", character)[0]
    small = character.lower()
    return {"ı": "i", "ł": "l", "đ": "d", "ø": "o", "ß": "s"}.get(small, small[0])


def views(text: str, rotated: bool = True, turned: bool = True) -> Iterator[View]:
    """The text folded, and what it is in disguises; ``rotated`` by 13 letters and ``turned`` round if asked for."""
    plain = folded(text)
    yield plain
    if rotated:
        yield View(plain.text.translate(ROT13), plain.at, plain=False)
    if LEETED.search(plain.text):
        yield View(plain.text.translate(LEET), plain.at, plain=False)
    if not plain.text.isascii():
        yield View(plain.text.translate(LOOKALIKES), plain.at, plain=False)
    if turned:
        places = range(len(text) - 1, -1, -1) if plain.at is None else reversed(plain.at)
        yield View(plain.text[::-1], tuple(places), plain=False)
    if SPACED.search(plain.text):
        yield _joined(plain)
    if hyphens := {found.start() for found in HYPHENED.finditer(plain.text)}:
        kept = [n for n in range(len(plain.text)) if n not in hyphens]
        at = tuple(n if plain.at is None else plain.at[n] for n in kept)
        yield View("".join(plain.text[n] for n in kept), at, plain=False)


def _joined(plain: View) -> View:
    """Letters that stand apart, put together; a wider gap ends a word."""
    made: list[tuple[str, int]] = []
    done = 0
    for found in SPACED.finditer(plain.text):
        made += [(plain.text[n], n) for n in range(done, found.start())]
        gap = found[1]
        for n in range(found.start(), found.end()):
            wide = plain.text[n] == gap and plain.text[n + 1 : n + 2] == gap
            if plain.text[n] != gap or wide:
                made.append((" " if wide else plain.text[n], n))
        done = found.end()
    made += [(plain.text[n], n) for n in range(done, len(plain.text))]
    at = tuple(n if plain.at is None else plain.at[n] for _, n in made)
    return View("".join(c for c, _ in made), at)


def unescaped(text: str) -> str:
    """The text with what HTML, URLs and programs write for characters put back; the text itself where there is none."""
    if not ESCAPED.search(text):
        return text
    plain = BACKSLASHED.sub(_character, unquote(html.unescape(text), errors="ignore"))
    return unicodedata.normalize("NFKC", plain)


def _character(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code and not 0xD800 <= int(code, 16) < 0xE000 else " "


def encoded(text: str) -> int:
    """Where a word begins that is a text in base64, hexadecimal or binary digits; -1 where there is none."""
    for found in BLOB.finditer(text):
        if _readable(found[0].replace(" ", "")):
            return found.start()
    return -1


def _readable(word: str) -> bool:
    for decode in (_binary, binascii.unhexlify, _base64):
        try:
            text = decode(word).decode("utf-8")
        except (ValueError, UnicodeDecodeError):
            continue
        told = sum(c.isalpha() or c == " " for c in text)
        if len(text) >= 6 and text.isprintable() and told >= READABLE * len(text):
            return True
    return False


def _binary(word: str) -> bytes:
    if set(word) - set("01") or len(word) % 8:
        raise ValueError("not binary digits")
    return bytes(int(word[n : n + 8], 2) for n in range(0, len(word), 8))


def _base64(word: str) -> bytes:
    bare = word.rstrip("=")
    return base64.b64decode(
        bare + "=" * (-len(bare) % 4), altchars=b"-_" if set("-_") & set(word) else None, validate=True
    )
