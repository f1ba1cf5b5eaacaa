"""Columns of numbers as people write them, turned into arrays; the first bad cell is named.

Everything works on whole columns; only when a column cannot be read is its first bad row looked for.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, is_text
from reasonrec_core.errors import DataError
from reasonrec_core.types import Float64

FILL_IN = "Fill it in, drop such rows (--drop-incomplete), or ignore the column (--column {}=)."
CORRECT = "Correct the row or delete it."
CAST_FAILURES = (pa.ArrowInvalid, pa.ArrowNotImplementedError)


class Place(Protocol):
    """Knows where a table's rows stand in the file they were read from."""

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line:column`` of a cell (row counted from 0)."""


def make_cell_error(what: str, place: Place | None, row: int, column: str, *, fix: str | None = None) -> DataError:
    """A `DataError` about one cell."""
    where = place.where(row, column) if place else f"row {row + 1}, column {column!r}"
    return DataError(what, where=where, fix=fix)


def count_cells(count: int) -> str:
    """ "1 cell is" or "3 cells are"."""
    return "1 cell is" if count == 1 else f"{count:,} cells are"


def decode_values(values: pa.Array) -> pa.Array:
    """The values themselves, where they are dictionary-encoded."""
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def clear_blanks(values: pa.Array) -> pa.Array:
    """Text with null where there is nothing but blanks."""
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), pa.scalar(None, values.type), values)


def find_first(mask: pa.Array) -> int:
    """The first true row, or -1; null counts as false."""
    return int(pc.index(mask, True).as_py())


def parse_numbers(column: pa.ChunkedArray | pa.Array, name: str, place: Place | None = None) -> Float64:
    """float64[N], all finite.

    Raises:
        DataError: a missing, unreadable, NaN or infinite value, with its place.
    """
    values = cast_column(flatten_column(column), pa.float64(), name, "a number", place)
    result = values.to_numpy(zero_copy_only=False)
    bad = np.flatnonzero(~np.isfinite(result))
    if len(bad):
        what = f"{name} is {result[bad[0]]}: values must be finite"
        raise make_cell_error(what, place, int(bad[0]), name, fix=CORRECT)
    return np.asarray(result, dtype=np.float64)


def cast_column(values: pa.Array, kind: pa.DataType, name: str, wanted: str, place: Place | None) -> pa.Array:
    """Cast, or say which is the first value that cannot be and where it stands."""
    values = decode_values(values)
    refuse_missing(values, name, place)
    if is_text(values.type):
        values = pc.utf8_trim_whitespace(values)
    try:
        return values.cast(kind)
    except CAST_FAILURES as error:
        row = find_cast_failure(values, kind)
        what = f"{name} {show_value(values[row])} is not {wanted}"
        raise make_cell_error(what, place, row, name, fix=CORRECT) from error


def refuse_missing(values: pa.Array, name: str, place: Place | None) -> None:
    """Refuse null, with the place of the first."""
    if values.null_count:
        row = find_first(values.is_null())
        raise make_cell_error(f"{name} is missing", place, row, name, fix=FILL_IN.format(name))


def show_value(value: pa.Scalar) -> str:
    """The value for a message; only its type where Python has no such value (a date of the year 100,000)."""
    try:
        found = value.as_py()
        return repr(found) if isinstance(found, str | bytes) else str(found)
    except (ValueError, OverflowError):
        return f"(a {value.type} out of range)"


def find_cast_failure(values: pa.Array, kind: pa.DataType) -> int:
    """The first row that cannot be cast to ``kind``, by halving; one of them cannot."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            values.slice(low, middle - low).cast(kind)
            low = middle
        except CAST_FAILURES:
            high = middle
    return low
