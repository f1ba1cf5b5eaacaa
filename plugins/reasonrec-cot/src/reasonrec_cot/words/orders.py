"""Finds in a text what speaks to its reader: orders, talk of prompts and answers, marks of chats.

The words are data: ``orders.toml``.

Rules are looked up by the first letters of the words that a text holds, so that a text without any of them, as nearly
every title is, costs a few look-ups.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from reasonrec_cot.words.disguises import ROT13, View, encoded, folded, views
from reasonrec_cot.words.markup import Span

NAME = "orders.toml"
KEY = 4
"""Letters by which rules are looked up."""
WORD = re.compile(r"[^\W_]+")
NUMBER = (
    r"(?:[01]?[.,]\d+|1[.,]0+|\d{1,3}\s?(?:%|percent|prozent|por ?ciento|pour cent)|"
    r"\d+\s?(?:/|of|out of|von|de|sur)\s?\d+|"
    r"one hundred percent|100)(?![\w.]\d)"
)
BETWEEN = r"[^\w\n]{1,5}"
SOME = rf"{BETWEEN}(?:\w+{BETWEEN}){{0,3}}?"
NEAR = rf"{BETWEEN}(?:\w+{BETWEEN}){{0,4}}?"
JOINED_NEAR = r".{0,14}?"

ENDS = r"\n.!?;:,\-–—\"'”#>\])(*|"
"""What may stand before the mark of a speaker."""
BEFORE, AFTER = re.compile(r"([^\W_]+)[^\w\n]*$"), re.compile(r"[^\w\n]*([^\W_]+)")
CHANCE = 12
"""Characters that what is found in letters put for others must have: fewer are found by chance."""


class Orders:
    """What of a text speaks to a reader.

    Args:
        table: as `NAME` has it.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        self._rules: list[re.Pattern[str]] = []
        self._keys: defaultdict[str, list[int]] = defaultdict(list)
        self._parts: defaultdict[str, list[int]] = defaultdict(list)
        for row in table["order"]:
            self._order(row["say"], row["about"], row.get("joined", False))
        for row in table["phrase"]:
            for phrase in row["say"]:
                self._phrase(phrase, row.get("joined", False))
        self._rotated = frozenset(key.translate(ROT13) for key in self._keys)
        self._turned = frozenset(key[::-1] for key in self._keys)
        self._part_of = re.compile("|".join(map(re.escape, sorted(self._parts, key=len, reverse=True))))
        self._forms = [(frozenset(row["any"]), re.compile(row["is"])) for row in table["form"]]
        keys = "|".join(_place(key) for key in _folded(table["keys"]))
        fields = "|".join(map(re.escape, table["fields"]))
        roles = "|".join(map(re.escape, _folded(table["roles"])))
        self._key = re.compile(rf"(?<!\w)(?:{keys})\s*(?:[:=]|\((?=['\"])|is\s*:)|;\s*(?:{fields})\s*[:=]")
        self.role = re.compile(rf"(?:^|(?<=[{ENDS}])|(?<=[{ENDS}]\s))(?:{roles})\s*:", re.IGNORECASE)
        alone = _folded(table["alone"])
        self._alone = re.compile("|".join(rf"(?:{_place(phrase)})(?!\w)" for phrase in alone))
        self._alone_keys = frozenset(
            word[:KEY].rstrip("*") for phrase in alone for word in phrase.split()[0].split("/")
        )
        self.light = frozenset(_folded(table["light"]))
        worth = {"setting": 2, "goods": 1}
        self._speech = frozenset(_folded(table["speech"]))
        self._setting = {word: n for name, n in worth.items() for word in _folded(table[name])}

    def first(self, text: str) -> Span | None:
        """Where what speaks to a reader first begins, and where that first sign of it ends; None: nowhere."""
        found = [span for view in self._views(text) for span in self._said(view)]
        held = set(text)
        for any_of, form in self._forms:
            if not held.isdisjoint(any_of) and (each := form.search(text)):
                found.append(each.span())
        if ":" in held and (each := self.role.search(text)) is not None:
            found.append(each.span())
        if (start := encoded(text)) >= 0:
            end = re.compile(r"\s|$").search(text, start)
            found.append((start, end.start() if end else len(text)))
        return min(found, default=None)

    def _views(self, text: str) -> Iterator[View]:
        """The views that may hold a rule's word."""
        heads = {word[:KEY] for word in words_of(text)}
        rotated = not self._rotated.isdisjoint(heads)
        turned = not self._turned.isdisjoint([word[-KEY:] for word in words_of(text)])
        return views(text, rotated, turned)

    def begins(self, clause: str) -> bool:
        """Whether a clause begins with an order that is one by itself, where something stands before the clause."""
        small = folded(clause).text
        for word in WORD.finditer(small):
            if self._alone.match(small, word.start()):
                return True
            if word[0] not in self.light:
                return False
        return False

    def talk(self, clause: str) -> tuple[int, int]:
        """What the words of a clause are worth: those of speech, and those about recommending."""
        words = words_of(clause)
        return len(words & self._speech), sum(self._setting[word] for word in words & self._setting.keys())

    def may_begin(self, text: str) -> bool:
        """Whether a text holds a word with which such an order begins."""
        return not self._alone_keys.isdisjoint([word[:KEY] for word in words_of(text)])

    def _said(self, view: View) -> Iterator[Span]:
        keys = self._keys.keys() & {word[:KEY] for word in WORD.findall(view.text)}
        rules = {rule for key in keys for rule in self._keys[key]}
        if view.plain and not view.text.isascii():
            rules |= {rule for part in set(self._part_of.findall(view.text)) for rule in self._parts[part]}
        for rule in rules:
            found = self._rules[rule].search(view.text)
            if found and view.plain:
                yield view.span(*found.span())
            elif found and len(found[0]) >= CHANCE:
                yield view.span(*self._widened(view.text, *found.span()))
        if (":" in view.text or "=" in view.text or "(" in view.text) and (found := self._key.search(view.text)):
            yield view.span(*found.span())

    def _widened(self, text: str, start: int, end: int) -> Span:
        """A span with the known words at both its ends."""
        known = self._speech | self._setting.keys() | self.light
        while (word := BEFORE.search(text, 0, start)) and word[1] in known:
            start = word.start(1)
        while (word := AFTER.match(text, end)) and word[1] in known:
            end = word.end(1)
        return start, end

    def _order(self, say: Sequence[str], about: Sequence[str], joined: bool) -> None:
        said, told = ("|".join(_place(each) for each in _folded(words)) for words in (say, about))
        near = JOINED_NEAR if joined else NEAR
        edges = ("", "") if joined else (r"(?<!\w)", r"(?!\w)")
        one, other = rf"(?:{said}){near}(?:{told})", rf"(?:{told}){near}(?:{said})"
        self._add(rf"{edges[0]}(?:{one}|{other}){edges[1]}", _folded(say), joined)

    def _phrase(self, phrase: str, joined: bool) -> None:
        places = _folded([phrase])[0].split()
        edges = ("", "") if joined else (r"(?<!\w)", r"(?!\w)")
        named = [place.split("/") for place in places if place not in {"..", "#", "%"}]
        rarest = max(named, key=lambda words: (min(map(len, words)), -len(words)))
        self._add(f"{edges[0]}{_place(' '.join(places), joined)}{edges[1]}", rarest, joined)

    def _add(self, pattern: str, anchors: Iterable[str], joined: bool) -> None:
        self._rules.append(re.compile(pattern))
        for anchor in anchors:
            for word in anchor.split()[0].split("/"):
                if joined:
                    self._parts[word.rstrip("*")].append(len(self._rules) - 1)
                else:
                    self._keys[word.rstrip("*")[:KEY]].append(len(self._rules) - 1)


@lru_cache(maxsize=64)
def words_of(text: str) -> frozenset[str]:
    """The words of a text, folded."""
    return frozenset(WORD.findall(folded(text).text))


def _folded(words: Iterable[str]) -> list[str]:
    return [folded(unicodedata.normalize("NFKC", word)).text for word in words]


def _place(phrase: str, joined: bool = False) -> str:
    """A phrase of the file as a regular expression over folded text."""
    made, gap = "", ""
    for place in phrase.split(" ") if not joined else phrase.split():
        if place == "..":
            gap = ".{0,10}?" if joined else SOME
            continue
        words = "|".join(_word(word) for word in place.split("/"))
        made += f"{gap}(?:{words})"
        gap = r"\s*" if joined else BETWEEN
    return made


def _word(word: str) -> str:
    if word == "#":
        return NUMBER
    return re.escape(word.rstrip("*")) + (r"\w*" if word.endswith("*") else "")


@lru_cache(maxsize=1)
def orders() -> Orders:
    """The package's own."""
    return Orders(tomllib.loads((files("reasonrec_cot.words") / NAME).read_text("utf-8")))
