"""A data source: SQLite databases, by way of Arrow tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
from pydantic import Field
from reasonrec_datasets import (
    ColumnMatcher,
    RawTables,
    RowPlace,
    SourceTable,
    TableSource,
    make_raw_tables,
    read_fields,
    read_log,
)

from reasonrec_core.components import Settings
from reasonrec_core.errors import DataError


class TemplateConfig(Settings):
    """Settings of `Template`; on the command line ``--option interactions=orders``, in a pipeline ``data.options``."""

    interactions: str = Field("interactions", description="Table or view of the interactions.")
    items: str = Field("items", description="Table or view of the items; empty for none.")


class Template(TableSource[TemplateConfig]):
    """Reads a table of interactions, and one of items where it is named, from a SQLite database."""

    Config = TemplateConfig

    def matches(self, path: Path) -> bool:
        """Whether the file begins as SQLite databases do."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(16) == b"SQLite format 3\0"

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The tables under our column names; ``columns`` knows what users call them."""
        log = read_log(self.fetch(path, self.config.interactions), columns)
        items = self.config.items
        return make_raw_tables(log, read_fields(self.fetch(path, items), "items", columns) if items else None)

    def fetch(self, path: Path, table: str) -> SourceTable:
        """One table, whole; an error names the file and the table."""
        where, name = f"{path}, table {table!r}", table.replace('"', '""')
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
                cursor = database.execute(f'SELECT * FROM "{name}"')  # noqa: S608 - the name is quoted
                names, rows = [column[0] for column in cursor.description], cursor.fetchall()
            arrays = {name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)}
        except (sqlite3.Error, pa.ArrowException) as error:
            raise DataError(f"cannot be read ({error})", where=where) from error
        return SourceTable(pa.table(arrays), path, RowPlace(where))
