"""What data sources hand over: tables under our column names, with the places of their rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import take_column
from reasonrec_datasets.importing.baskets import unfold_baskets
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.column_parsing import Place, cast_column
from reasonrec_datasets.importing.file_order import ask_for_time
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.unread_columns import note_unread

ENCODED = frozenset({"user_id", "item_id", "part"})
"""Columns of a log with few distinct values for their rows."""


class OpenTable(Protocol):
    """A table whose columns are known and read when they are asked for; a `SourceTable` is one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def path(self) -> Path:
        """Where the table is."""

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        """The columns in ``wanted`` (all if None); those in ``encoded`` may come as dictionaries."""


@dataclass(frozen=True)
class SourceTable:
    """A table as it stands in a file, under the names that its source gave the columns, and the place of its rows."""

    table: pa.Table
    path: Path
    place: Place

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.table.column_names)

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        """The columns in ``wanted`` (all if None); a table in memory is as it is, so nothing is encoded."""
        kept = [name for name in self.names if wanted is None or name in wanted]
        return replace(self, table=self.table.select(kept))

    def rename(self, names: Mapping[str, str]) -> SourceTable:
        """Columns under new names (``{old: new}``; others keep theirs)."""
        new = [names.get(name, name) for name in self.table.column_names]
        back = {new: old for old, new in names.items()}
        return SourceTable(self.table.rename_columns(new), self.path, _RenamedPlace(self.place, back))


@dataclass(frozen=True)
class _RenamedPlace:
    """Looks cells up under the names that the file uses."""

    inner: Place
    names: Mapping[str, str]

    def where(self, row: int, column: str | None = None) -> str:
        return self.inner.where(row, None if column is None else self.names.get(column, column))


@dataclass(frozen=True)
class RowPlace:
    """Names rows of sources that have no lines (Parquet, Arrow, a database's table)."""

    path: Path | str

    def where(self, row: int, column: str | None = None) -> str:
        """``file, row N, column 'x'``."""
        return f"{self.path}, row {row + 1}" + (f", column {column!r}" if column else "")


@dataclass(frozen=True)
class TakenPlace:
    """Rows that were taken from a table; ``rows`` says which."""

    inner: Place
    rows: pa.Array

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line:column``."""
        return self.inner.where(int(self.rows[row].as_py()), column)


def read_log(source: OpenTable, columns: ColumnMatcher) -> SourceTable:
    """A log under our column names; other columns are not read.

    Raises:
        DataError: no column is the time, but one looks like it: the order of the file does not replace it unasked.
    """
    source = _join_time(source, columns)
    return read_matched(source, columns.match("interactions", source.names, source.path), columns)


def read_matched(source: OpenTable, matched: dict[str, str], columns: ColumnMatcher) -> SourceTable:
    """The columns of a log that are matched, with a note on the others."""
    columns.note_unused(source.names, matched, source.path)
    rest = [name for name in source.names if name not in matched]
    if "event" not in matched.values():
        columns.notes += [f"{source.path.name}: {words}" for words in note_unread(source, rest)]
    if rest and "timestamp" not in {*matched.values(), *columns.left_out}:
        user = next(theirs for theirs, ours in matched.items() if ours == "user_id")
        ask_for_time(source.read([*rest, user]).table, user, source.path)
    encoded = [theirs for theirs, ours in matched.items() if ours in ENCODED]
    found = source.read(matched, encoded).rename(matched)
    notes: list[str] = []
    table, place = unfold_baskets(found.table, found.place, notes)
    columns.notes += [f"{source.path.name}: {words}" for words in notes]
    return SourceTable(table, found.path, place)


@dataclass(frozen=True)
class _JoinedTable:
    """A table with one column made of several: the day and the time of day, or year, month and day."""

    inner: OpenTable
    name: str
    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*(name for name in self.inner.names if name not in self.parts), self.name)

    @property
    def path(self) -> Path:
        return self.inner.path

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        kept = [name for name in self.names if wanted is None or name in wanted]
        plain = [name for name in kept if name != self.name]
        found = self.inner.read([*plain, *self.parts], encoded)
        table = found.table.select(plain)
        if self.name in kept:
            columns = [(part, take_column(found.table, part)) for part in self.parts]
            halves = [cast_column(column, pa.string(), part, "text", found.place) for part, column in columns]
            table = table.append_column(self.name, pc.binary_join_element_wise(*halves, " "))
        return SourceTable(table, found.path, _RenamedPlace(found.place, {self.name: self.parts[0]}))


def _join_time(source: OpenTable, columns: ColumnMatcher) -> OpenTable:
    """The table with the column that ``timestamp=DATE+TIME`` (or more of them) asks for."""
    for name in columns.named:
        parts = tuple(name.split("+"))
        if len(parts) > 1 and name not in source.names and set(parts) <= set(source.names):
            return _JoinedTable(source, name, parts)
    return _join_day_and_clock(source, columns)


def _join_day_and_clock(source: OpenTable, columns: ColumnMatcher) -> OpenTable:
    """The table with ``date`` and ``time`` joined where they hold days and times of day, with a note."""
    lower = {name.lower(): name for name in source.names}
    day, clock = lower.get("date"), lower.get("time")
    if day is None or clock is None or "timestamp" in lower or columns.says("timestamp"):
        return source
    first = source.read([day, clock]).table.slice(0, 1)
    cells = [str(first.column(name)[0].as_py()) for name in (day, clock)]
    if ":" in cells[0] or not re.match(r"\d{1,2}:\d\d", cells[1]):
        return source
    columns.notes.append(f"{source.path.name}: columns {day!r} and {clock!r} are read as timestamp, joined")
    return _JoinedTable(source, "timestamp", (day, clock))


def read_fields(source: OpenTable, table: str, columns: ColumnMatcher) -> SourceTable:
    """Items or users (``table``) under our column names, all columns."""
    matched = columns.match(table, source.names, source.path)
    return source.read().rename(_name_apart(matched, source.names))


def make_raw_tables(log: SourceTable, items: SourceTable | None = None, users: SourceTable | None = None) -> RawTables:
    """The tables with the places of their rows."""
    named = {"interactions": log, "items": items, "users": users}
    return RawTables(
        interactions=log.table,
        items=items.table if items else None,
        users=users.table if users else None,
        places={name: source.place for name, source in named.items() if source},
    )


def _name_apart(matched: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    """Give a column that holds one of our names, while another column was taken for it, a name of its own."""
    ours = set(matched.values())
    return matched | {name: f"{name}_" for name in names if name not in matched and name in ours}
