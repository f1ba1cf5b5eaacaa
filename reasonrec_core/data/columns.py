"""Columns of stored tables: as one array, and what kind of values they hold."""

from __future__ import annotations

import pyarrow as pa


def flatten_column(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column as one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
        if column.num_chunks:
            codes = pa.chunked_array([chunk.indices for chunk in column.chunks]).combine_chunks()
            return pa.DictionaryArray.from_arrays(codes, column.chunk(0).dictionary)
    return column.combine_chunks()


def take_column(table: pa.Table, name: str) -> pa.Array:
    """The table's column as one array."""
    return flatten_column(table.column(name))


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are text, however Arrow keeps it."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether values of this type are lists of any length."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
