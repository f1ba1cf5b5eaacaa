"""Data frames of any library as Arrow tables, and back: pandas, polars, Arrow, DuckDB relations, by way of narwhals.

narwhals was picked because it reads all of them behind one interface without depending on any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Integral
from typing import Any, Literal, get_args

import narwhals as nw
import pyarrow as pa

from reasonrec_core.errors import ConfigError, DataError

FrameKind = Literal["pandas", "polars", "pyarrow", "duckdb"]
"""The libraries whose frames are given back."""
READABLE = "pandas, polars, Arrow or DuckDB"
FAILURES = (pa.ArrowException, TypeError, ValueError, OverflowError)


@dataclass(frozen=True)
class FramePlace:
    """Names rows of a frame, counted from 0 as its library does."""

    name: str

    def where(self, row: int, column: str | None = None) -> str:
        """``log, row 3 (counted from 0), column 'customer'``."""
        return f"{self.name}, row {row} (counted from 0)" + (f", column {column!r}" if column else "")


def name_kind(frame: Any) -> FrameKind:
    """Which library a frame is of; the default where it is of one whose frames are read but not made."""
    try:
        module = nw.from_native(frame).implementation.value
    except (TypeError, nw.exceptions.NarwhalsError):
        return default_kind()
    return next((kind for kind in get_args(FrameKind) if kind == module), default_kind())


def default_kind() -> FrameKind:
    """What is given back where no frame went in: pandas where it is installed, else Arrow tables."""
    return "pandas" if find_spec("pandas") else "pyarrow"


def check_kind(kind: str | None) -> FrameKind:
    """The kind that is asked for, by default `default_kind`.

    Raises:
        ConfigError: a library that is not known or not installed.
    """
    if kind is None:
        return default_kind()
    for known in get_args(FrameKind):
        if kind == known and find_spec(known):
            found: FrameKind = known
            return found
    there = [known for known in get_args(FrameKind) if find_spec(known)]
    raise ConfigError(f"{kind!r} frames cannot be created", where="frames", fix=f"Installed: {', '.join(there)}.")


def read_frame(frame: Any, name: str) -> pa.Table:
    """A frame as an Arrow table; a named index of pandas is a column of it.

    Text and numbers in one column become text, a whole number its digits.

    Args:
        frame: of pandas, polars, Arrow, DuckDB, or another library that narwhals reads.
        name: of the frame, for messages.

    Raises:
        DataError: it is no frame, has two columns of one name, or a cell that is neither text, number, time nor list.

    >>> import pandas as pd
    >>> read_frame(pd.DataFrame({"user_id": [1, "u2"]}), "log").column("user_id").to_pylist()
    ['1', 'u2']
    """
    try:
        opened = nw.from_native(_take_index(frame))
        if isinstance(opened, nw.LazyFrame):
            opened = opened.collect("pyarrow")
        names = [str(column) for column in opened.columns]
        columns = [opened.get_column(column) for column in opened.columns]
    except nw.exceptions.DuplicateError as error:
        raise DataError("two columns have the same name", where=name, fix="Give every column its own name.") from error
    except TypeError as error:
        fix = f"Give a data frame: {READABLE}. Files are opened with Dataset.open(path)."
        raise DataError(f"{type(frame).__name__} is not a data frame that can be read", where=name, fix=fix) from error
    place = FramePlace(name)
    return pa.table({each: _read_column(series, each, place) for each, series in zip(names, columns, strict=True)})


def write_frame(table: pa.Table, kind: FrameKind) -> Any:
    """An Arrow table as a frame of the library that is asked for."""
    if kind == "pyarrow":
        return table
    if kind == "duckdb":
        import duckdb

        return duckdb.from_arrow(table)
    return nw.from_arrow(table, backend=kind).to_native()


def _take_index(frame: Any) -> Any:
    """The same with the index of pandas among the columns, where it has a name."""
    names = getattr(getattr(frame, "index", None), "names", None)
    if names and all(name is not None and name not in frame.columns for name in names):
        return frame.reset_index()
    return frame


def _read_column(series: nw.Series[Any], name: str, place: FramePlace) -> pa.ChunkedArray | pa.Array:
    if series.dtype != nw.Object:
        return series.to_arrow()
    cells = series.to_list()
    try:
        return pa.array(cells, from_pandas=True)
    except FAILURES:
        return pa.array(_write_cells(cells, name, place), pa.string())


def _write_cells(cells: Sequence[Any], name: str, place: FramePlace) -> list[str | None]:
    """The cells of a column of mixed types as text."""
    found: list[str | None] = []
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            found.append(str(cell))
        elif isinstance(cell, Integral) and not isinstance(cell, bool):
            found.append(str(int(cell)))
        elif isinstance(cell, float):
            found.append(None if cell != cell else repr(float(cell)))
        elif cell is None or type(cell).__name__ in {"NAType", "NaTType"}:
            found.append(None)
        else:
            what = f"{name} has type {type(cell).__name__}, in a column that mixes text and numbers"
            raise DataError(what, where=place.where(row, name), fix="Use one type per column.")
    return found
