"""Cells of delimited text that hold the end of one line and the beginning of the next, by a quote that was none."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.reading import current_reading

if TYPE_CHECKING:
    from reasonrec_datasets.layouts.csv_reader import DelimitedFile

BREAK = r"[\r\n]"
TAB_AND_BREAK = r"[\r\n][^\t]*\t|\t[^\t]*[\r\n]"


def find_swallowed(file: DelimitedFile, table: pa.Table, encoded: Collection[str]) -> DataError | None:
    """The first cell that holds the end of one line and the beginning of the next, by a quote that was none.

    Ids and parts hold no line breaks; in other columns a line break together with a tab of a TSV betrays it, or
    lines that would be whole rows if the quotes were ordinary characters. Where the user says what quotes are
    (``--quote``), only ids are looked at.
    """
    said = current_reading().quote is not None
    for name in table.column_names:
        values = flatten_column(table.column(name))
        if name in encoded:
            row = _find_break(values)
        else:
            row = -1 if said else _find_rows_within(file, values, file.columns.index(name))
        if row >= 0:
            what = f"a quote is not closed on its line: {name} contains a line break"
            fix = "Close the quote on its line, or double it if it is part of the text. "
            fix += "If quotes are ordinary characters: --quote none. If the line break is intended: --quote double."
            return DataError(what, where=file.where(row, name), fix=fix)
    return None


def _find_rows_within(file: DelimitedFile, values: pa.Array, position: int) -> int:
    """The first cell that would be rows, were it not for a quote; -1 where there is none."""
    if file.delimiter == "\t":
        return int(pc.index(pc.match_substring_regex(values, TAB_AND_BREAK), True).as_py())
    mark, width = file.delimiter, len(file.columns)
    broken = pc.fill_null(pc.and_(pc.match_substring(values, "\n"), pc.match_substring(values, mark)), False)
    for row in pc.indices_nonzero(broken).to_pylist():
        first, *middle, last = values[row].as_py().split("\n")
        if first.count(mark) + position + 1 != width or last.count(mark) != position:
            continue
        whole = all(line.count(mark) == width - 1 for line in middle)
        if whole and f"{mark} " not in first + last and " " not in last.split(mark)[0]:
            return int(row)
    return -1


def _find_break(values: pa.Array) -> int:
    """The first id with a line break, or -1."""
    if not pa.types.is_dictionary(values.type):
        return int(pc.index(pc.match_substring_regex(values, BREAK), True).as_py())
    broken = pc.match_substring_regex(values.dictionary, BREAK)
    return pc.index(values.indices, pc.index(broken, True)).as_py() if pc.any(broken).as_py() else -1
