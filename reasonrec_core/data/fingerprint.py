"""A table's fingerprint: equal for equal content, however Arrow or Parquet lays it out."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.column_parsing import flat


def table_hash(table: pa.Table) -> str:
    """SHA-256 over names, types and values; the order of columns does not count, that of rows does.

    Arrow's own bytes will not do: what lies under a null, whether a mask of no nulls is stored, and how rows are cut
    into chunks differ between equal tables.
    """
    digest = hashlib.sha256(str(table.num_rows).encode())
    for name in sorted(table.column_names):
        digest.update(f"\0{name}\0".encode())
        _add(digest, flat(table.column(name)))
    return digest.hexdigest()


def _add(digest: Any, values: pa.Array) -> None:
    digest.update(_kind(values.type).encode())
    if values.null_count:
        digest.update(np.packbits(values.is_null().to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        digest.update(pc.list_value_length(pc.fill_null(values, [])).cast(pa.int64()).to_numpy().tobytes())
        _add(digest, values.flatten())
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        text = pc.fill_null(values, "").cast(pa.large_string())
        digest.update(pc.binary_length(text).cast(pa.int64()).to_numpy().tobytes())
        _, offsets, data = text.buffers()
        bounds = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
        if data is not None and len(text):
            digest.update(memoryview(data)[bounds[0] : bounds[-1]])
    else:
        plain = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
        digest.update(np.ascontiguousarray(plain + plain.dtype.type(0)).tobytes())  # + 0: -0.0 and 0.0 are equal


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list {kind.value_type}"
    return "string" if pa.types.is_large_string(kind) else str(kind)
