"""A table as it stands in a file, and where its cells stand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reasonrec_core.data.column_parsing import Place
from reasonrec_core.errors import DataError
from reasonrec_core.types import Int64


@dataclass(frozen=True)
class SourceTable:
    """Columns under the names that the importer gave them, and the place of their rows."""

    table: pa.Table
    path: Path
    place: Place

    def renamed(self, names: Mapping[str, str]) -> SourceTable:
        """Columns under new names (``{old: new}``; others keep theirs)."""
        new = [names.get(name, name) for name in self.table.column_names]
        back = {new: old for old, new in names.items()}
        return SourceTable(self.table.rename_columns(new), self.path, RenamedPlace(self.place, back))


@dataclass(frozen=True)
class RenamedPlace:
    """Looks cells up under the names that the file uses."""

    inner: Place
    names: Mapping[str, str]

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line:column``."""
        return self.inner.where(row, None if column is None else self.names.get(column, column))


@dataclass(frozen=True)
class JoinedPlace:
    """Places of tables that were put one after the other; ``starts`` holds their first rows."""

    places: Sequence[Place]
    starts: Sequence[int]

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line:column``."""
        part = int(np.searchsorted(np.asarray(self.starts), row, side="right")) - 1
        return self.places[part].where(row - self.starts[part], column)


@dataclass(frozen=True)
class RowPlace:
    """Names rows of files that have no lines."""

    path: Path

    def where(self, row: int, column: str | None = None) -> str:
        """``file, row N, column 'x'``."""
        return f"{self.path}, row {row + 1}" + (f", column {column!r}" if column else "")


@dataclass(frozen=True)
class LinePlace:
    """Rows that come from known lines of a text file; ``lines`` holds each row's line number."""

    path: Path
    lines: Sequence[int] | Int64

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line``."""
        return f"{self.path}:{self.lines[row]}"


def join(tables: Sequence[SourceTable]) -> SourceTable:
    """Tables one after the other; a column that one of them lacks is null there."""
    starts = np.concatenate([[0], np.cumsum([t.table.num_rows for t in tables])[:-1]])
    joined = pa.concat_tables([t.table for t in tables], promote_options="permissive")
    return SourceTable(joined, tables[0].path, JoinedPlace([t.place for t in tables], [int(s) for s in starts]))


def parquet_names(path: Path) -> tuple[str, ...]:
    """Column names of a Parquet file.

    Raises:
        DataError: missing or not Parquet.
    """
    try:
        names = tuple(pq.read_schema(path).names)
    except FileNotFoundError as error:
        raise DataError("the file does not exist", where=str(path)) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot be read as Parquet ({_first_line(error)})", where=str(path)) from error
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise DataError(f"two columns are named {double!r}", where=str(path), fix="Name every column once.")
    return names


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> SourceTable:
    """Columns of a Parquet file in their own types.

    Raises:
        DataError: missing, damaged, or without rows.
    """
    try:
        table = pq.read_table(path, columns=columns, memory_map=True)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot be read as Parquet ({_first_line(error)})", where=str(path)) from error
    if table.num_rows == 0:
        raise DataError("the file has no rows", where=str(path))
    return SourceTable(table, path, RowPlace(path))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
