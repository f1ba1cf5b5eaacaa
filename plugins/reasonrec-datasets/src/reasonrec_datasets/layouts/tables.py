"""Tables in files: CSV, TSV, Parquet and Arrow, found by their names and read under our column names; our own layout.

For tables in memory there are `reasonrec_datasets.read_log` and `reasonrec_datasets.read_fields`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reasonrec_core.data.catalog import NOT_TEXT, TEXT_ORDER
from reasonrec_core.data.columns import is_text
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import KEYS, ColumnMatcher, list_names
from reasonrec_datasets.importing.number_parsing import convert_numbers
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import current_reading, look_only
from reasonrec_datasets.importing.source_tables import (
    OpenTable,
    RowPlace,
    SourceTable,
    make_raw_tables,
    read_fields,
    read_log,
)
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import DelimitedFile
from reasonrec_datasets.layouts.headers import UNNAMED
from reasonrec_datasets.layouts.json_lines import SUFFIXES as JSON_SUFFIXES
from reasonrec_datasets.layouts.json_lines import JsonLines
from reasonrec_datasets.layouts.part_files import find_table_parts, name_like_first, with_folder_columns
from reasonrec_datasets.layouts.places import join_tables
from reasonrec_datasets.layouts.sniffing import has_vague_suffix, looks_like_ratings, looks_like_table
from reasonrec_datasets.layouts.unpacked_size import refuse_large_arrow, refuse_large_parquet

PACKED = ("", ".gz", ".zip", ".bz2", ".xz", ".zst")
TEXT_SUFFIXES = (*(f"{text}{packed}" for text in (".csv", ".tsv") for packed in PACKED), ".zip")
COLUMNAR = (".parquet", ".arrow", ".feather")
SPREADSHEETS = (".xlsx", ".xls", ".ods")
SUFFIXES = (*COLUMNAR, *TEXT_SUFFIXES)
TABLES = (*SUFFIXES, *JSON_SUFFIXES)
"""Of files that `open_table` opens."""
TEXT_FIELDS: frozenset[str] = frozenset({*NOT_TEXT, *TEXT_ORDER, "user_id"})
"""Columns of items and users that stay text, even where every cell is a number."""


class PlainTablesSource(TableSource[TableSettings]):
    """Our layout: ``interactions.*``, ``items.*``, ``users.*`` and ``images/`` in a folder; or a log in one file."""

    order = 0

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a table or a folder with a table of interactions, and none that is to be guessed at."""
        if path.is_dir():
            parts = find_parts(path, "interactions")
            return bool(parts) and (find_table(path, "items") is not None or not _find_others(path, parts))
        if path.name.lower().endswith((*SUFFIXES, *SPREADSHEETS)):
            return True
        return has_vague_suffix(path) and (looks_like_ratings(path) or looks_like_table(path))

    def files(self, path: Path) -> list[Path]:
        """All in a folder and the parts of its log; a log, and ``items.*`` and ``users.*`` beside it."""
        parts = find_parts(path, "interactions") if path.is_dir() else []
        return [*list_files(path), *(part for part in parts if part.parent != path)]

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The tables under ``path``; beside a single file, ``items.*`` and ``users.*`` are read too."""
        return read_tables(path, columns)


def _find_others(folder: Path, log: Sequence[Path]) -> list[Path]:
    """Tables beside a log in one file that may be its items or users, under names of their own."""
    if len(log) > 1 or log[0].parent != folder:
        return []
    files = (file for file in folder.iterdir() if file.is_file() and file.name.lower().endswith(TABLES))
    return [file for file in files if file not in log and file.name.lower().split(".")[0] not in ("users", "manifest")]


def read_tables(path: Path, columns: ColumnMatcher) -> RawTables:
    """A log in one file or in parts, with ``items.*`` and ``users.*`` beside it."""
    parts = (find_parts(path, "interactions") or [path]) if path.is_dir() else [path]
    opened = [open_table(parts[0])]
    opened += [name_like_first(open_table(part), opened[0]) for part in parts[1:]]
    logs = []
    for table in opened:
        before = list(columns.notes)
        logs.append(read_log(with_folder_columns(table, path), columns))
        said = {remark.partition(": ")[2] for remark in before}  # of another part, the same
        columns.notes[len(before) :] = [n for n in columns.notes[len(before) :] if n.partition(": ")[2] not in said]
    if len(logs) > 1:
        first, last = (
            part.relative_to(path) if part.is_relative_to(path) else part.name for part in (parts[0], parts[-1])
        )
        columns.notes.append(f"the log was read from {len(logs)} files: {first} to {last}")
    folder = path if path.is_dir() else path.parent
    return make_raw_tables(join_tables(logs) if len(logs) > 1 else logs[0], *read_beside(folder, columns, log=parts[0]))


@dataclass(frozen=True)
class ArrowFile:
    """A Parquet or Arrow file: its columns in their own types."""

    path: Path
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> ArrowFile:
        """Read the schema.

        Raises:
            DataError: missing, of another format, or with two columns of one name.
        """
        reading = current_reading()
        reading.opened.add(path)
        with _refuse_damaged(path):
            schema = pq.read_schema(path) if _is_parquet(path) else _read_arrow(path, rows=False).schema
            names = tuple(schema.names)
        reading.refuse_columns(len(names), path)
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise DataError(f"two columns are named {double!r}", where=str(path), fix="Give every column its own name.")
        return cls(path, names)

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        """The columns in ``wanted`` (all if None); nothing is encoded that is not so in the file.

        Raises:
            DataError: damaged, or without rows.
        """
        kept = [name for name in self.names if wanted is None or name in wanted]
        with _refuse_damaged(self.path):
            if _is_parquet(self.path):
                refuse_large_parquet(self.path, kept, current_reading())
                table = pq.read_table(self.path, columns=kept, memory_map=True)
            else:
                refuse_large_arrow(self.path, current_reading())
                table = _read_arrow(self.path).select(kept)
            table.validate(full=True)
        if table.num_rows == 0:
            raise DataError("the file has no rows", where=str(self.path))
        return SourceTable(table, self.path, RowPlace(self.path))


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _read_arrow(path: Path, *, rows: bool = True) -> pa.Table:
    """A file in Arrow's file or stream format; without ``rows`` its columns alone."""
    with pa.memory_map(str(path)) as mapped:
        try:
            file = pa.ipc.open_file(mapped)
        except pa.ArrowInvalid:
            mapped.seek(0)
            file = pa.ipc.open_stream(mapped)
        return file.read_all() if rows else file.schema.empty_table()


@contextmanager
def _refuse_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError("the file does not exist", where=str(path)) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        kind = "Parquet" if _is_parquet(path) else "Arrow"
        what = f"cannot be read as {kind} ({(str(error).splitlines() or [''])[0]})"
        raise DataError(what, where=str(path)) from error


def open_table(path: Path) -> OpenTable:
    """A file by its suffix, with its column names read.

    Raises:
        DataError: missing, empty, of another format, or an unusable header.
    """
    if path.suffix.lower() in SPREADSHEETS:
        fix = "Save each sheet as CSV (UTF-8), and name that file or its folder."
        raise DataError("is a spreadsheet, which cannot be read", where=str(path), fix=fix)
    if path.suffix.lower() in COLUMNAR:
        return ArrowFile.open(path)
    return JsonLines.open(path) if path.name.lower().endswith(JSON_SUFFIXES) else DelimitedFile.open(path)


def read_header(path: Path) -> tuple[str, ...]:
    """The columns of a table, to see whose layout it is; none where it cannot be opened."""
    with look_only(start=True):
        try:
            return open_table(path).names
        except DataError:
            return ()


def read_columns(path: Path, names: Collection[str], encoded: Collection[str] = ()) -> SourceTable:
    """The columns of a layout's file that it must have.

    Raises:
        DataError: one is missing; damaged.
    """
    file = open_table(path)
    for name in names:
        if name not in file.names:
            fix = f"Its columns are: {list_names(file.names)}."
            raise DataError(f"no column {name!r}", where=f"{path}:1", fix=fix)
    return file.read(names, encoded)


def find_table(folder: Path, *stems: str) -> Path | None:
    """The file in ``folder`` with one of the names and a tabular suffix, or None.

    Raises:
        DataError: several files would do.
    """
    there = {file.name.lower(): file for file in sorted(folder.iterdir()) if file.is_file()} if folder.is_dir() else {}
    found = [there[name] for stem in stems for suffix in TABLES if (name := f"{stem}{suffix}") in there]
    if len(found) > 1:
        names = " and ".join(p.name for p in found)
        raise DataError(f"found both {names}", where=str(folder), fix="Remove or rename all but one.")
    return found[0] if found else None


def find_parts(folder: Path, stem: str) -> list[Path]:
    """The table called ``stem``, or its part files: ``stem-0001.csv`` and so on, or those in a folder ``stem*``."""
    if (whole := find_table(folder, stem)) is not None:
        return [whole]
    return find_table_parts(folder, stem, SUFFIXES)


def read_fields_file(path: Path, table: str, columns: ColumnMatcher) -> SourceTable:
    """Items or users under our column names, all columns; text that holds nothing but numbers becomes numbers."""
    return convert_fields(read_fields(_name_key(open_table(path), table, columns), table, columns), columns)


def _name_key(file: OpenTable, table: str, columns: ColumnMatcher) -> OpenTable:
    """A table whose first column has no name and is the only one that can be the key, with that name."""
    key = KEYS[table]
    if not isinstance(file, DelimitedFile) or not file.columns[0].startswith(UNNAMED):
        return file
    if columns.find(key, file.names) is not None or "id" in [name.lower() for name in file.names]:
        return file
    columns.notes.append(f"{file.path.name}: the first column has no name and is read as {key}")
    return replace(file, columns=(key, *file.columns[1:]))


def convert_fields(found: SourceTable, columns: ColumnMatcher) -> SourceTable:
    """Items or users with their numbers read, and what was read by a rule among the notes."""
    notes: list[str] = []
    converted = convert_numbers(_split_labels(found.table), TEXT_FIELDS, notes)
    columns.notes += [f"{found.path.name}: {words}" for words in notes]
    return replace(found, table=converted)


def _split_labels(table: pa.Table) -> pa.Table:
    """The table with the labels of ``categories`` apart, where the user says what stands between them."""
    mark, name = current_reading().label_separator, "categories"
    if mark is None or name not in table.column_names or not is_text(table.column(name).type):
        return table
    labels = pc.split_pattern(table.column(name), mark)
    trimmed = pa.chunked_array(
        [
            pa.ListArray.from_arrays(chunk.offsets, pc.utf8_trim_whitespace(chunk.values), mask=chunk.is_null())
            for chunk in labels.chunks
        ],
        labels.type,
    )
    return table.set_column(table.column_names.index(name), name, pc.binary_join(trimmed, "|"))


def list_files(path: Path, *beside: str) -> list[Path]:
    """All files in a folder; a file and those beside it that begin with ``items.``, ``users.`` or one of ``beside``."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    names = ("items.", "users.", *beside)
    return [path, *sorted(f for f in path.parent.iterdir() if f != path and f.is_file() and f.name.startswith(names))]


def read_beside(
    folder: Path, columns: ColumnMatcher, *, log: Path | None = None
) -> tuple[SourceTable | None, SourceTable | None]:
    """``items.*`` and ``users.*`` in ``folder``, where they are there and are not the log itself."""
    items, users = find_table(folder, "items"), find_table(folder, "users")
    return (
        read_fields_file(items, "items", columns) if items and items != log else None,
        read_fields_file(users, "users", columns) if users and users != log else None,
    )
