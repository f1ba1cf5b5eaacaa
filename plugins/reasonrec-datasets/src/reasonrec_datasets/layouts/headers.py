"""What the first line of a delimited file says: the delimiter, the columns' names, or that it is no header."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import names_ids
from reasonrec_datasets.importing.column_parsing import Place
from reasonrec_datasets.importing.reading import current_reading

DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
TITLE_LINES = 10
UNNAMED = "\0"
"""Begins the names of columns that have none, until it is known that they hold nothing (or an index)."""
NAME_ALL = "The first line must name every column once; if it does not, number them: --column user_id=1 ..."


@dataclass(frozen=True)
class HeaderLine:
    """Names of the columns; ``there``: whether the file has a header line."""

    names: tuple[str, ...]
    there: bool = True


def find_delimiter(path: Path, header: str, excel: str | None = None) -> str:
    """The delimiter that the user names, or Excel's line, or the likeliest in the header."""
    reading = current_reading()
    if reading.delimiter is not None:
        delimiter = DELIMITERS.get(reading.delimiter, reading.delimiter)
        if re.fullmatch(r"\\x[0-9a-fA-F]{2}", delimiter):  # Hive's \x01, as a shell passes it on
            delimiter = chr(int(delimiter[2:], 16))
        if len(delimiter) != 1 and (len(set(delimiter)) != 1 or delimiter.isalnum()):
            named = ", ".join(sorted(set(DELIMITERS) - {chr(92) + "t"}))
            fix = f"Give one character, the same one several times (::), or one of {named}."
            raise DataError(f"cannot be a delimiter: {delimiter!r}", where="--delimiter", fix=fix)
        return delimiter
    if excel is not None:
        return excel
    tabs = ".tsv" in [suffix.lower() for suffix in path.suffixes]
    counts = {d: header.count(d) for d in ("\t", ",", ";", "|", "::")}
    if tabs or counts[","] == 0:
        best = max(counts, key=lambda d: (counts[d], d == "\t" if tabs else d == ","))
        if not counts[best] and " " in header.strip() and (reading.numbered or names_ids(header.split())):
            return " "
        return best if counts[best] else "\t" if tabs else ","
    return ","


def name_columns(header: Sequence[str], first: Sequence[str], path: Path, *, plain: bool) -> HeaderLine:
    """The names in the header; columns without a name get one that begins with `UNNAMED`.

    Args:
        header: the fields of the first line.
        first: the fields of the line after it.
        path: of the file, for messages.
        plain: nothing is known of the file: it may have no header, an index column, a delimiter at each line's end.

    Raises:
        DataError: no usable names, or too many columns.
    """
    reading = current_reading()
    reading.refuse_columns(len(header), path)
    names = tuple(name.strip() for name in header)
    numbers = tuple(str(n) for n in range(1, len(names) + 1))
    if plain and reading.numbered and names not in {numbers, tuple(str(n) for n in range(len(names)))}:
        return HeaderLine(numbers, there=False)
    if plain and len(first) == len(names) + 1 and not first[-1].strip():
        names = (*names, "")
    if plain and any(names):
        names = tuple(name or f"{UNNAMED}{number}" for number, name in enumerate(names, 1))
    check_names(names, path)
    return HeaderLine(names)


def find_names(start: bytes, before: int, header: str, path: Path) -> tuple[int, str]:
    """Lines before the header, and the header: where the first line names no ids and one soon after it does, that one.

    What stands above the names of the columns (the title of an export) is not read, with a note.
    """
    if current_reading().numbered or names_ids(_split(header)):
        return before, header
    lines = start.removeprefix(codecs.BOM_UTF8).split(b"\n")[before + 1 : before + 1 + TITLE_LINES]
    for number, line in enumerate(lines, before + 1):
        text = line.decode("utf-8", errors="replace").strip("\r")
        if names_ids(_split(text)) and len(_split(text)) > len([field for field in _split(header) if field.strip()]):
            what = "1 line" if number == before + 1 else f"{number - before} lines"
            current_reading().note(f"{path.name}: skipped {what} above the column names")
            return number, text
    return before, header


def _split(line: str) -> list[str]:
    return [field.strip(" \"'") for field in re.split(r"[,;|\t]|::", line)]


def drop_headers(table: pa.Table, place: Place) -> tuple[pa.Table, pa.Array | None]:
    """The table without rows that repeat its header (files put one after the other), and which rows are left."""
    names = table.column_names
    if len(names) < 2:
        return table, None
    first = table.column(0)
    if pa.types.is_dictionary(first.type):  # looked up among the few distinct cells
        codes = [pc.index(chunk.dictionary, names[0]).as_py() for chunk in first.chunks]
        if all(code < 0 for code in codes):
            return table, None
    repeated = pc.fill_null(pc.equal(_plain(first), names[0]), False)
    if not pc.any(repeated).as_py():
        return table, None
    for name in names[1:]:
        repeated = pc.and_(repeated, pc.fill_null(pc.equal(_plain(table.column(name)), name), False))
    gone = pc.sum(repeated.cast(pa.int64())).as_py()
    if not gone or gone == table.num_rows:
        return table, None
    where = place.where(pc.index(repeated, True).as_py())
    what = "1 line repeats" if gone == 1 else f"{gone:,} lines repeat"
    current_reading().note(f"{what} the column names; left out (first at {where})")
    kept = pc.invert(repeated)
    return table.filter(kept), pc.indices_nonzero(kept).cast(pa.int64())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def check_names(names: tuple[str, ...], path: Path) -> None:
    """Refuse columns without a name and two of one name."""
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(f"column {number} has no name", where=f"{path}:1", fix=NAME_ALL)
        if re.fullmatch(r"'.*'", name) and current_reading().quote is None:
            what = f"the column names are in single quotes: {name}"
            raise DataError(what, where=f"{path}:1", fix="If all fields are quoted like this: --quote single.")
        if name in seen:
            raise DataError(f"two columns are named {name!r}", where=f"{path}:1", fix=NAME_ALL)
        seen.add(name)


def drop_unnamed(table: pa.Table, path: Path, place: Place) -> pa.Table:
    """Leave out columns without a name that hold nothing, and first ones that count the rows.

    Raises:
        DataError: such a column holds something.
    """
    whole = table
    for position, name in reversed(list(enumerate(whole.column_names))):
        if not name.startswith(UNNAMED):
            continue
        column = whole.column(position)
        if column.null_count < len(column):
            if not _is_index(whole, position):
                row = pc.index(pc.is_valid(column), True).as_py()
                what = f"column {position + 1} has no name, but holds {column[row].as_py()!r}"
                where = f"{path}:1"
                raise DataError(what, where=where, fix=f"{NAME_ALL} First cell: {place.where(row, name)}.")
            which = "the first column" if not position else f"column {position + 1}"
            current_reading().note(f"{path.name}: {which} has no name and only numbers the rows, so it is ignored")
        table = table.remove_column(position)
    return table


def _is_index(table: pa.Table, position: int) -> bool:
    """Whether a column and all before it have no name and hold whole numbers; a first one different ones."""
    if any(not name.startswith(UNNAMED) for name in table.column_names[:position]):
        return False
    columns = table.columns[: position + 1]
    if any(c.null_count or not pc.all(pc.match_substring_regex(c, r"^\s*\d+\s*$")).as_py() for c in columns):
        return False
    several = position > 0 or (table.column_names[1:2] and table.column_names[1].startswith(UNNAMED))
    return bool(several) or pc.count_distinct(columns[0]).as_py() == len(columns[0])
