"""Lists that are written into a cell of text, as JSON or as Python prints them."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

LIST = r"^\s*(\[[\s\S]*\]|\([\s\S]*,[\s\S]*\)|\{[\s\S]*\}|set\(\))\s*$"
OPENS = ("[", "(", "{", "set()")
POSTGRES = re.compile(r'\{((?:"(?:[^"\\]|\\.)*"|[^{},"\\]*)(?:,(?:"(?:[^"\\]|\\.)*"|[^{},"\\]*))*)\}')
ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,]+)')
"""Of PostgreSQL's arrays: ``{Tea,"Mug, blue"}``."""
BROKEN = r"^\s*\[\s*[\"'{]|[\"'}]\s*\]\s*$"
"""How a cell begins or ends that was meant to be a list of texts or objects."""
NO_COMMA = re.compile(r"(?<=['\"])\s+(?=['\"])")
"""Between texts of a NumPy array; Python would read both as one text."""
LITERAL_BYTES = 1 << 20
LEFT_ALONE = frozenset({"title"})
"""A title may stand in brackets."""
SENTENCES = frozenset({"description"})


def parse_list(cell: str, *, postgres: bool = False) -> list[str] | None:
    """The elements of a list (tuple, set, with ``postgres`` ``{a,b}``) as texts, without empty ones; None for others.

    Lists in lists are one list; of objects, as in ``[{"id": 18, "name": "Drama"}]``, the name is taken.
    """
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        value = read_literal(NO_COMMA.sub(", ", cell))
    if isinstance(value, set):
        value = sorted(value, key=str)
    if isinstance(value, tuple):
        value = list(value)
    if postgres and not isinstance(value, list) and (array := POSTGRES.fullmatch(cell.strip())):
        pairs = ELEMENT.findall(array[1])
        value = [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in pairs if plain != "NULL"]
    if not isinstance(value, list):
        return None
    return join_elements(value)


def join_elements(values: list[Any]) -> list[str] | None:
    """The elements as texts, by the rule of `parse_list`; None where one of them has none."""
    words: list[str] = []
    return words if _add_words(values, words) else None


def find_lists(values: pa.Array) -> pa.Array:
    """bool[N]: cells that may be lists; null is none."""
    return pc.fill_null(pc.match_substring_regex(values, LIST), False)


def join_written_lists(values: pa.Array, name: str, separator: str, notes: list[str] | None = None) -> pa.Array:
    """Text with the elements of lists joined by ``separator``; cells that are no lists stay as they are."""
    if name in LEFT_ALONE or not pc.any(find_lists(values)).as_py():
        return values
    codes = pc.dictionary_encode(values)
    joined: list[str | None] = []
    listed: list[bool] = []
    cells = codes.dictionary.to_pylist()
    postgres = all(POSTGRES.fullmatch(cell.strip()) for cell in cells) and any("," in cell for cell in cells)
    for cell in cells:
        words = parse_list(cell, postgres=postgres) if cell and cell.strip().startswith(OPENS) else None
        listed.append(words is not None)
        mark = " " if name in SENTENCES else separator
        joined.append(cell if words is None else mark.join(words) or None)
    count = pc.sum(pc.cast(pa.array(listed).take(codes.indices), pa.int64())).as_py() or 0
    if notes is not None and count:
        example = codes.dictionary[listed.index(True)].as_py()
        what = "1 cell was read as a list" if count == 1 else f"{count:,} cells were read as lists"
        notes.append(f"{name}: {what} (JSON or Python), e.g. {example[:60]!r}")
    if notes is not None:
        notes += _note_unread_lists(codes, listed, name)
    return pa.array(joined, values.type).take(codes.indices)


def _note_unread_lists(codes: pa.DictionaryArray, listed: list[bool], name: str) -> list[str]:
    """A sentence on cells that begin or end like a list and are none."""
    looks = pc.fill_null(pc.match_substring_regex(codes.dictionary, BROKEN), False).to_pylist()
    odd = [look and not is_list for look, is_list in zip(looks, listed, strict=True)]
    if name in SENTENCES or not any(odd):
        return []
    count = pc.sum(pa.array(odd).take(codes.indices).cast(pa.int64())).as_py() or 0
    what = "1 cell looks" if count == 1 else f"{count:,} cells look"
    example = codes.dictionary[odd.index(True)].as_py()
    return [f"WARNING: {name}: {what} like a list but cannot be read as one, kept as text, e.g. {example[:60]!r}"]


def read_literal(text: str) -> Any:
    """What Python prints of an object, as in the dumps of Amazon (2014) and Steam; None where it is nothing of that.

    A text of more than `LITERAL_BYTES` is not read: Python's parser takes a hundred times its size in memory.
    """
    if len(text) > LITERAL_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # escapes that Python does not know
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _add_words(value: Any, words: list[str]) -> bool:
    """Add the elements to ``words``; False where one of them is neither text nor a number nor has a name."""
    for each in value:
        if isinstance(each, list):
            if not _add_words(each, words):
                return False
            continue
        if isinstance(each, dict):
            each = each.get("name")
            if not isinstance(each, str):
                return False
        if each is not None and not isinstance(each, (str, int, float)):
            return False
        if each is not None and (word := str(each).strip()):
            words.append(word)
    return True
