"""Writing decisions to Parquet or JSON lines: whole batches of arrays at a time, whole files or none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from reasonrec_core.errors import DataError
from reasonrec_core.io import whole_file
from reasonrec_trace.batch import BatchEncoder, TraceBatch
from reasonrec_trace.pseudonyms import Hasher
from reasonrec_trace.schema import HEADER, RECORD, SCHEMA, Header, TraceRecord, to_json, to_row

ROW_GROUP = 4096
"""Rows of a Parquet row group: enough to compress well, few enough to hold in memory."""
SUFFIX = ".jsonl"
"""Of a trace in JSON lines."""


class TraceWriter:
    """Writes decisions to ``path``; the file appears when the block ends without an error, else not at all.

    Args:
        path: JSON lines where it ends in ``.jsonl``, else Parquet.
        header: what holds for all rows.
        item_ids: string ids by dense item index, for `write_batch`.
        user_ids: string ids by dense user index, for `write_batch`.
        hasher: what is hashed. Rows keep the order and (in batches) the keys that they are given in: see
            `Hasher.order` and `Hasher.keys`.
        history: how many of the newest history items each row of a batch keeps.
    """

    def __init__(
        self,
        path: Path,
        header: Header | None = None,
        *,
        item_ids: Sequence[str] = (),
        user_ids: Sequence[str] = (),
        hasher: Hasher | None = None,
        history: int = 50,
    ) -> None:
        self.path, self._hasher = path, hasher or Hasher()
        self.header = (header or Header()).model_copy(update={"hashed": self._hasher.hashed})
        self._version = next(iter(self.header.versions), "")
        items, users = [self._hasher.item(i) for i in item_ids], [self._hasher.user(u) for u in user_ids]
        self._encoder = BatchEncoder(items, users, history, private=self._hasher.items)
        self._stack = ExitStack()
        self._sink: _Parquet | _JsonLines | None = None

    def __enter__(self) -> Self:
        aside = self._stack.enter_context(whole_file(self.path))
        lines = self.path.suffix == SUFFIX
        sink: _Parquet | _JsonLines = _JsonLines(aside, self.header) if lines else _Parquet(aside, self.header)
        self._stack.enter_context(sink)
        self._sink = sink
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._sink = None
        self._stack.__exit__(kind, error, where)

    def write(self, rows: Iterable[TraceRecord]) -> None:
        """Append single records."""
        made = [to_row(self._hasher.conceal(record, self._version)) for record in rows]
        self._append(pa.Table.from_pylist(made, schema=SCHEMA))

    def write_batch(self, batch: TraceBatch) -> None:
        """Append B decisions without a Python loop over the ids."""
        self._append(self._encoder.encode(batch, self._version))

    def _append(self, table: pa.Table) -> None:
        if self._sink is None:
            raise RuntimeError("a TraceWriter writes inside its `with` block")
        self._sink.append(table)


class _Parquet:
    """A Parquet file with checksums, in row groups of `ROW_GROUP` rows whatever the size of the batches."""

    def __init__(self, path: Path, header: Header) -> None:
        schema = SCHEMA.with_metadata({HEADER: header.model_dump_json().encode()})
        self._schema, self._waiting = schema, list[pa.Table]()
        self._file = pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush(1)
        finally:
            self._file.close()

    def append(self, table: pa.Table) -> None:
        """Add rows, which are written when there are enough of them."""
        self._waiting.append(table)
        self._flush(ROW_GROUP)

    def _flush(self, least: int) -> None:
        while sum(len(table) for table in self._waiting) >= least:
            rows = pa.concat_tables(self._waiting)
            self._file.write_table(rows.slice(0, ROW_GROUP).replace_schema_metadata(self._schema.metadata))
            self._waiting = [rows.slice(ROW_GROUP)]


class _JsonLines:
    """A first line with the header, a line per decision, a last line with their number (so that a cut shows)."""

    def __init__(self, path: Path, header: Header) -> None:
        self._header, self._rows = header, 0
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def __enter__(self) -> Self:
        self._line({HEADER.decode(): self._header.model_dump(mode="json")})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._line({"rows": self._rows})

    def append(self, table: pa.Table) -> None:
        """Add rows."""
        for batch in table.to_batches(max_chunksize=ROW_GROUP):
            for row in batch.to_pylist():
                self._line(to_json(RECORD.validate_python(row)))
        self._rows += len(table)

    def _line(self, value: object) -> None:
        try:
            self._file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
        except ValueError as error:
            raise DataError(f"row {self._rows} cannot be written as JSON ({error})", where="trace") from error
