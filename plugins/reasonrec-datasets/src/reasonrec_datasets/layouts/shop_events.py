"""Event logs of shops: REES46's (also its cosmetics and electronics editions) and RetailRocket's.

Sources: kaggle.com/datasets/mkechinov/ecommerce-behavior-data-from-multi-category-store (``2019-Oct.csv``: event_time,
event_type, product_id, category_id, category_code, brand, price, user_id, user_session);
kaggle.com/datasets/retailrocket/ecommerce-dataset (``events.csv``: timestamp, visitorid, event, itemid, transactionid;
``item_properties_part1.csv``, ``item_properties_part2.csv``: timestamp, itemid, property, value; ``category_tree.csv``:
categoryid, parentid).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.number_parsing import convert_numbers
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.places import TakenPlace, join_tables
from reasonrec_datasets.layouts.tables import (
    SUFFIXES,
    TEXT_FIELDS,
    list_files,
    open_table,
    read_beside,
    read_columns,
    read_header,
)

REES46 = frozenset({"event_time", "event_type", "product_id", "category_code", "brand", "price", "user_id"})
ROCKET = frozenset({"timestamp", "visitorid", "event", "itemid", "transactionid"})
PROPERTIES = frozenset({"timestamp", "itemid", "property", "value"})
SHORTEST_PATH = 2


class Rees46Source(TableSource[TableSettings]):
    """One file of events a month; the items' fields stand in the events."""

    order = -6

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a file of events, or a folder with one."""
        return bool(_find_files(path, REES46))

    def files(self, path: Path) -> list[Path]:
        """The events, and ``items.*`` and ``users.*`` beside them."""
        return list_files(path)

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The events of all files; an item has the category, brand and price of its newest event."""
        files = _find_files(path, REES46)
        if not files:
            raise DataError("no file of REES46's events", where=str(path), fix=f"Columns: {', '.join(sorted(REES46))}.")
        logs = [read_log(open_table(file), columns) for file in files]
        items, users = read_beside(files[0].parent, columns)
        return make_raw_tables(join_tables(logs), items or _read_items(files, columns), users)


def _find_files(path: Path, columns: frozenset[str]) -> list[Path]:
    """The tables with these columns, in the order of their months."""
    files = (f for f in path.iterdir() if f.is_file()) if path.is_dir() else iter([path])
    found = [f for f in files if f.name.lower().endswith(SUFFIXES) and columns <= {*read_header(f)}]
    return sorted(found, key=lambda file: _month(file.name))


def _month(name: str) -> tuple[str, int, str]:
    """``2019-Oct.csv`` by year and month, other names by name."""
    months = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    word = name[5:8].lower()
    return name[:4], months.index(word) if word in months else -1, name


def _read_items(files: Sequence[Path], columns: ColumnMatcher) -> SourceTable:
    """A row per product: its last one in the files."""
    wanted = ("product_id", "category_code", "brand", "price")
    source = join_tables(
        [open_table(file).read(wanted, encoded=("product_id", "category_code", "brand")) for file in files]
    )
    codes = flatten_column(source.table.column("product_id")).indices.to_numpy(zero_copy_only=False)
    _, last = np.unique(codes[::-1], return_index=True)
    rows = pa.array(len(codes) - 1 - last)
    table = source.table.take(rows)
    table = pa.table({name: table.column(name).cast(pa.string()) for name in wanted})
    paths = pc.replace_substring(table.column("category_code"), ".", "|")
    table = table.set_column(1, "categories", paths).rename_columns(["item_id", "categories", "brand", "price"])
    columns.notes.append("items have the category, brand and price of their last event")
    return SourceTable(convert_numbers(table, TEXT_FIELDS), source.path, TakenPlace(source.place, rows))


class RetailRocketSource(TableSource[TableSettings]):
    """Events, and what was known of the items."""

    order = -5

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is ``events.csv`` or a folder with it."""
        return bool(_find_files(path, ROCKET))

    def files(self, path: Path) -> list[Path]:
        """The events, properties and categories."""
        return list_files(path, "item_properties", "category_tree")

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The events, and each item's newest category, as the path of its numbers, and whether it was to be had."""
        files = _find_files(path, ROCKET)
        if not files:
            raise DataError("no events.csv", where=str(path), fix=f"Columns: {', '.join(sorted(ROCKET))}.")
        folder = files[0].parent
        log = join_tables([read_log(open_table(file), columns) for file in files])
        items, users = read_beside(folder, columns)
        return make_raw_tables(log, items or _read_properties(folder, columns), users)


def _read_properties(folder: Path, columns: ColumnMatcher) -> SourceTable | None:
    files = _find_files(folder, PROPERTIES)
    if not files:
        return None
    parts = [open_table(file).read(encoded=("itemid", "property")) for file in files]
    source = join_tables(parts)
    items, names = (flatten_column(source.table.column(name)) for name in ("itemid", "property"))
    columns.notes.append("of the item properties, only categoryid and available are read; the others are hashed")
    fields = {}
    for theirs, ours in (("categoryid", "categories"), ("available", "available")):
        rows = np.flatnonzero(pc.equal(names, theirs).fill_null(False).to_numpy(zero_copy_only=False))
        times = source.table.column("timestamp").take(pa.array(rows)).cast(pa.int64()).to_numpy()
        newest = rows[np.argsort(times, kind="stable")]
        codes = items.indices.to_numpy()[newest]
        _, last = np.unique(codes[::-1], return_index=True)
        taken = newest[len(codes) - 1 - last]
        fields[ours] = (
            items.take(pa.array(taken)).dictionary_decode(),
            source.table.column("value").take(pa.array(taken)),
        )
    ids = items.unique().dictionary_decode()
    table = {"item_id": ids} | {
        ours: flatten_column(values).take(pc.index_in(ids, value_set=known)) for ours, (known, values) in fields.items()
    }
    table["categories"] = _read_paths(folder / "category_tree.csv", table["categories"])
    return SourceTable(pa.table(table), source.path, source.place)


def _read_paths(tree: Path, categories: pa.Array) -> pa.Array:
    """Categories as paths from the root (``140|1120|283``), where the tree is there."""
    if not tree.is_file():
        return categories
    table = read_columns(tree, ("categoryid", "parentid")).table
    parents = dict(zip(table.column("categoryid").to_pylist(), table.column("parentid").to_pylist(), strict=True))
    paths = []
    for category in (codes := pc.dictionary_encode(categories)).dictionary.to_pylist():
        path = [category]
        while (parent := parents.get(path[0])) and parent not in path:
            path.insert(0, parent)
        paths.append("|".join(path))
    return pa.array(paths, pa.string()).take(codes.indices)
