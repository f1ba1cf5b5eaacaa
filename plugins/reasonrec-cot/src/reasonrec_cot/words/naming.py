"""Keeps of an item's text what names or describes the item, and leaves out what speaks to a reader.

A text is told up to the clause in which it first speaks to its reader; what follows is that speaker's, too, and goes
with it. Where nothing stands before, the speech alone goes, with all that its tags hold, and what comes after it is
looked at in the same way.
"""

from __future__ import annotations

import re
from functools import lru_cache

from reasonrec_cot.words.clauses import CLAUSE, SENTENCE, TRAILING, begun, clauses, ended
from reasonrec_cot.words.disguises import folded, unescaped
from reasonrec_cot.words.markup import Markup, Span
from reasonrec_cot.words.orders import WORD, Orders, orders, words_of

LAST_WORD = re.compile(r"[^\W_]+['’]?$")
NAMED = re.compile(r"[^\W_]")
REPEATED = re.compile(r"^(\S.{0,60}?)(?:[\s,;/|.!\-]+\1(?!\w)){3,}\W*", re.IGNORECASE | re.DOTALL)
CLOSED = re.compile(r"(?<=[^\W\d])(?:\"|”)(?=\s*(?:[,.;:|/}\])]|\n|$|[\"“”]))")
"""A quotation mark that ends a word, with something after it that a list would have."""
JSON_NAME = re.compile(r"^\s*\{.*?[\"'](?:title|name)[\"']\s*:\s*[\"']([^\"']*)[\"']", re.IGNORECASE | re.DOTALL)
TALK = 3
"""What the words of a clause are worth that is no name."""
MOST_SPEECH = 12
"""Times that a text may speak to its reader before anything is named in it: longer, it names nothing."""


class Naming:
    """Keeps what names an item.

    Args:
        rules: what speaks to a reader; the package's own where None.
    """

    def __init__(self, rules: Orders | None = None) -> None:
        self.rules = rules or orders()
        self.markup = Markup(self.rules.table)

    def title(self, text: str) -> str:
        """What of a title names the item: of its first line that does; "" where none does."""
        if "\n" not in text:
            return self.kept(text)
        return next((kept for line in text.split("\n") if NAMED.search(kept := self.kept(line))), "")

    def kept(self, text: str, prose: bool = False) -> str:
        """What of a text does not speak to its reader, "" where all of it does.

        Args:
            text: a label or a line of a title; of several lines where it is ``prose``.
            prose: sentences are to be expected, which are no speech for being sentences.
        """
        while True:  # what is left out may bring together what then speaks
            plain = unescaped(text)
            done = self._kept(plain, prose)
            if done in (plain, text):
                return text
            text = done

    def _kept(self, text: str, prose: bool, tries: int = MOST_SPEECH) -> str:
        if (named := JSON_NAME.match(text)) is not None:
            return self._kept(named[1], prose, tries - 1)
        left, held = _once(self.markup.unset(text)), ""
        for dropped in range(tries):
            found = self._first(left, bool(dropped), prose)
            if found is None:
                return left if left == text else ended(begun(left))
            before = self._before(left, found[0], prose)
            if NAMED.search(before):
                return self._kept(before, prose, tries - 1)
            rest, inside = self._after(left, found)
            held = inside if NAMED.search(inside) else held
            left = begun(rest)
            if not left:
                return self._kept(held, prose, tries - 1)
        return ""

    def _first(self, text: str, later: bool, prose: bool) -> Span | None:
        signs = [self.rules.first(text), self._alone(text), _broken_fence(text)]
        if not prose:
            signs += [self._talks(text, later), self._again(text)]
        spans = [found for found in signs if found]
        spans += self.markup.tags(text)
        return min(spans, default=None)

    def _alone(self, text: str) -> Span | None:
        """A later clause that begins with an order."""
        if not self.rules.may_begin(text):
            return None
        return next(((a, b) for a, b in clauses(text) if a and self.rules.begins(text[a:b])), None)

    def _talks(self, text: str, later: bool) -> Span | None:
        """The first clause that talks about recommending; a text's first clause counts where it is a ``later`` one."""
        speech, setting = self.rules.talk(text)
        if not setting or speech + setting < TALK:
            return None
        for start, end in clauses(text):
            speech, setting = self.rules.talk(text[start:end])
            if setting and speech + setting >= TALK and (later or start):
                return start, end
        return None

    def _before(self, text: str, start: int, prose: bool) -> str:
        """What stands before the clause of ``start``; in a first clause, before the words that lead up to it."""
        bounds = [bound for bound in CLAUSE.finditer(text) if bound.start() <= start]
        while bounds and not prose and self._leads(text, bounds):
            bounds.pop()
        if bounds and bounds[-1].start():
            return ended(text[: bounds[-1].start()])
        before = TRAILING.sub("", text[:start])
        while (word := LAST_WORD.search(before)) and folded(word[0].strip("'’")).text in self.rules.light:
            before = TRAILING.sub("", before[: word.start()])
        return ended(before)

    def _again(self, text: str) -> Span | None:
        """A later clause that is the name of the first, of several words, again, or says something about it."""
        words = WORD.findall(text)
        if len(words) - len(set(words)) < 2:
            return None
        bound = CLAUSE.search(text)
        name = folded(text[: bound.start()]).text.strip() if bound else ""
        if " " not in name or folded(text).text.count(name) < 2:
            return None
        for start, end in clauses(text):
            clause = folded(text[start:end]).text.strip()
            if start and name in clause:
                speech, setting = self.rules.talk(clause.replace(name, " "))
                listed = text[:start].rstrip().endswith(",")  # "New York, New York"
                if setting + speech >= 2 or (clause == name and not listed):
                    return start, end
        return None

    def _leads(self, text: str, bounds: list[re.Match[str]]) -> bool:
        """Whether the clause before the last bound leads up to what follows it, and is no first clause."""
        if len(bounds) < 2:
            return False
        before = text[bounds[-2].end() : bounds[-1].start()]
        if not NAMED.search(before) or ":" in bounds[-1][0] or any(self.rules.talk(before)):
            return True
        return words_of(before) <= self.rules.light

    def _after(self, text: str, found: Span) -> tuple[str, str]:
        """What follows speech that a text begins with, and what its tag or role holds."""
        start, end = found
        role = self.rules.role.match(text, start)
        if role:
            following = self.rules.role.search(text, role.end())
            stop = following.start() if following else len(text)
            return text[stop:], text[role.end() : stop]
        if (tag := self.markup.held(text, start)) is not None:
            (first, last), over = tag
            return text[over:], text[first:last]
        if text[end - 1] in ")]}>":
            return text[end:], ""
        bound = SENTENCE.search(text, max(end, start + 1))
        return (text[bound.start() :] if bound else ""), ""


def _broken_fence(text: str) -> Span | None:
    """A quotation mark that closes what was never opened, and what follows it."""
    found = CLOSED.search(text) if '"' in text or "”" in text else None
    if found is None or any(mark in text[: found.start()] for mark in '"“„'):
        return None
    return found.span()


def _once(text: str) -> str:
    """A text that says one thing again and again, said once."""
    words = text.split()
    if len(words) < 4 or len(set(words)) > len(words) / 2:
        return text
    found = REPEATED.match(text)
    if found is None:
        return text
    rest = text[found.end() :]
    return found[1] if found[1].lower().startswith(rest.strip().lower()) else f"{found[1]} {rest}"


@lru_cache(maxsize=1)
def naming() -> Naming:
    """By the package's own words."""
    return Naming()
