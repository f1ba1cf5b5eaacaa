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
from reasonrec_core.io import read_json
from reasonrec_trace.schema import COLUMNS, FORMAT, HEADER, RECORD, SCHEMA, TEST, Header, TraceRecord, to_row

BATCH = 4096
"""Rows held at once."""
TRACE_FILES = ("trace.parquet", "trace.jsonl")
"""Of the trace in a run folder."""
AGAIN = "Run the pipeline again to write it (reasonrec evaluate RUN)."
RESTORE = "Restore the file, or run the pipeline again (reasonrec evaluate RUN)."


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
            part: of the trace; all parts if None.

        Raises:
            RunError: the file is damaged.
        """
        wanted = list(COLUMNS if columns is None else columns)
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
            yield from (table.select(columns) for table in _read_lines(self.path))
            return
        with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(BATCH, columns=columns, use_threads=False):
                yield pa.Table.from_batches([batch])


@dataclass(frozen=True)
class Trace(Sequence[TraceRecord]):
    """A trace in memory: columns in ``table``, records by position; columns that were not read have their defaults."""

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
        RunError: there is none, or the file is foreign, damaged, of another format than this version reads, or of
            another fit than the one that the run folder holds now.
    """
    given, path = path, find_trace(path)
    with _refused(path):
        raw = _json_header(path) if _is_json(path) else _parquet_header(path)
    found = raw.get("format") if isinstance(raw, dict) else None
    if not isinstance(found, int):
        raise RunError("is not a trace: its header has no format", where=str(path), fix=AGAIN)
    if found != FORMAT:
        raise RunError(
            f"the trace has format {found}, this version of reasonrec reads format {FORMAT}",
            where=str(path),
            fix="Update it: pip install --upgrade reasonrec." if found > FORMAT else AGAIN,
        )
    try:
        header = Header.model_validate(raw)
    except ValidationError as error:
        what = f"the trace's header is damaged ({_first_fault(error)})"
        raise RunError(what, where=str(path), fix=AGAIN) from error
    if given.is_dir() and (other := _find_difference(given, header)):
        fix = f"Create it again: reasonrec evaluate {given}. To read it anyway, name the file."
        raise RunError(f"the trace is not of this run as it was fitted last: {other} differs", where=str(path), fix=fix)
    return TraceFile(path, header)


def _find_difference(run: Path, header: Header) -> str:
    """What a run was fitted with since the trace was written, in words; "" where nothing shows."""
    agent, data = run / "stages" / "agent" / "agent.json", run / "stages" / "data" / "dataset" / "manifest.json"
    if not (agent.is_file() and data.is_file()):
        return ""  # a trace that was copied, with a folder around it
    state, manifest = read_json(agent), read_json(data)
    if isinstance(manifest, dict) and manifest.get("hash") != header.data:
        return "its data"
    routers = state.get("routers") if isinstance(state, dict) else None
    return "its router" if isinstance(routers, dict) and routers.get(header.task) != header.router else ""


def read_trace(path: Path, columns: Sequence[str] | None = None, part: str | None = TEST) -> Trace:
    """Read a trace, or only some ``columns`` of it, into memory; `open_trace` says what is refused."""
    file = open_trace(path)
    empty = pa.schema([SCHEMA.field(name) for name in columns or COLUMNS]).empty_table()
    return Trace(pa.concat_tables([empty, *file.tables(columns, part)]), file.header, file.path)


def find_trace(path: Path) -> Path:
    """The trace in a run folder, or ``path`` itself where it is a file."""
    if not path.is_dir():
        return path
    for name in TRACE_FILES:
        if (path / name).exists():
            return path / name
    raise RunError(
        f"the folder contains no {' or '.join(TRACE_FILES)}", where=str(path), fix="Create one: reasonrec run PIPELINE."
    )


def _is_json(path: Path) -> bool:
    """Whether it is JSON lines rather than Parquet, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(4)
    if start != b"PAR1" and not start.startswith(b"{"):
        what = "the file is empty" if not start else "is not a trace: it is neither Parquet nor JSON lines"
        raise RunError(what, where=str(path), fix=AGAIN)
    return start != b"PAR1"


def _parquet_header(path: Path) -> Any:
    schema = pq.read_schema(path)
    text = (schema.metadata or {}).get(HEADER)
    if text is None:
        raise RunError("is not a trace of this version: the Parquet file has no header", where=str(path), fix=AGAIN)
    header = json.loads(text)
    same = schema.remove_metadata().equals(SCHEMA)
    if not same and isinstance(header, dict) and header.get("format") == FORMAT:
        raise RunError("the trace's columns do not match its format", where=str(path), fix=AGAIN)
    return header


def _json_header(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        first = _parse(path, 1, file.readline())
    if not isinstance(first, dict) or HEADER.decode() not in first:
        raise RunError(f"is not a trace: there is no {HEADER.decode()!r}", where=f"{path}:1", fix=RESTORE)
    return first[HEADER.decode()]


def _read_lines(path: Path) -> Iterator[pa.Table]:
    """The rows of a trace in JSON lines; a line that is no decision, or a file that ends too early, is refused."""
    rows, count, said = list[dict[str, Any]](), 0, None
    with path.open(encoding="utf-8") as file:
        file.readline()
        for number, line in enumerate(file, 2):
            value = _parse(path, number, line)
            if said is not None:
                raise RunError("there are lines after the end of the trace", where=f"{path}:{number}", fix=RESTORE)
            if isinstance(value, dict) and value.keys() == {"rows"}:
                said = value["rows"]
                continue
            count += 1
            rows.append(_row(path, number, value))
            if len(rows) == BATCH:
                yield pa.Table.from_pylist(rows, schema=SCHEMA)
                rows = []
    if said != count:
        last = "the last line is missing" if said is None else f"not {said}"
        raise RunError(f"the trace is cut off after {count} decisions: {last}", where=str(path), fix=RESTORE)
    if rows:
        yield pa.Table.from_pylist(rows, schema=SCHEMA)


def _parse(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        what = f"the trace is cut off or damaged: not valid JSON ({error})"
        raise RunError(what, where=f"{path}:{number}", fix=RESTORE) from error


def _row(path: Path, number: int, value: Any) -> dict[str, Any]:
    """A line as Arrow takes it."""
    if not isinstance(value, dict) or value.keys() != COLUMNS.keys():
        what = "the line is not a decision (it has other keys)"
        raise RunError(what, where=f"{path}:{number}", fix=RESTORE)
    try:
        return to_row(RECORD.validate_python(value))
    except (ValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"the line is not a decision ({_first_fault(error)})", where=f"{path}:{number}", fix=RESTORE
        ) from error


def _records(path: Path, rows: pa.Table | pa.RecordBatch) -> Iterator[TraceRecord]:
    """Rows as records; a step or a map that is none is a damaged file."""
    for row in rows.to_pylist():
        try:
            yield RECORD.validate_python(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"decision {row.get('query')} is damaged ({_first_fault(error)})"
            raise RunError(what, where=str(path), fix=AGAIN) from error


def _first_fault(error: Exception) -> str:
    """What is wrong, in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Everything that reading raises, as one kind of error."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError("there is no such trace", where=str(path), fix="Create one: reasonrec run PIPELINE.") from error
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        said = " ".join(str(error).split())
        what = f"the trace cannot be read: it is cut off or damaged ({said})"
        raise RunError(what, where=str(path), fix=AGAIN) from error
