"""From string ids to dense indices: the tables that a dataset stores, and those of one that grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data import Dataset
from reasonrec_core.data.columns import flatten_column, take_column
from reasonrec_core.data.storage import CONTEXT, IndexedTables, write_dataset
from reasonrec_core.types import Int32, Int64, indptr_of
from reasonrec_datasets.importing.column_parsing import CAST_FAILURES, Place, find_cast_failure, make_cell_error
from reasonrec_datasets.importing.context import derive_context, list_context
from reasonrec_datasets.importing.field_checks import check_fields
from reasonrec_datasets.importing.histories import flatten_shared, spell_out
from reasonrec_datasets.importing.raw_tables import REVIEW_COLUMNS, RawTables


def build_dataset(raw: RawTables, folder: Path, *, seed: int = 0) -> Dataset:
    """Check and index ``raw`` and save it to ``folder`` (whole or not at all).

    Raises:
        DataError: something in ``raw`` cannot be used, or ``folder`` cannot be written.
    """
    checked = raw.check()
    tables = index_tables(checked, seed)
    images = str(checked.images.resolve()) if checked.images else None
    about = {"name": checked.name, "seed": seed, "images": images, "source": checked.source}
    write_dataset(folder, tables, about)
    return Dataset.open(folder)


def extend_items(
    dataset: Dataset, table: pa.Table, folder: Path, images: Path | None = None, place: Place | None = None
) -> Dataset:
    """Add items that have no interactions yet; indices of the items that are there stay as they are.

    The new items get theirs in an order drawn with the dataset's seed and size.

    Args:
        dataset: to which they are added.
        table: ``item_id`` and fields; fields that the dataset does not know are added, missing ones stay empty.
        folder: where the larger dataset is saved; may be the dataset's own folder.
        images: the folder that the new items' image paths are relative to; None for the dataset's own.
        place: where the rows of ``table`` stand, for error messages.

    Raises:
        DataError: a blank, repeated or already known id, or fields whose types do not fit.
    """
    new, items = check_fields(table, "item_id", place), dataset.catalog.table
    fields = {*items.column_names}
    ids = new.column("item_id").to_pylist()
    known = [row for row, item in enumerate(ids) if item in dataset.catalog.index]
    if known:
        fix = f"{len(known)} of the {len(ids)} items are. Leave them out: this adds items and changes none."
        what = f"item {ids[known[0]]!r} is already in the catalogue"
        raise make_cell_error(what, place, known[0], "item_id", fix=fix)
    for position, name in enumerate(new.column_names):
        if name in fields:
            column = _cast_field(take_column(new, name), items.schema.field(name).type, name, place)
            new = new.set_column(position, name, column)
    order = _shuffled(new.column("item_id"), int(dataset.manifest["seed"]) + dataset.n_items)
    return dataset.append_items(new.take(order), folder, images)


def index_tables(raw: RawTables, seed: int) -> IndexedTables:
    """Give every id of checked tables a dense index, in an order drawn with ``seed`` from the sorted ids.

    The order of the rows in the source does not matter: item numbers in order of first appearance would tell a
    model which item comes next.
    """
    log = raw.interactions
    users = _id_table(log.column("user_id"), raw.users, "user_id", seed)
    items = _id_table(log.column("item_id"), raw.items, "item_id", seed + 1)
    return IndexedTables(_indexed_log(raw, users, items), items, users)


def _cast_field(values: pa.Array, kind: pa.DataType, name: str, place: Place | None) -> pa.Array:
    try:
        return values.cast(kind)
    except CAST_FAILURES as error:
        row = find_cast_failure(values, kind)
        numbers = "numbers" if pa.types.is_floating(kind) else "whole numbers" if pa.types.is_integer(kind) else kind
        what = f"{name} is {values[row].as_py()!r}, but the catalogue has {numbers} in this column"
        raise make_cell_error(what, place, row, name, fix="Correct the cell or leave it empty.") from error


def _shuffled(ids: pa.ChunkedArray, seed: int) -> pa.Array:
    order = pc.sort_indices(ids).to_numpy()
    return pa.array(order[np.random.default_rng(seed).permutation(len(order))])


def _id_table(seen: pa.ChunkedArray, table: pa.Table | None, key: str, seed: int) -> pa.Table:
    """All ids of the log and of ``table`` in a seeded random order, with the fields of ``table``."""
    arrays = [flatten_column(seen).unique().dictionary_decode(), *([take_column(table, key)] if table else [])]
    known = pa.concat_arrays(arrays).unique()
    known = known.take(_shuffled(known, seed))
    if table is None:
        return pa.table({key: known})
    rows = pc.index_in(known, take_column(table, key))
    return pa.table({key: known, **{n: table.column(n).take(rows) for n in table.column_names if n != key}})


def _indexed_log(raw: RawTables, users: pa.Table, items: pa.Table) -> pa.Table:
    """The log with dense indices, sorted by user and time, ties in the source's order."""
    log, place = raw.interactions, raw.places.get("interactions")
    user = _codes(take_column(log, "user_id"), users.column("user_id"))
    item = _codes(take_column(log, "item_id"), items.column("item_id"))
    clock = "timestamp" in log.column_names
    stamps = take_column(log, "timestamp").to_numpy() if clock else None
    order = _user_time_order(user, stamps)
    user, positions = user[order], _positions(user, users.num_rows)
    times = positions if stamps is None else stamps[order]
    if clock and (np.array_equal(times, positions) or np.array_equal(times, positions + 1)):
        clock = False  # the source numbers each user's interactions: an order, but no common time
    columns: dict[str, Any] = {"user": user, "item": item[order], "time": times}
    columns |= {f"{CONTEXT}{name}": derive_context(name, times, clock) for name in raw.derived}
    for name in ("value", "part", "history", *REVIEW_COLUMNS, *list_context(log.column_names)):
        if name in log.column_names:
            shared = flatten_shared(log.column(name))
            column = take_column(log, name) if shared is None else shared
            if name == "part":
                column = column.indices.cast(pa.uint8())
            elif name == "history":
                column = _indexed_histories(column, items, place)
            column = column.take(pa.array(order))
            columns[name] = spell_out(column) if pa.types.is_dictionary(column.type) else column
    return pa.table(columns).replace_schema_metadata({"clock": "1" if clock else "0"})


def _codes(values: pa.DictionaryArray, known: pa.ChunkedArray) -> Int32:
    """int32[N]: the row of each id in ``known``."""
    rows = pc.index_in(values.dictionary, flatten_column(known)).fill_null(-1).to_numpy()
    return np.asarray(rows[values.indices.to_numpy()], dtype=np.int32)


def _user_time_order(users: Int32, times: Int64 | None) -> npt.NDArray[np.intp]:
    """Stable order by user, then time."""
    if times is None or (np.diff(times) >= 0).all():
        return np.argsort(users, kind="stable")
    first, span = int(times.min()), int(times.max()) - int(times.min()) + 1
    if span * (int(users.max()) + 1) < 2**63:  # one sort of a joint key takes half the time of two sorts
        return np.argsort(users.astype(np.int64) * span + (times - first), kind="stable")
    return np.lexsort((times, users))


def _positions(users: Int32, n_users: int) -> Int64:
    """int64[N]: position within the user, for rows sorted by user."""
    counts = np.bincount(users, minlength=n_users)
    positions: Int64 = np.arange(len(users), dtype=np.int64) - np.repeat(indptr_of(counts)[:-1], counts)
    return positions


def _indexed_histories(
    lists: pa.LargeListArray | pa.DictionaryArray, items: pa.Table, place: Place | None
) -> pa.LargeListArray | pa.DictionaryArray:
    if pa.types.is_dictionary(lists.type):
        indexed = _indexed_histories(lists.dictionary, items, None)
        return pa.DictionaryArray.from_arrays(lists.indices, indexed)
    values = lists.flatten()
    codes = _codes(values, items.column("item_id"))
    offsets = indptr_of(pc.list_value_length(lists).to_numpy())
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        row = int(np.searchsorted(offsets, unknown[0], side="right")) - 1
        what = f"history contains item {values[int(unknown[0])].as_py()!r}, in neither the items nor the interactions"
        fix = "Add it to the items (the id is enough). If the history is text, separate its ids with spaces."
        raise make_cell_error(what, place, row, "history", fix=fix)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(codes))
