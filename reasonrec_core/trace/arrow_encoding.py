"""Batches of arrays as Arrow columns, without a Python loop over ids or numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reasonrec_core.trace.record import TraceBatch, step_as_dict
from reasonrec_core.trace.schema import ANSWER, METRICS, SCHEMA, UNCERTAINTY
from reasonrec_core.types import Float32, Float64, Int32, Int64, QueryBatch, Ranking, Step, Uncertainty, indptr_of

Number = npt.NDArray[np.float32] | npt.NDArray[np.float64]


class Columns:
    """Turns `TraceBatch` into tables of `SCHEMA`.

    Args:
        items, users: ids as they are to be written, by dense index.
        history: how many of the newest history items a row keeps.
        private: leave out steps and times.
    """

    def __init__(self, items: Sequence[str], users: Sequence[str | None], history: int, private: bool) -> None:
        self._items, self._users = pa.array(items, pa.string()), pa.array(users, pa.string())
        self._history, self._private = history, private

    def table(self, batch: TraceBatch, versions: str) -> pa.Table:
        """The rows of a batch."""
        n, queries = len(batch), batch.queries
        nothing: list[Any] = [None] * n
        columns: dict[str, Any] = {
            "query": np.arange(batch.first, batch.first + n, dtype=np.int64),
            "part": [batch.part] * n,
            "task": [str(queries.task)] * n,
            "user": self._users.take(pa.array(queries.users, pa.int32(), mask=queries.users < 0)),
            "key": queries.users.astype(np.int64) if batch.keys is None else batch.keys,
            "time": nothing if queries.times is None or self._private else queries.times,
            "history": self._lists(*_newest(queries, self._history)),
            "history_length": queries.history.lengths,
            "candidates": self._ids(queries.candidates, n),
            "targets": self._lists(*_targets(batch)),
            "route": [""] * n if batch.routes is None else [str(route) for route in batch.routes],
            "reason": [""] * n if batch.reasons is None else list(batch.reasons),
            "delegate": nothing if batch.delegates is None else list(batch.delegates),
            "risk": _optional(batch.risk, n),
            "gain": _optional(batch.gain, n),
            "confidence": _optional(batch.confidence, n),
            "uncertainty": _uncertainty(batch.uncertainty, n),
            "ranking": self._ids(None if batch.ranking is None else batch.ranking.items, n),
            "scores": _scores(batch.ranking, n),
            "answers": self._answers(batch.answers, n),
            "quality": _quality(batch.quality, n),
            "steps": nothing if self._private else [steps_json(batch.steps.get(row, ())) for row in range(n)],
            "latency": nothing if batch.latency is None else pa.array(batch.latency, from_pandas=True),
            "seconds": _numbers(batch.seconds, n, pa.float64()),
            "tokens": np.zeros(n, np.int64) if batch.tokens is None else batch.tokens,
            "policy_tokens": nothing if batch.policy_tokens is None else batch.policy_tokens,
            "versions": [versions] * n,
        }
        made = [c if isinstance(c := columns[f.name], pa.Array) else pa.array(c, f.type) for f in SCHEMA]
        return pa.Table.from_arrays(made, schema=SCHEMA)

    def _lists(self, indptr: Int64, items: Int32) -> pa.Array:
        low, high = int(indptr[0]), int(indptr[-1])
        return pa.ListArray.from_arrays(pa.array(indptr - low, pa.int32()), self._items.take(pa.array(items[low:high])))

    def _ids(self, items: Int32 | None, n: int) -> pa.Array:
        """Rows of ids without padding; empty rows where there is nothing."""
        return self._lists(*_ragged(items, n))

    def _answers(self, answers: Mapping[str, Ranking], n: int) -> pa.Array:
        """System to answer, row by row, without those that were not asked."""
        parts = [(r.items, r.scores) for r in answers.values()]
        width = max((items.shape[1] for items, _ in parts), default=0)
        items = np.full((n, len(parts), width), -1, np.int32)
        scores = np.zeros((n, len(parts), width), np.float32)
        for column, (ids, values) in enumerate(parts):
            items[:, column, : ids.shape[1]], scores[:, column, : ids.shape[1]] = ids, values
        real = items >= 0
        lengths = real.sum(axis=2)
        asked = lengths > 0
        bounds = indptr_of(lengths[asked])
        values = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(scores[real], pa.float32()))
        told = pa.StructArray.from_arrays([self._lists(bounds, items[real]), values], fields=list(ANSWER))
        return _map(list(answers), asked, told)


def steps_json(steps: Sequence[Step]) -> str | None:
    """JSON of a chain, null where nothing was recorded."""
    return json.dumps([step_as_dict(step) for step in steps], ensure_ascii=False) if steps else None


def _map(names: Sequence[str], there: npt.NDArray[np.bool_], values: pa.Array) -> pa.Array:
    """A column of maps from ``names`` to ``values``, where bool[n, len(names)] ``there`` says which rows have which."""
    offsets = indptr_of(there.sum(axis=1))
    keys = pa.array(list(names), pa.string()).take(pa.array(np.nonzero(there)[1]))
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, values)


def _table(values: Sequence[Number], n: int) -> npt.NDArray[np.float64]:
    """float64[n, columns]."""
    return np.column_stack([np.asarray(v, np.float64) for v in values]) if values else np.zeros((n, 0))


def _numbers(values: Mapping[str, Float64], n: int, kind: pa.DataType) -> pa.Array:
    """Name to number, row by row, without NaN."""
    table = _table(list(values.values()), n)
    known = ~np.isnan(table)
    return _map(list(values), known, pa.array(table[known], kind))


def _uncertainty(values: Mapping[str, Uncertainty], n: int) -> pa.Array:
    """Estimator to its three numbers, row by row, without those that were not asked."""
    unknown = np.full(n, np.nan)
    total = _table([u.total for u in values.values()], n)
    asked = ~np.isnan(total)
    parts = [total]
    for name in ("epistemic", "aleatoric"):
        found = [getattr(u, name) for u in values.values()]
        parts.append(_table([unknown if v is None else v for v in found], n))
    columns = [pa.array(part[asked], pa.float32(), from_pandas=True) for part in parts]
    return _map(list(values), asked, pa.StructArray.from_arrays(columns, fields=list(UNCERTAINTY)))


def _quality(values: Mapping[str, Mapping[str, Float64]], n: int) -> pa.Array:
    """System to metric to value, row by row, without NaN."""
    metrics = list(dict.fromkeys(metric for each in values.values() for metric in each))
    cube = np.full((n, len(values), len(metrics)), np.nan)
    for row, each in enumerate(values.values()):
        for metric, column in each.items():
            cube[:, row, metrics.index(metric)] = column
    known = ~np.isnan(cube)
    counts = known.sum(axis=2)
    inner = _map(metrics, known[counts > 0], pa.array(cube[known], METRICS.item_type))
    return _map(list(values), counts > 0, inner)


def _targets(batch: TraceBatch) -> tuple[Int64, Int32]:
    if batch.target_indptr is None or batch.targets is None:
        return np.zeros(len(batch) + 1, np.int64), np.zeros(0, np.int32)
    return batch.target_indptr, batch.targets


def _newest(queries: QueryBatch, length: int) -> tuple[Int64, Int32]:
    """Row bounds and items of the newest ``length`` history items of each query, oldest first."""
    history = queries.history
    kept = np.minimum(history.lengths, length)
    keep = history.ages < np.repeat(kept, history.lengths)
    items = history.items[history.indptr[0] : history.indptr[-1]]
    return indptr_of(kept), items[keep]


def _ragged(items: Int32 | None, n: int) -> tuple[Int64, Int32]:
    """Row bounds and items of padded rows; empty rows where there is nothing."""
    if items is None:
        return np.zeros(n + 1, np.int64), np.zeros(0, np.int32)
    real = items >= 0
    return indptr_of(real.sum(axis=1)), items[real]


def _scores(ranking: Ranking | None, n: int) -> pa.Array:
    indptr, _ = _ragged(None if ranking is None else ranking.items, n)
    values = np.zeros(0, np.float32) if ranking is None else ranking.scores[ranking.items >= 0]
    return pa.ListArray.from_arrays(pa.array(indptr, pa.int32()), pa.array(values, pa.float32()))


def _optional(values: Float32 | None, n: int) -> pa.Array:
    """A float column where NaN means "none"."""
    return pa.nulls(n, pa.float32()) if values is None else pa.array(values, pa.float32(), from_pandas=True)
