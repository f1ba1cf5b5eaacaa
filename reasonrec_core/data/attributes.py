"""Item and user fields: text or numbers, missing where missing, whatever the source's types were."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.column_parsing import Place, fail, flat, ids
from reasonrec_core.types import indptr_of

LABEL_SEPARATOR = "|"
LEADING_ZERO = r"^[+-]?0\d"
"""Codes such as zip ``07041`` look like numbers and are none."""


def checked_fields(table: pa.Table, key: str, place: Place | None = None) -> pa.Table:
    """The table with ``key`` as unique string ids and every other column as text or a number.

    Lists become labels joined with ``|``, booleans and dates text, NaN and blank text null. Columns of other types
    (structs, binary) are left out.

    Raises:
        DataError: a blank or repeated id, or an infinite number, with its place.
    """
    keys = ids(table.column(key), key, place)
    _refuse_repeated(keys, key, place)
    columns = {key: keys.dictionary_decode()}
    for name in table.column_names:
        if name != key and (column := _field(flat(table.column(name)), name, place)) is not None:
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
    raise fail(what, place, row, key, fix="Keep one row per id.")


def _field(values: pa.Array, name: str, place: Place | None) -> pa.Array | None:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _field(values.dictionary_decode(), name, place)
    if pa.types.is_null(kind):
        return values.cast(pa.string())
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return values.cast(pa.string())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _labels(values)
    if pa.types.is_decimal(kind):
        values, kind = values.cast(pa.float64()), pa.float64()
    if pa.types.is_integer(kind):
        return values.cast(pa.int64()) if not pa.types.is_uint64(kind) else values.cast(pa.float64())
    if pa.types.is_floating(kind):
        return _finite(values.cast(pa.float64()), name, place)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = values.cast(pa.string())
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), pa.scalar(None, pa.string()), text)
    return None


def _labels(values: pa.Array) -> pa.Array | None:
    inner = values.type.value_type
    if pa.types.is_nested(inner) or pa.types.is_binary(inner):
        return None
    # Element by element: joining a list that holds a null would give null and lose the other labels.
    words = values.flatten().cast(pa.string())
    rows = pc.list_parent_indices(values).to_numpy()[words.is_valid().to_numpy(zero_copy_only=False)]
    offsets = indptr_of(np.bincount(rows, minlength=len(values)))
    joined = pc.binary_join(pa.LargeListArray.from_arrays(pa.array(offsets), words.drop_null()), LABEL_SEPARATOR)
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


def _finite(values: pa.Array, name: str, place: Place | None) -> pa.Array:
    row = pc.index(pc.is_inf(values), True).as_py()
    if row >= 0:
        what = f"{name} is {values[row].as_py()}: values must be finite"
        raise fail(what, place, row, name, fix="Correct the cell or leave it empty.")
    return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)


def with_numbers(table: pa.Table, keep: Collection[str]) -> pa.Table:
    """Turn text columns, other than those in ``keep``, that hold nothing but numbers into numbers."""
    for position, name in enumerate(table.column_names):
        column = table.column(name)
        if name in keep or not pa.types.is_string(column.type) or column.null_count == len(column):
            continue
        if pc.any(pc.match_substring_regex(column, LEADING_ZERO)).as_py():
            continue
        try:
            parsed = pc.utf8_trim_whitespace(column).cast(pa.float64())
        except pa.ArrowInvalid:
            continue
        if not pc.any(pc.is_inf(parsed)).as_py():
            table = table.set_column(position, name, pc.if_else(pc.is_nan(parsed), None, parsed))
    return table
