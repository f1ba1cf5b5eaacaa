"""What a columnar file unpacks to, told before it is unpacked: equal values take next to nothing in the file.

Parquet counts its rows, but not what texts in a dictionary come to: they are counted by their places in it. Arrow
writes the size of what it packed before each buffer, and where the buffers lie in FlatBuffers
(https://arrow.apache.org/docs/format/Columnar.html, File.fbs, Message.fbs).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reasonrec_core.data.columns import is_text
from reasonrec_datasets.importing.reading import CELL_BYTES, FileReading

TEXT_ROWS, NESTED_ROWS = 1 << 16, 1 << 10
"""That are counted at once."""
DICTIONARY_BATCH = 2


def refuse_large_parquet(path: Path, columns: Collection[str], reading: FileReading) -> None:
    """Refuse a Parquet file of which ``columns`` unpack to more than the limit.

    Raises:
        DataError: with the setting that moves the limit.
        pa.ArrowException: damaged.
    """
    # What the metadata says of column chunks is not asked: where that is damaged, Arrow ends the process.
    reading.refuse_bytes(pq.read_metadata(path).num_rows * len(columns) * CELL_BYTES, path)
    schema = pq.read_schema(path)
    kinds = {name: schema.field(name).type for name in columns}
    texts = [name for name, kind in kinds.items() if _is_text(kind) or pa.types.is_dictionary(kind)]
    nested = [name for name, kind in kinds.items() if pa.types.is_nested(kind)]
    size = 0
    for names, rows in ((texts, TEXT_ROWS), (nested, NESTED_ROWS)):
        if not names:
            continue
        file = pq.ParquetFile(path, read_dictionary=texts, memory_map=True)
        for batch in file.iter_batches(rows, columns=names, use_threads=False):
            size += sum(map(_measure, batch.columns))
            reading.refuse_bytes(size, path)


def _is_text(kind: pa.DataType) -> bool:
    return is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _measure(column: pa.Array) -> int:
    """The bytes of a column of text, written out."""
    if not (pa.types.is_dictionary(column.type) and _is_text(column.type.value_type)):
        return int(column.nbytes)
    if len(column.dictionary) == 0:
        return 0
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0)


def refuse_large_arrow(path: Path, reading: FileReading) -> None:
    """Refuse an Arrow file, or stream in a file, that unpacks to more than the limit.

    Raises:
        DataError: with the setting that moves the limit.
        pa.ArrowException: damaged.
    """
    size = 0
    with pa.memory_map(str(path)) as mapped:
        if mapped.read(6) == b"ARROW1":
            mapped.seek(8)
        else:
            mapped.seek(0)
        for message in pa.ipc.MessageReader.open_stream(mapped):
            if message.type in ("record batch", "dictionary") and message.body is not None:
                size += sum(_unpacked(message.metadata.to_pybytes(), message.body))
                reading.refuse_bytes(size, path)


def _unpacked(head: bytes, body: pa.Buffer) -> Iterator[int]:
    """The size of each buffer of a batch."""
    try:
        message = _follow(head, 0)
        batch = _table(head, message, 2)
        if head[_slot(head, message, 1)] == DICTIONARY_BATCH:
            batch = _table(head, batch, 1)
        at = _follow(head, _slot(head, batch, 2))
        count = struct.unpack_from("<I", head, at)[0]
        packed = bool(_slot(head, batch, 3))
        for number in range(count):
            offset, length = struct.unpack_from("<qq", head, at + 4 + 16 * number)
            if packed and length >= 8:
                yield max(length, struct.unpack("<q", body[offset : offset + 8].to_pybytes())[0])
            else:
                yield length
    except (struct.error, IndexError, ValueError) as error:
        raise pa.ArrowInvalid(f"a message is damaged ({error})") from error


def _follow(head: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", head, at)[0])


def _slot(head: bytes, table: int, number: int) -> int:
    """Where a field of a table lies; 0 where it is not there."""
    known = table - struct.unpack_from("<i", head, table)[0]
    size = struct.unpack_from("<H", head, known)[0]
    place = 4 + 2 * number
    offset = struct.unpack_from("<H", head, known + place)[0] if place < size else 0
    return table + offset if offset else 0


def _table(head: bytes, table: int, number: int) -> int:
    at = _slot(head, table, number)
    if not at:
        raise ValueError("a table is missing")
    return _follow(head, at)
