"""Where clauses of item text end: at punctuation, brackets, quotation marks, lines, and where the script changes."""

from __future__ import annotations

import re
from collections.abc import Iterator

SCRIPTS = (
    "A-Za-z\u00c0-\u024f\u1e00-\u1eff", "\u0370-\u03ff", "\u0400-\u052f", "\u0590-\u05ff", "\u0600-\u06ff",
    "\u0900-\u097f", "\u0980-\u09ff", "\u0e00-\u0e7f", "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff", "\uac00-\ud7af",
)  # fmt: skip
BOUNDS = (
    r"\n+",
    r"(?:(?<!\b\w)(?<!\b\w\w)\.|[!?:]|\.{2,})+(?=\s|$)",  # no full stop after one or two letters: "No. 4"
    '[。！？；।؟…|"“”„«»(){}\\[\\]<>]+',
    r"\s[-–—~•·*>=/\\+]+\s",
    "".join(rf"(?<!&\w{{{n}}})" for n in range(2, 7)) + ";",  # none that ends a character of HTML: "&amp;"
    r"-{2,}|[–—]|#{2,}|\*{2,}",
    r"[^\w\s!-~\u00a1-\u206f]+\s",  # signs: stars, blocks, arrows
    *(f"(?<=[{one}])\\s+(?=[^\\W\\d_{one}])" for one in SCRIPTS),
)
SENTENCE = re.compile(f"(?![A-Za-z0-9])(?:{'|'.join(BOUNDS)})")
"""What ends a sentence, or sets apart what stands beside it."""
CLAUSE = re.compile(rf"{SENTENCE.pattern}|[,،、，](?!\d)|\s(?=#\w)")
"""What ends a clause."""
TRAILING = re.compile(r"(?:[\s\-–—~•·*=/|\\:;,(\[{<\"“”„«»'‘`#>+&^،、。]|(?<!\.)\.(?!\.))+$")
LEADING = re.compile(r"^[\s\-–—~•·*=/|\\:;,.!?)\]}>\"“”»'’`#+&،、。！？]+")


def clauses(text: str) -> Iterator[tuple[int, int]]:
    """Where clauses begin and end; what parts them belongs to neither."""
    start = 0
    for bound in CLAUSE.finditer(text):
        yield start, bound.start()
        start = bound.end()
    yield start, len(text)


def ended(text: str) -> str:
    """A text without what led on to something; a bracket that this left open is closed."""
    bare = TRAILING.sub("", text)
    return f"{bare})" if bare.count("(") > bare.count(")") else bare


def begun(text: str) -> str:
    """A text without what came after something."""
    return LEADING.sub("", text)
