"""The one reader of tables: CSV, TSV, Parquet, Arrow files, and Arrow tables in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reasonrec_core.components import DataSource, Empty
from reasonrec_core.data.catalog import NOT_TEXT, TEXT_ORDER, Catalog, check_fields, convert_numbers
from reasonrec_core.data.column_matching import ColumnMatcher, list_names
from reasonrec_core.data.column_parsing import CAST_FAILURES, Place, find_cast_failure, make_cell_error, take_column
from reasonrec_core.data.csv_reader import DelimitedFile, Dialect
from reasonrec_core.data.images import find_item_pictures
from reasonrec_core.data.raw_tables import RawTables, RowPlace, SourceTable
from reasonrec_core.errors import DataError

SUFFIXES = (".parquet", ".arrow", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
ENCODED = frozenset({"user_id", "item_id", "part"})
"""Columns of a log with few distinct values for their rows."""
TEXT_FIELDS: frozenset[str] = frozenset({*NOT_TEXT, *TEXT_ORDER, "user_id"})
"""Columns of items and users that stay text, even where every cell is a number."""


class TablesSource(DataSource[Empty]):
    """Our layout: ``interactions.*``, ``items.*``, ``users.*`` and ``images/`` in a folder; or a log in one file."""

    order = 0

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a table or a folder with a table of interactions."""
        if path.is_dir():
            return find_table(path, "interactions") is not None
        return path.name.endswith(SUFFIXES)

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The tables under ``path``; beside a single file, ``items.*`` and ``users.*`` are read too."""
        file = (find_table(path, "interactions") or path) if path.is_dir() else path
        return make_raw_tables(read_log(file, columns), *read_beside(file.parent, columns, log=file))


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
        with _refuse_damaged(path):
            names = tuple(pq.read_schema(path).names if path.suffix == ".parquet" else _read_arrow(path).schema.names)
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise DataError(f"two columns are named {double!r}", where=str(path), fix="Name every column once.")
        return cls(path, names)

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        """The columns in ``wanted`` (all if None); nothing is encoded that is not so in the file.

        Raises:
            DataError: damaged, or without rows.
        """
        kept = [name for name in self.names if wanted is None or name in wanted]
        with _refuse_damaged(self.path):
            if self.path.suffix == ".parquet":
                table = pq.read_table(self.path, columns=kept, memory_map=True)
            else:
                table = _read_arrow(self.path).select(kept)
            table.validate(full=True)
        if table.num_rows == 0:
            raise DataError("the file has no rows", where=str(self.path))
        return SourceTable(table, self.path, RowPlace(self.path))


def _read_arrow(path: Path) -> pa.Table:
    """A file in Arrow's file or stream format."""
    with pa.memory_map(str(path)) as mapped:
        try:
            return pa.ipc.open_file(mapped).read_all()
        except pa.ArrowInvalid:
            mapped.seek(0)
            return pa.ipc.open_stream(mapped).read_all()


@contextmanager
def _refuse_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError("the file does not exist", where=str(path)) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "Arrow"
        what = f"cannot be read as {kind} ({(str(error).splitlines() or [''])[0]})"
        raise DataError(what, where=str(path)) from error


def open_table(source: Path | SourceTable, dialect: Dialect | None = None) -> DelimitedFile | ArrowFile | SourceTable:
    """A file by its suffix, with its column names read; a table in memory is open already."""
    if isinstance(source, SourceTable):
        return source
    return ArrowFile.open(source) if source.suffix in {".parquet", ".arrow"} else DelimitedFile.open(source, dialect)


def find_table(folder: Path, *stems: str) -> Path | None:
    """The file in ``folder`` with one of the names and a tabular suffix, or None.

    Raises:
        DataError: several files would do.
    """
    found = [p for stem in stems for suffix in SUFFIXES if (p := folder / f"{stem}{suffix}").is_file()]
    if len(found) > 1:
        names = " and ".join(p.name for p in found)
        raise DataError(f"both {names} are there", where=str(folder), fix="Remove or rename all but one.")
    return found[0] if found else None


def read_log(source: Path | SourceTable, columns: ColumnMatcher, dialect: Dialect | None = None) -> SourceTable:
    """A log under our column names; other columns are not read."""
    file = open_table(source, dialect)
    matched = columns.match("interactions", file.names, file.path)
    columns.note_unused(file.names, matched, file.path)
    encoded = [theirs for theirs, ours in matched.items() if ours in ENCODED]
    return file.read(matched, encoded).rename(matched)


def read_fields(
    source: Path | SourceTable, table: str, columns: ColumnMatcher, dialect: Dialect | None = None
) -> SourceTable:
    """Items or users under our column names, all columns; those of text files that hold numbers become numbers."""
    file = open_table(source, dialect)
    found = file.read().rename(name_apart(columns.match(table, file.names, file.path), file.names))
    if not isinstance(file, DelimitedFile):
        return found
    return SourceTable(convert_numbers(found.table, TEXT_FIELDS), found.path, found.place)


def read_beside(
    folder: Path, columns: ColumnMatcher, *, log: Path | None = None
) -> tuple[SourceTable | None, SourceTable | None]:
    """``items.*`` and ``users.*`` in ``folder``, where they are there and are not the log itself."""
    items, users = find_table(folder, "items"), find_table(folder, "users")
    return (
        read_fields(items, "items", columns) if items and items != log else None,
        read_fields(users, "users", columns) if users and users != log else None,
    )


def make_raw_tables(log: SourceTable, items: SourceTable | None = None, users: SourceTable | None = None) -> RawTables:
    """The tables with the places of their rows."""
    named = {"interactions": log, "items": items, "users": users}
    return RawTables(
        interactions=log.table,
        items=items.table if items else None,
        users=users.table if users else None,
        places={name: source.place for name, source in named.items() if source},
    )


def name_apart(matched: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    """Give a column that holds one of our names, while another column was taken for it, a name of its own."""
    ours = set(matched.values())
    return matched | {name: f"{name}_" for name in names if name not in matched and name in ours}


@dataclass(frozen=True)
class NewItems:
    """Items alone.

    Attributes:
        table: ``item_id``, fields, ``image``; checked.
        images: the folder that image paths are relative to, None where no pictures are known.
        path: the file.
        place: where the rows stand.
        notes: sentences for the user.
    """

    table: pa.Table
    images: Path | None
    path: Path
    place: Place
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def match(self, catalog: Catalog) -> NewItems:
        """The same items with the columns and types of ``catalog``, in its order.

        Columns that the catalogue does not have are left out, with a note: nothing has learned what they mean.

        Raises:
            DataError: an id that is in the catalogue, a column that is missing, a cell of another type.
        """
        ids = self.table.column("item_id").to_pylist()
        known = [row for row, item in enumerate(ids) if item in catalog.index]
        if known:
            fix = f"{len(known)} of the {len(ids)} items are. Leave them out: an import adds items and changes none."
            what = f"item {ids[known[0]]!r} is in the catalogue already"
            raise make_cell_error(what, self.place, known[0], "item_id", fix=fix)
        there = set(self.table.column_names)
        missing = [name for name in catalog.fields if name not in there]
        if missing:
            fix = f"Add it (its cells may be empty). The file has: {list_names(self.table.column_names)}; "
            fix += f"the catalogue: {list_names(catalog.fields)}."
            raise DataError(f"no column {missing[0]!r}", where=f"{self.path}:1", fix=fix)
        names = [n for n in catalog.table.column_names if n in there]
        rest = [n for n in self.table.column_names if n not in names and n != "image"]
        notes = (*self.notes, *([f"not read, the catalogue has no such fields: {list_names(rest)}"] if rest else []))
        if "image" in there and "image" not in names:
            names.append("image")
        columns = {name: self._cast(name, catalog) for name in names}
        return replace(self, table=pa.table(columns), notes=notes)

    def _cast(self, name: str, catalog: Catalog) -> pa.Array:
        values = take_column(self.table, name)
        if name not in catalog.table.column_names:
            return values
        kind = catalog.table.schema.field(name).type
        try:
            return values.cast(kind)
        except CAST_FAILURES as error:
            row = find_cast_failure(values, kind)
            what = f"{name} is {values[row].as_py()!r}, and the catalogue holds {_name_type(kind)} there"
            raise make_cell_error(what, self.place, row, name, fix="Correct the cell or leave it empty.") from error


def read_new_items(path: Path, columns: Mapping[str, str] | None = None) -> NewItems:
    """Items alone, from a file (CSV, TSV, Parquet) or a folder with ``items.*``; pictures in ``images/`` beside it.

    Raises:
        DataError: what is wrong, in which file, line and column.
    """
    path, matching = Path(path), ColumnMatcher(columns)
    if not path.exists():
        raise DataError("no such file or folder", where=str(path))
    file = find_table(path, "items") if path.is_dir() else path
    if file is None:
        fix = "Put the new items into items.csv.gz (or .tsv, .parquet) there, or name their file."
        raise DataError("holds no table of items", where=str(path), fix=fix)
    source = read_fields(file, "items", matching)
    matching.refuse_unmatched()
    table, images = find_item_pictures(check_fields(source.table, "item_id", source.place), file.parent)
    return NewItems(table, images, file, source.place, tuple(matching.notes))


def _name_type(kind: pa.DataType) -> str:
    return "numbers" if pa.types.is_floating(kind) else "whole numbers" if pa.types.is_integer(kind) else str(kind)
