"""What the first line of a delimited file says: the delimiter, the columns' names, or that it is no header."""

from __future__ import annotations

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
UNNAMED = "\0"
"""Begins the names of columns that have none, until it is known that they hold nothing (or an index)."""
NAME_ALL = "The first line must name every column once; without such a line, number them: --column user_id=1 ..."


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
        if len(delimiter) != 1:
            fix = f"One character, or one of {', '.join(sorted(set(DELIMITERS) - {chr(92) + 't'}))}."
            raise DataError(f"cannot be a delimiter: {delimiter!r}", where="--delimiter", fix=fix)
        return delimiter
    if excel is not None:
        return excel
    tabs = ".tsv" in [suffix.lower() for suffix in path.suffixes]
    counts = {d: header.count(d) for d in ("\t", ",", ";", "|")}
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


def check_names(names: tuple[str, ...], path: Path) -> None:
    """Refuse columns without a name and two of one name."""
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(f"column {number} has no name", where=f"{path}:1", fix=NAME_ALL)
        if name in seen:
            raise DataError(f"two columns are named {name!r}", where=f"{path}:1", fix=NAME_ALL)
        seen.add(name)


def drop_unnamed(table: pa.Table, path: Path, place: Place) -> pa.Table:
    """Leave out columns without a name that hold nothing, and a first one that counts the rows.

    Raises:
        DataError: such a column holds something.
    """
    for position, name in reversed(list(enumerate(table.column_names))):
        if not name.startswith(UNNAMED):
            continue
        column = table.column(position)
        if column.null_count < len(column):
            if position or not _is_index(column):
                row = pc.index(pc.is_valid(column), True).as_py()
                what = f"column {position + 1} has no name, but holds {column[row].as_py()!r}"
                where = f"{path}:1"
                raise DataError(what, where=where, fix=f"{NAME_ALL} First cell: {place.where(row, name)}.")
            current_reading().note(f"{path.name}: the first column has no name and numbers the rows: not read")
        table = table.remove_column(position)
    return table


def _is_index(column: pa.ChunkedArray) -> bool:
    """Whether the cells are different whole numbers."""
    whole = column.null_count == 0 and pc.all(pc.match_substring_regex(column, r"^\s*\d+\s*$")).as_py()
    return bool(whole) and pc.count_distinct(column).as_py() == len(column)
