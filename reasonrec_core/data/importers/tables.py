"""From files in any tabular format to the tables of `RawTables`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reasonrec_core.data.attributes import with_numbers
from reasonrec_core.data.catalog import NOT_TEXT, TEXT_ORDER
from reasonrec_core.data.importers.columns import Columns
from reasonrec_core.data.importers.csv_reader import DelimitedFile, Dialect
from reasonrec_core.data.importers.source_location import SourceTable, parquet_names, read_parquet
from reasonrec_core.data.raw import RawTables
from reasonrec_core.errors import DataError

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
ENCODED = frozenset({"user_id", "item_id", "part"})
"""Columns of a log with few distinct values for their rows."""


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


def read_log(path: Path, columns: Columns, dialect: Dialect | None = None) -> SourceTable:
    """A log under our column names; other columns are not read."""
    if path.suffix == ".parquet":
        names = parquet_names(path)
        matched = columns.match("interactions", names, path)
        columns.unused(names, matched, path)
        return read_parquet(path, list(matched)).renamed(matched)
    file = DelimitedFile.open(path, dialect)
    matched = columns.match("interactions", file.names, path)
    columns.unused(file.names, matched, path)
    encoded = [theirs for theirs, ours in matched.items() if ours in ENCODED]
    return file.read(wanted=matched, encoded=encoded).renamed(matched)


def read_fields(path: Path, table: str, columns: Columns, dialect: Dialect | None = None) -> SourceTable:
    """Items or users under our column names, all columns; those of text files that hold numbers become numbers."""
    if path.suffix == ".parquet":
        names: Sequence[str] = parquet_names(path)
        return read_parquet(path).renamed(own_names(columns.match(table, names, path), names))
    file = DelimitedFile.open(path, dialect)
    source = file.read().renamed(own_names(columns.match(table, file.names, path), file.names))
    return SourceTable(with_numbers(source.table, TEXT_FIELDS), source.path, source.place)


TEXT_FIELDS: frozenset[str] = frozenset({*NOT_TEXT, *TEXT_ORDER, "user_id"})


def raw_tables(log: SourceTable, items: SourceTable | None = None, users: SourceTable | None = None) -> RawTables:
    """The tables with the places of their rows."""
    named = {"interactions": log, "items": items, "users": users}
    return RawTables(
        interactions=log.table,
        items=items.table if items else None,
        users=users.table if users else None,
        places={name: source.place for name, source in named.items() if source},
    )


def beside(folder: Path, columns: Columns, *, log: Path | None = None) -> tuple[SourceTable | None, SourceTable | None]:
    """``items.*`` and ``users.*`` in ``folder``, where they are there and are not the log itself."""
    items, users = find_table(folder, "items"), find_table(folder, "users")
    return (
        read_fields(items, "items", columns) if items and items != log else None,
        read_fields(users, "users", columns) if users and users != log else None,
    )


def own_names(matched: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    """Give a column that holds one of our names, while another column was taken for it, a name of its own."""
    result = dict(matched)
    for name in names:
        if name not in matched and name in matched.values():
            result[name] = f"{name}_"
    return result
