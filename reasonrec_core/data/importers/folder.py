"""Our layout: ``interactions.*``, ``items.*``, ``users.*`` and ``images/`` in a folder; or a log in one file."""

from __future__ import annotations

from pathlib import Path

from reasonrec_core.data.importers.columns import Columns
from reasonrec_core.data.importers.tables import SUFFIXES, beside, find_table, raw_tables, read_log
from reasonrec_core.data.raw import RawTables

NAME = "tables"
SUMMARY = "interactions.{csv,csv.gz,tsv,parquet}, with items.*, users.* and images/ beside it"


def matches(path: Path) -> bool:
    """Whether ``path`` is a table or a folder with a table of interactions."""
    if path.is_dir():
        return find_table(path, "interactions") is not None
    return path.name.endswith(SUFFIXES)


def read(path: Path, columns: Columns) -> RawTables:
    """The tables under ``path``; beside a single file, ``items.*`` and ``users.*`` are read too."""
    file = (find_table(path, "interactions") or path) if path.is_dir() else path
    return raw_tables(read_log(file, columns), *beside(file.parent, columns, log=file))
