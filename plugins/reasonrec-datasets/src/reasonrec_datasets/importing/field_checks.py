"""Fields of items and users as people write them, turned into text and numbers; the first bad cell is named."""

from __future__ import annotations

import html
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import is_list, is_text, take_column
from reasonrec_core.types import indptr_of
from reasonrec_datasets.importing.column_parsing import (
    Place,
    clear_blanks,
    count_cells,
    decode_values,
    find_first,
    make_cell_error,
)
from reasonrec_datasets.importing.id_parsing import parse_ids
from reasonrec_datasets.importing.list_parsing import join_written_lists

LABEL_SEPARATOR = "|"
SEPARATORS = (";", ",", " > ", "/")
OFTEN = 0.2
NULL = "\\N"
NOTHING = ("n/a", "na", "null", "none", "nan", "undefined", "(null)", "<na>", "#n/a", "unknown", "-", "--")
_ENTITY = r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});"


def check_fields(table: pa.Table, key: str, place: Place | None = None, notes: list[str] | None = None) -> pa.Table:
    """The table with ``key`` as unique string ids and every other column as text or a number.

    Lists, written ones too, become labels joined with ``|``, booleans and dates text, NaN and blank text null.
    Columns of other types (structs, binary) are left out. ``notes`` gets what is worth saying.

    Raises:
        DataError: a blank or repeated id, or an infinite number, with its place.
    """
    keys = parse_ids(table.column(key), key, place, notes)
    _refuse_repeated(keys, key, place)
    columns = {key: keys.dictionary_decode()}
    for name in table.column_names:
        if name != key and (column := _check_field(take_column(table, name), name, place, notes)) is not None:
            columns[name] = column
    return pa.table(columns)


def _refuse_repeated(keys: pa.DictionaryArray, key: str, place: Place | None) -> None:
    if len(keys.dictionary) == len(keys):
        return
    codes = keys.indices.to_numpy()
    _, first, back = np.unique(codes, return_index=True, return_inverse=True)
    row = int(np.flatnonzero(first[back] != np.arange(len(codes)))[0])
    earlier = int(first[back[row]])
    where = place.where(earlier, key) if place else f"row {earlier + 1}"
    what = f"{key} {keys[row].as_py()!r} occurs twice (first at {where})"
    raise make_cell_error(what, place, row, key, fix="Keep one row per id.")


def _check_field(values: pa.Array, name: str, place: Place | None, notes: list[str] | None) -> pa.Array | None:
    values = decode_values(values)
    kind = values.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return values.cast(pa.string())
    if is_list(kind):
        return _join_labels(values)
    if pa.types.is_integer(kind):
        return values.cast(pa.float64() if pa.types.is_uint64(kind) else pa.int64())
    if pa.types.is_decimal(kind):
        values = values.cast(pa.string())  # by way of its digits: 25.15 cast at once is 25.150000000000002
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _check_finite(values.cast(pa.float64()), name, place)
    if not is_text(kind):
        return None
    texts = clear_blanks(values.cast(pa.string()))
    if name != "image":  # a path stays as it is
        texts = _clear_missing(decode_entities(texts, name, notes), name, notes)
    found = join_written_lists(texts, name, LABEL_SEPARATOR, notes)
    if name == "categories" and notes is not None:
        notes += _note_separators(found)
    return found


def _clear_missing(texts: pa.Array, name: str, notes: list[str] | None) -> pa.Array:
    r"""Text with null for databases' ``\N``; other words for nothing stay, and are counted."""
    cleared = pc.if_else(pc.equal(texts, NULL), pa.scalar(None, texts.type), texts)
    if notes is not None:
        if gone := cleared.null_count - texts.null_count:
            notes.append(f"{name}: {count_cells(gone)} {NULL}, read as empty")
        words = cleared.filter(pc.fill_null(pc.is_in(pc.utf8_lower(cleared), value_set=pa.array(NOTHING)), False))
        if len(words):
            fix = f"If {'it stands' if len(words) == 1 else 'they stand'} for a missing value: empty the cells"
            notes.append(f"{name}: {count_cells(len(words))} {words[0].as_py()!r} or similar, read as text. {fix}")
    return cleared


def _note_separators(texts: pa.Array) -> list[str]:
    """A sentence where cells of categories look like several labels with something else than ``|`` between them."""
    filled = texts.drop_null()
    if not len(filled):
        return []
    for separator in SEPARATORS:
        matching = filled.filter(pc.match_substring(filled, separator))
        if len(matching) >= OFTEN * len(filled):
            what = (
                f"{len(matching):,} of {len(filled):,} cells contain {separator!r}, e.g. {matching[0].as_py()[:60]!r}"
            )
            return [
                f"categories: {what}, and are read as one label each. "
                f"If it separates labels: --label-separator {separator!r}"
            ]
    return []


def decode_entities(texts: pa.Array, name: str, notes: list[str] | None = None) -> pa.Array:
    """Text with HTML entities as the characters that they stand for: "Tom &amp; Jerry" is "Tom & Jerry".

    Shops encode twice: "&amp;reg;" is "®", too. ``notes`` gets how many cells had any.
    """
    rows = np.flatnonzero(pc.fill_null(pc.match_substring_regex(texts, _ENTITY), False).to_numpy(zero_copy_only=False))
    if not len(rows):
        return texts
    made = texts.to_pylist()
    for row in rows.tolist():
        once = html.unescape(made[row])
        made[row] = html.unescape(once) if re.search(_ENTITY, once) else once
    if notes is not None:
        notes.append(f"HTML entities (such as &amp;) were decoded in {len(rows):,} cells of {name}.")
    return pa.array(made, pa.string())


def _join_labels(values: pa.Array) -> pa.Array | None:
    inner = values.type.value_type
    if pa.types.is_nested(inner) or pa.types.is_binary(inner):
        return None
    # Element by element: joining a list that holds a null would give null and lose the other labels.
    words = values.flatten().cast(pa.string())
    rows = pc.list_parent_indices(values).to_numpy()[words.is_valid().to_numpy(zero_copy_only=False)]
    offsets = indptr_of(np.bincount(rows, minlength=len(values)))
    joined = pc.binary_join(pa.LargeListArray.from_arrays(pa.array(offsets), words.drop_null()), LABEL_SEPARATOR)
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


def _check_finite(values: pa.Array, name: str, place: Place | None) -> pa.Array:
    row = find_first(pc.is_inf(values))
    if row >= 0:
        what = f"{name} is {values[row].as_py()}: values must be finite"
        raise make_cell_error(what, place, row, name, fix="Correct the cell or leave it empty.")
    return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
