"""Reading decisions back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reasonrec_core.errors import RunError
from reasonrec_core.trace.record import VERSIONS, TraceRecord, step_from_dict

BATCH = 4096
"""Rows that are turned into records at once."""


@dataclass(frozen=True)
class Trace(Sequence[TraceRecord]):
    """A trace that was read: columns in ``table``, records by position.

    Attributes:
        table: `SCHEMA`, or the columns of it that were asked for.
        versions: the versions that decided, by the hash that each row names.
    """

    table: pa.Table
    versions: Mapping[str, Mapping[str, str]]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return _record(self.table.slice(index % len(self), 1).to_pylist()[0])

    def __iter__(self) -> Iterator[TraceRecord]:
        for batch in self.table.to_batches(max_chunksize=BATCH):
            yield from map(_record, batch.to_pylist())


def read_trace(path: Path, columns: Sequence[str] | None = None) -> Trace:
    """Read a trace, or only some ``columns`` of it; a missing or foreign file is a `RunError`."""
    fix = "Run the pipeline again to write it."
    try:
        schema = pq.read_schema(path)
        if VERSIONS not in (schema.metadata or {}):
            raise RunError("not a trace of this version", where=str(path), fix=fix)
        table = pq.read_table(path, columns=None if columns is None else list(columns))
        return Trace(table.replace_schema_metadata(None), json.loads(schema.metadata[VERSIONS]))
    except (OSError, pa.ArrowInvalid, ValueError) as error:
        raise RunError(f"the trace cannot be read ({error})", where=str(path), fix=fix) from error


def _record(row: Mapping[str, Any]) -> TraceRecord:
    """A row as a record; columns that were not read keep their defaults."""
    values = {"query": -1, "user": None, "task": "", "history": (), "targets": (), "route": "", "reason": "", **row}
    for name in ("history", "targets", "ranking", "scores", "policy_ranking", "delegate_ranking"):
        values[name] = tuple(values.get(name) or ())
    values["uncertainty"] = dict(values.get("uncertainty") or ())
    values["steps"] = tuple(step_from_dict(step) for step in json.loads(values.get("steps") or "[]"))
    return TraceRecord(**values)
