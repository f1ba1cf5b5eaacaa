"""Writing decisions to Parquet, whole batches at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reasonrec_core.files import content_hash, whole_file
from reasonrec_core.trace.record import SCHEMA, VERSIONS, TraceBatch, TraceRecord, step_as_dict
from reasonrec_core.types import Float32, Int32, Int64, QueryBatch, Ranking, Step

ROW_GROUP = 4096
"""Rows of a Parquet row group: enough to compress well, few enough to look one decision up quickly."""


class TraceWriter:
    """Writes decisions to ``path``; the file appears when the block ends without an error, else not at all.

    Args:
        path: of the Parquet file.
        item_ids: string ids by dense item index, for `write_batch`.
        user_ids: string ids by dense user index, for `write_batch`.
        versions: of the data, the config and every component; kept once per file.
        history: how many of the newest history items each row keeps.
    """

    def __init__(
        self,
        path: Path,
        *,
        item_ids: Sequence[str] = (),
        user_ids: Sequence[str] = (),
        versions: Mapping[str, str] | None = None,
        history: int = 50,
    ) -> None:
        self.path, self.history = path, history
        self.versions = dict(versions or {})
        self.version_hash = content_hash(self.versions)[:16]
        self._items, self._users = pa.array(item_ids, pa.string()), pa.array(user_ids, pa.string())
        self._stack = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        aside = self._stack.enter_context(whole_file(self.path))
        metadata = {VERSIONS: json.dumps({self.version_hash: self.versions}, sort_keys=True).encode()}
        schema = SCHEMA.with_metadata(metadata)
        self._writer = self._stack.enter_context(pq.ParquetWriter(aside, schema, compression="zstd"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._writer = None
        self._stack.__exit__(kind, error, where)

    def write(self, rows: Iterable[TraceRecord]) -> None:
        """Append single records."""
        records = list(rows)
        columns = [pa.array([self._cell(r, f.name) for r in records], f.type) for f in SCHEMA]
        self._append(pa.Table.from_arrays(columns, schema=SCHEMA))

    def write_batch(self, batch: TraceBatch) -> None:
        """Append B decisions without a Python loop over the ids."""
        self._append(pa.Table.from_arrays(self._columns(batch), schema=SCHEMA))

    def _cell(self, record: TraceRecord, name: str) -> Any:
        """One value as Arrow takes it."""
        value = getattr(record, name)
        if name == "steps":
            return _steps_json(value)
        if name == "versions":
            return value or self.version_hash
        return list(value.items()) if name == "uncertainty" else value

    def _append(self, table: pa.Table) -> None:
        if self._writer is None:
            raise RuntimeError("a TraceWriter writes inside its `with` block")
        self._writer.write_table(table.replace_schema_metadata(self._writer.schema.metadata), ROW_GROUP)

    def _columns(self, batch: TraceBatch) -> list[pa.Array]:
        n, recent = len(batch), _newest(batch.queries, self.history)
        empty = np.zeros(n + 1, np.int64), np.zeros(0, np.int32)
        targets = (
            empty if batch.target_indptr is None or batch.targets is None else (batch.target_indptr, batch.targets)
        )
        columns: dict[str, Any] = {
            "query": np.arange(batch.first, batch.first + n, dtype=np.int64),
            "user": self._users.take(pa.array(batch.queries.users, pa.int32(), mask=batch.queries.users < 0)),
            "task": [str(batch.queries.task)] * n,
            "history": self._lists(*recent),
            "targets": self._lists(*targets),
            "route": [str(route) for route in batch.routes],
            "reason": list(batch.reasons),
            "risk": _optional(batch.risk, n),
            "confidence": _optional(batch.confidence, n),
            "uncertainty": _uncertainty(batch.uncertainty, n),
            "delegate": list(batch.delegates) if batch.delegates is not None else [None] * n,
            "ranking": self._lists(*_ragged(batch.ranking, n)),
            "scores": _scores(batch.ranking),
            "policy_ranking": self._lists(*_ragged(batch.policy_ranking, n)),
            "delegate_ranking": self._lists(*_ragged(batch.delegate_ranking, n)),
            "steps": [_steps_json(batch.steps.get(row, ())) for row in range(n)],
            "latency": np.zeros(n) if batch.latency is None else batch.latency,
            "tokens": np.zeros(n, np.int64) if batch.tokens is None else batch.tokens,
            "versions": [self.version_hash] * n,
        }
        return [c if isinstance(c := columns[f.name], pa.Array) else pa.array(c, f.type) for f in SCHEMA]

    def _lists(self, indptr: Int64, items: Int32) -> pa.Array:
        low, high = int(indptr[0]), int(indptr[-1])
        offsets = pa.array(indptr - low, pa.int32())
        return pa.ListArray.from_arrays(offsets, self._items.take(pa.array(items[low:high], pa.int32())))


def _steps_json(steps: Sequence[Step]) -> str | None:
    """JSON of a chain, null where nothing was recorded."""
    return json.dumps([step_as_dict(step) for step in steps], ensure_ascii=False) if steps else None


def _newest(queries: QueryBatch, length: int) -> tuple[Int64, Int32]:
    """Row bounds and items of the newest ``length`` history items of each query, oldest first."""
    history = queries.history
    kept = np.minimum(history.lengths, length)
    keep = history.ages < np.repeat(kept, history.lengths)
    items = history.items[history.indptr[0] : history.indptr[-1]]
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)]), items[keep]


def _ragged(ranking: Ranking | None, n: int) -> tuple[Int64, Int32]:
    """Row bounds and items of a ranking without its padding; empty rows where there is none."""
    if ranking is None:
        return np.zeros(n + 1, np.int64), np.zeros(0, np.int32)
    real = ranking.items >= 0
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(real.sum(axis=1))]), ranking.items[real]


def _scores(ranking: Ranking) -> pa.Array:
    indptr, _ = _ragged(ranking, len(ranking))
    values = ranking.scores[ranking.items >= 0]
    return pa.ListArray.from_arrays(pa.array(indptr, pa.int32()), pa.array(values, pa.float32()))


def _optional(values: Float32 | None, n: int) -> pa.Array:
    """A float column where NaN means "none"."""
    return pa.nulls(n, pa.float32()) if values is None else pa.array(values, pa.float32(), from_pandas=True)


def _uncertainty(values: Mapping[str, Float32], n: int) -> pa.Array:
    """Estimator to uncertainty, row by row, without those that were not asked."""
    if not values:
        return pa.array([{}] * n, pa.map_(pa.string(), pa.float32()))
    table = np.column_stack([np.asarray(v, dtype=np.float32) for v in values.values()])
    asked = ~np.isnan(table)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(asked.sum(axis=1))])
    names = pa.array(list(values), pa.string()).take(pa.array(np.nonzero(asked)[1]))
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), names, pa.array(table[asked], pa.float32()))
