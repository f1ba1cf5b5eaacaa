"""What a data source reads, before it is indexed: tables with string ids, checked in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, is_text
from reasonrec_core.errors import DataError, did_you_mean
from reasonrec_core.types import Float32
from reasonrec_datasets.importing.column_parsing import (
    CAST_FAILURES,
    CORRECT,
    Place,
    clear_blanks,
    decode_values,
    make_cell_error,
    parse_numbers,
)
from reasonrec_datasets.importing.context import list_context, parse_context
from reasonrec_datasets.importing.field_checks import check_fields
from reasonrec_datasets.importing.file_order import reverse_if_newest_first
from reasonrec_datasets.importing.histories import parse_histories
from reasonrec_datasets.importing.id_parsing import find_mangled_ids, parse_ids
from reasonrec_datasets.importing.number_parsing import convert_amounts
from reasonrec_datasets.importing.time_checks import note_implausible
from reasonrec_datasets.importing.time_parsing import TimeForm, parse_times

PARTS = ("train", "valid", "test")
PART_NAMES = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "test": "test"}
SAMPLE = 1000
FEW_KINDS = 9
LARGEST = float(np.finfo(np.float32).max)
REVIEW_COLUMNS = ("review", "summary")
LOG_COLUMNS = ("user_id", "item_id", "timestamp", "value", "part", "history", *REVIEW_COLUMNS)


@dataclass(frozen=True)
class RawTables:
    """What a data source reads: string ids, in the source's order. Checked and indexed by `build_dataset`.

    Attributes:
        interactions: ``user_id``, ``item_id`` (text or whole numbers), and optionally ``timestamp`` (anything that
            `parse_times` reads), ``value`` (number), ``part`` (train, valid or test), ``history`` (item ids,
            oldest first: a list, or text with blanks between ids), ``review`` and ``summary`` (what the user wrote),
            and columns of context (anything that is text or a number), called ``context.`` and a name.
        items: ``item_id``, fields, ``image``; items that occur only in interactions are added without fields.
        users: ``user_id`` and fields, or None.
        images: folder that image paths are relative to.
        name: of the dataset.
        source: what it was read from and how, for the manifest; ``notes`` holds sentences for the user.
        places: where the rows of ``interactions``, ``items`` and ``users`` stand, for error messages.
        time_form: how ``timestamp`` is written, where that is said.
        derived: names of contexts that are to be worked out from the times (`context.DERIVED`).
        checked: the tables that `check` made: they are not checked again.
    """

    interactions: pa.Table
    items: pa.Table | None = None
    users: pa.Table | None = None
    images: Path | None = None
    name: str = "dataset"
    source: dict[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    time_form: TimeForm = field(default=TimeForm(), compare=False)
    derived: tuple[str, ...] = ()
    checked: tuple[pa.Table | None, ...] = field(default=(), compare=False, repr=False)

    @property
    def tables(self) -> tuple[pa.Table, pa.Table | None, pa.Table | None]:
        """Interactions, items, users."""
        return self.interactions, self.items, self.users

    def check(self) -> RawTables:
        """The same content in fixed types, or the first thing that is wrong with it.

        Ids become dictionary-encoded strings, ``timestamp`` int64 seconds, ``value`` float32, ``part`` one of `PARTS`,
        ``history`` list<string> or codes of such lists, ``review``, ``summary`` and context text (blank is null);
        columns that a log does not know are left out. Times finer than a second decide the order of rows before they
        are cut to seconds. What was noticed (a time that is hardly right) stands in the notes of ``source``. Tables
        that were checked before are taken as they are.

        Raises:
            DataError: with the place of the cell where it is known.
        """
        if self.checked and all(mine is seen for mine, seen in zip(self.tables, self.checked, strict=True)):
            return self
        places = self.places
        notes: list[str] = []
        log = _check_log(self.interactions, places.get("interactions"), self.time_form, notes)
        items = None if self.items is None else _check_table(self.items, "item_id", places.get("items"), notes)
        users = None if self.users is None else _check_table(self.users, "user_id", places.get("users"), notes)
        source = self.source | ({"notes": [*self.source.get("notes", ()), *notes]} if notes else {})
        return replace(self, interactions=log, items=items, users=users, source=source, checked=(log, items, users))


def _require_column(table: pa.Table, key: str, what: str) -> None:
    if key not in table.column_names:
        raise DataError(f"the {what} has no column {key!r}; its columns are: {', '.join(table.column_names)}")


def _check_table(table: pa.Table, key: str, place: Place | None, notes: list[str]) -> pa.Table:
    what = f"table of {key.removesuffix('_id')}s"
    _require_column(table, key, what)
    if table.num_rows == 0:
        raise DataError(f"the {what} is empty")
    return check_fields(table, key, place, notes)


def _check_log(table: pa.Table, place: Place | None, form: TimeForm, notes: list[str]) -> pa.Table:
    for key in ("user_id", "item_id"):
        _require_column(table, key, "table of interactions")
    if table.num_rows == 0:
        raise DataError("there are no interactions", fix="A dataset needs at least one.")
    columns: dict[str, Any] = {key: parse_ids(table.column(key), key, place, notes) for key in ("user_id", "item_id")}
    parsers: dict[str, Callable[[pa.ChunkedArray, Place | None], Any]] = {
        "value": partial(_parse_values, notes),
        "part": _parse_parts,
        "history": partial(parse_histories, columns["item_id"].dictionary, notes),
    }
    parsers |= {name: partial(_parse_texts, name) for name in REVIEW_COLUMNS}
    columns |= {name: parse_context(table.column(name), name, place) for name in list_context(table.column_names)}
    columns |= {name: parse(table.column(name), place) for name, parse in parsers.items() if name in table.column_names}
    if "timestamp" not in table.column_names:
        return pa.table(columns)
    times = parse_times(table.column("timestamp"), "timestamp", place, form, notes)
    notes += note_implausible(table.column("timestamp"), times) + _note_shortened(table.column("timestamp"))
    columns["timestamp"] = np.floor(times).astype(np.int64)
    checked = pa.table(columns)
    if reverse_if_newest_first(columns, times, notes):
        backwards = pa.array(np.arange(len(times) - 1, -1, -1))
        checked, times = checked.take(backwards), times[::-1]
    if times.dtype.kind == "f" and (np.diff(times) < 0).any():
        return checked.take(pa.array(np.argsort(times, kind="stable")))
    return checked


def _note_shortened(column: pa.ChunkedArray) -> list[str]:
    """A sentence where times are long numbers as a spreadsheet shows them: their last digits are lost."""
    cells = decode_values(flatten_column(column))
    if not is_text(cells.type) or not pc.any(find_mangled_ids(cells)).as_py():
        return []
    row = pc.index(find_mangled_ids(cells), True).as_py()
    many = pc.sum(find_mangled_ids(cells).cast(pa.int64())).as_py()
    fix = "Their last digits are lost: export the file again, with times as text."
    return [f"WARNING: {many:,} times are numbers that a spreadsheet shortened, e.g. {cells[row].as_py()!r}. {fix}"]


def _parse_values(notes: list[str], column: pa.ChunkedArray, place: Place | None) -> Float32:
    try:
        values = parse_numbers(convert_amounts(column, "value", notes), "value", place)
    except DataError as error:
        raise DataError(error.what, where=error.where, fix=_suggest_weights(column) or error.fix) from error
    if len(values) and max(abs(values.min()), values.max()) > LARGEST:
        row = int(np.flatnonzero(np.abs(values) > LARGEST)[0])
        raise make_cell_error(f"value {values[row]:g} is too large", place, row, "value", fix=CORRECT)
    return values.astype(np.float32)


def _suggest_weights(column: pa.ChunkedArray) -> str | None:
    """What to do with a column that holds a few words and no number; None where it is another."""
    cells = decode_values(flatten_column(column.slice(0, SAMPLE))).drop_null()
    if not is_text(cells.type):
        return None
    kinds = cells.unique()
    if len(kinds) > FEW_KINDS or pc.any(pc.match_substring_regex(kinds, r"\d")).as_py():
        return None
    weights = ",".join(f"{kind}=1" for kind in kinds.to_pylist()[:3])
    weigh = f"If it holds events, weight them: --event-column NAME --event-weights {weights}."
    return f"{weigh} Otherwise ignore it: --column value="


def _parse_texts(name: str, column: pa.ChunkedArray, place: Place | None) -> pa.Array:
    try:
        return clear_blanks(flatten_column(column.cast(pa.large_string())))
    except CAST_FAILURES as error:
        raise make_cell_error(f"{name} has type {column.type}", place, 0, name, fix="Use text.") from error


def _parse_parts(column: pa.ChunkedArray, place: Place | None) -> pa.DictionaryArray:
    named = parse_ids(column, "part", place)
    known = [PART_NAMES.get(part.lower()) for part in named.dictionary.to_pylist()]
    for code, part in enumerate(known):
        if part is None:
            row = pc.index(named.indices, code).as_py()
            bad = named.dictionary[code].as_py()
            raise make_cell_error(f"unknown part {bad!r}", place, row, "part", fix=did_you_mean(bad, PARTS))
    codes = np.array([PARTS.index(part) for part in known if part], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes[named.indices.to_numpy()]), pa.array(PARTS))
