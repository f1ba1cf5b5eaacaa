"""Tables in several files: numbered ones, those of a folder, and folders in folders, as Spark and Hive write them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from reasonrec_datasets.importing.column_matching import looks_like_row
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import OpenTable, SourceTable
from reasonrec_datasets.layouts.csv_reader import DelimitedFile

PART_FILE = re.compile(r"part[-_.]?\d+", re.IGNORECASE)
"""What Spark and its like call the files of one table."""
KEY = re.compile(r"([^=/]+)=([^/]*)")
"""A folder of Hive's: the name of a column, and its value in all files in it."""
PART_FOLDER = re.compile(r"[^=/]+=[^/]*|\d[\d_-]*|part[-_.]?\d+|chunk[-_.]?\d+", re.IGNORECASE)
UNKNOWN = "__HIVE_DEFAULT_PARTITION__"
MOST = 10_000


def find_table_parts(folder: Path, stem: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of one table, in the order of the numbers in their names; none where there are none.

    Args:
        folder: where they are.
        stem: of the table: ``stem-1.csv``, ``stem.parquet/part-0.parquet``, ``stem/day=2024-01-01/part-0.parquet``.
        suffixes: of files that are read.
    """
    there = sorted(folder.iterdir(), key=_by_numbers)
    files = [file for file in there if file.is_file() and file.name.lower().endswith(suffixes)]
    folders = [inner for inner in there if inner.is_dir() and not inner.name.startswith((".", "_"))]
    numbered = re.compile(rf"{stem}[-_.]?\d+\b", re.IGNORECASE)
    if parts := [file for file in files if numbered.match(file.name)]:
        return parts
    for inner in (inner for inner in folders if inner.name.lower().split(".")[0] == stem):
        if parts := _list_within(inner, suffixes):
            return parts
    if parts := [file for file in files if PART_FILE.match(file.name)]:
        return parts
    if not files and folders and all(PART_FOLDER.fullmatch(inner.name) for inner in folders):
        return [part for inner in folders for part in _list_within(inner, suffixes)]
    return []


def _list_within(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Tables in a folder and in those in it."""
    found: list[Path] = []
    for path in sorted(folder.iterdir(), key=_by_numbers):
        if path.name.startswith((".", "_")) or path.is_symlink():
            continue
        if path.is_dir():
            found += _list_within(path, suffixes)
        elif path.is_file() and path.name.lower().endswith(suffixes):
            found.append(path)
        if len(found) > MOST:
            break
    return found


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """``part-10`` comes after ``part-2``."""
    pieces = re.split(r"(\d+)", path.name)
    return [(int(piece), "") if piece.isdecimal() and len(piece) < 20 else (-1, piece) for piece in pieces]


def name_like_first(table: OpenTable, first: OpenTable) -> OpenTable:
    """A part without a header line under the names of the first one, with a note; others as they are."""
    if not isinstance(table, DelimitedFile) or not isinstance(first, DelimitedFile):
        return table
    no_header = set(table.columns) != set(first.columns) and looks_like_row(table.columns)
    if not no_header or len(table.columns) != len(first.columns) or table.dialect.names is not None:
        return table
    current_reading().note(f"{table.path.name}: has no header line; it gets the columns of {first.path.name}")
    dialect = replace(table.dialect, names=first.columns)
    return replace(table, dialect=dialect, columns=first.columns, skip=table.skip - 1)


@dataclass(frozen=True)
class _KeyedTable:
    """A table with the columns that the names of its folders hold."""

    inner: OpenTable
    keys: Mapping[str, str | None]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.inner.names, *self.keys)

    @property
    def path(self) -> Path:
        return self.inner.path

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        found = self.inner.read([name for name in self.inner.names if wanted is None or name in wanted], encoded)
        table = found.table
        for name in (name for name in self.keys if wanted is None or name in wanted):
            value = pa.array([self.keys[name]], pa.string())
            table = table.append_column(name, value.take(pa.array([0] * table.num_rows, pa.int32())))
        return replace(found, table=table)


def with_folder_columns(table: OpenTable, root: Path) -> OpenTable:
    """The table with a column for each folder ``name=value`` between it and ``root``."""
    if not table.path.is_relative_to(root):
        return table
    folders = table.path.relative_to(root).parts[:-1]
    pairs = [found.groups() for folder in folders if (found := KEY.fullmatch(folder))]
    keys = {name: None if value == UNKNOWN else value for name, value in pairs if name not in table.names}
    return _KeyedTable(table, keys) if keys else table
