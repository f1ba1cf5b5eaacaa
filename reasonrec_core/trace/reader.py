"""Reading decisions back, a few thousand at a time; whatever is wrong with a file is one message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from reasonrec_core.errors import RunError
from reasonrec_core.trace.json_lines import json_header, json_tables
from reasonrec_core.trace.record import TraceRecord
from reasonrec_core.trace.schema import FORMAT, HEADER, SCHEMA, TEST, Header
from reasonrec_core.trace.serialization import as_record

BATCH = 4096
"""Rows held at once."""
NAMES = ("trace.parquet", "trace.jsonl")
"""Of the trace in a run folder."""
AGAIN = "Run the pipeline again to write it (reasonrec evaluate RUN)."


@dataclass(frozen=True)
class TraceFile:
    """A trace on disk, read as far as its header.

    Attributes:
        path: of the file.
        header: what holds for all rows.
    """

    path: Path
    header: Header

    def tables(self, columns: Sequence[str] | None = None, part: str | None = TEST) -> Iterator[pa.Table]:
        """The rows in order, at most `BATCH` at a time.

        Args:
            columns: those wanted; all if not given.
            part: of the trace; both parts if None.

        Raises:
            RunError: the file is damaged.
        """
        wanted = list(SCHEMA.names if columns is None else columns)
        read = wanted if part is None or "part" in wanted else [*wanted, "part"]
        with _refused(self.path):
            for table in self._read(read):
                rows = table if part is None else table.filter(pc.equal(table.column("part"), part))
                if len(rows):
                    yield rows.select(wanted)

    def records(self, part: str | None = TEST, **equal: int | str) -> Iterator[TraceRecord]:
        """The decisions in order; of them those whose columns ``equal`` what is given, e.g. ``route="replace"``."""
        for table in self.tables(part=part):
            for name, value in equal.items():
                table = table.filter(pc.equal(table.column(name), value))
            yield from _records(self.path, table)

    def _read(self, columns: list[str]) -> Iterator[pa.Table]:
        if _is_json(self.path):
            yield from json_tables(self.path, columns, BATCH)
            return
        with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(BATCH, columns=columns, use_threads=False):
                yield pa.Table.from_batches([batch])


@dataclass(frozen=True)
class Trace(Sequence[TraceRecord]):
    """A trace in memory: columns in ``table``, records by position.

    Attributes:
        table: `SCHEMA`, or the columns of it that were asked for.
        header: what holds for all rows.
        path: where it was read.
    """

    table: pa.Table
    header: Header
    path: Path

    @property
    def versions(self) -> Mapping[str, Mapping[str, str]]:
        """The versions that decided, by the hash that each row names."""
        return self.header.versions

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return next(_records(self.path, self.table.slice(index % len(self), 1)))

    def __iter__(self) -> Iterator[TraceRecord]:
        for batch in self.table.to_batches(max_chunksize=BATCH):
            yield from _records(self.path, batch)


def open_trace(path: Path) -> TraceFile:
    """Open the trace at ``path``, a file or a run folder.

    Raises:
        RunError: there is none, or the file is foreign, damaged, or of another format than this version reads.
    """
    path = find_trace(path)
    with _refused(path):
        raw = json_header(path) if _is_json(path) else _parquet_header(path)
    found = raw.get("format") if isinstance(raw, dict) else None
    if not isinstance(found, int):
        raise RunError("not a trace: its header names no format", where=str(path), fix=AGAIN)
    if found != FORMAT:
        newer = found > FORMAT
        raise RunError(
            f"the trace has format {found}, this version of reasonrec reads format {FORMAT}",
            where=str(path),
            fix="Update it: pip install --upgrade reasonrec-core." if newer else AGAIN,
        )
    try:
        return TraceFile(path, Header.model_validate(raw))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RunError(f"the trace's header is damaged ({key}: {first['msg']})", where=str(path), fix=AGAIN) from error


def read_trace(path: Path, columns: Sequence[str] | None = None, part: str | None = TEST) -> Trace:
    """Read a trace, or only some ``columns`` of it, into memory; `open_trace` says what is refused."""
    file = open_trace(path)
    names = SCHEMA.names if columns is None else columns
    empty = pa.schema([SCHEMA.field(name) for name in names]).empty_table()
    return Trace(pa.concat_tables([empty, *file.tables(columns, part)]), file.header, file.path)


def find_trace(path: Path) -> Path:
    """The trace in a run folder, or ``path`` itself where it is a file."""
    if not path.is_dir():
        return path
    for name in NAMES:
        if (path / name).exists():
            return path / name
    raise RunError(
        f"the folder holds no {' or '.join(NAMES)}", where=str(path), fix="Make one: reasonrec run PIPELINE."
    )


def _is_json(path: Path) -> bool:
    """Whether it is JSON lines rather than Parquet, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(4)
    if start != b"PAR1" and not start.startswith(b"{"):
        what = "the file is empty" if not start else "not a trace: neither Parquet nor JSON lines"
        raise RunError(what, where=str(path), fix=AGAIN)
    return start != b"PAR1"


def _parquet_header(path: Path) -> Any:
    schema = pq.read_schema(path)
    text = (schema.metadata or {}).get(HEADER)
    if text is None:
        raise RunError("not a trace of this version: a Parquet file without its header", where=str(path), fix=AGAIN)
    header = json.loads(text)
    same = schema.remove_metadata().equals(SCHEMA)
    if not same and isinstance(header, dict) and header.get("format") == FORMAT:
        raise RunError("the trace's columns are not those of its format", where=str(path), fix=AGAIN)
    return header


def _records(path: Path, rows: pa.Table | pa.RecordBatch) -> Iterator[TraceRecord]:
    """Rows as records; a step or a map that is none is a damaged file."""
    for row in rows.to_pylist():
        try:
            yield as_record(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"decision {row.get('query')} is damaged ({error})", where=str(path), fix=AGAIN) from error


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Everything that reading raises, as one kind of error."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError("there is no such trace", where=str(path), fix="Make one: reasonrec run PIPELINE.") from error
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        said = " ".join(str(error).split())
        raise RunError(
            f"the trace cannot be read: it is cut off or damaged ({said})", where=str(path), fix=AGAIN
        ) from error
