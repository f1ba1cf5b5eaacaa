"""Which encoding bytes that are not UTF-8 are most likely in: a guess for a question, never read by it unasked.

Told by letters, not by statistics of a language: item titles are short, and few of them hold anything but ASCII. (On
such files charset-normalizer takes Latin-1 for Windows-1250 and Chinese for Korean.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

SAMPLE = 1 << 16
SURE = 0.85
KANA_SURE = 0.4
HANGUL_SURE = 0.2
HANGUL = frozenset(
    "이다의는에가고을를은지기로사도하인한시자리대어정나해보수일그서라아부제주스장전동상원구만들생여국오선과우비마것세"
)
"""The syllables that Korean texts are full of; Chinese, read as Korean, is made of rare ones."""
WESTERN = frozenset("àâäáãåæçéèêëíìîïñóòôöõøœßúùûüÿ’‘“”–—…€£©®°´»«¡¿·" + "àâäáãåæçéèêëíìîïñóòôöõøœúùûü".upper())
CENTRAL = frozenset("ąćęłńóśźżáčďéěíňřšťúůýžőűăâîşţ„”–" + "ąćęłńóśźżáčďéěíňřšťúůýžőűăâîşţ".upper())
CYRILLIC = frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁІЇЄҐ«»—–№")
GREEK = frozenset("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ")
TURKISH = frozenset("ıİşŞğĞçÇöÖüÜâî")
SINGLE: Mapping[str, frozenset[str]] = {
    "cp1252": WESTERN, "cp1250": CENTRAL, "cp1251": CYRILLIC, "koi8_r": CYRILLIC, "cp1253": GREEK, "cp1254": TURKISH,
    "cp437": WESTERN, "mac_roman": WESTERN,
}  # fmt: skip
"""Encodings of one byte a letter, the commonest first, and the letters that texts in them use."""


def _leads(encoding: str, first: int, last: int) -> Callable[[str], bool]:
    """Whether a character is of the block of frequent ones: those that the standard lists first."""

    def is_frequent(letter: str) -> bool:
        try:
            return first <= letter.encode(encoding)[0] <= last
        except UnicodeEncodeError:
            return False

    return is_frequent


def _is_frequent_hangul(letter: str) -> bool:
    return letter in HANGUL


def _is_kana(letter: str) -> bool:
    return "ぁ" <= letter <= "ヿ"


DOUBLE: tuple[tuple[str, Callable[[str], bool], float], ...] = (
    ("euc_kr", _is_frequent_hangul, HANGUL_SURE),
    ("shift_jis", _is_kana, KANA_SURE),
    ("euc_jp", _is_kana, KANA_SURE),
    ("gb18030", _leads("gb2312", 0xB0, 0xD7), SURE),
    ("big5", _leads("big5", 0xA4, 0xC6), SURE),
)
"""Encodings of East Asia, what their frequent letters are, and what share of these says that it is one."""


def guess_encoding(content: bytes) -> str | None:
    """The likeliest encoding of a text that is not UTF-8, or None where nothing fits."""
    if b"\0" in content[:SAMPLE]:
        return _guess_wide(content[:SAMPLE])
    lines = [line for line in content.splitlines() if not line.isascii()]
    sample = b"\n".join(lines)[:SAMPLE]
    sample = sample[: sample.rfind(b"\n")] if len(sample) == SAMPLE and b"\n" in sample else sample
    for encoding, is_frequent, least in DOUBLE:
        letters = _letters(sample, encoding)
        if letters and sum(map(is_frequent, letters)) >= least * len(letters):
            return encoding
    scores = {encoding: _score(sample, encoding, usual) for encoding, usual in SINGLE.items()}
    best = max(scores, key=lambda encoding: scores[encoding])
    return best if scores[best] > 0 else None


def show_read(content: bytes, at: int, encoding: str) -> str:
    """The word at byte ``at``, read in ``encoding``."""
    start = content.rfind(b"\n", 0, at) + 1
    line = content[max(start, at - SAMPLE) : at + SAMPLE].partition(b"\n")[0].decode(encoding, errors="replace")
    words = (word for word in re.split(r'[,;\t|"\r]', line) if not word.isascii())
    return next(words, "")[:40].strip()


def _letters(sample: bytes, encoding: str) -> list[str]:
    try:
        return [letter for letter in sample.decode(encoding) if not letter.isascii()]
    except UnicodeDecodeError:
        return []


def _score(sample: bytes, encoding: str, usual: frozenset[str]) -> float:
    """The share of usual letters among those beyond ASCII; a capital within a word counts little."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return 0.0
    odd = [place for place, letter in enumerate(text) if not letter.isascii()]

    def weigh(place: int) -> float:
        if text[place] not in usual:
            return 0.0
        return 0.2 if text[place].isupper() and place and text[place - 1].islower() else 1.0

    return sum(map(weigh, odd)) / len(odd) if odd else 0.0


def _guess_wide(sample: bytes) -> str | None:
    """UTF-16 without a byte-order mark: zeros stand beside ASCII letters."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < len(sample) / 8:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"
