"""Batches of decisions as arrays, and as Arrow columns without a Python loop over ids or numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from reasonrec_core.types import (
    Bool,
    Float32,
    Float64,
    Int32,
    Int64,
    QueryBatch,
    Ranking,
    Route,
    Step,
    Uncertainty,
    indptr_of,
)
from reasonrec_trace.schema import COLUMNS, SCHEMA, TEST, steps_as_text


@dataclass(frozen=True)
class TraceBatch:
    """B decisions as arrays of dense indices, which `TraceWriter` turns into ids; columns as in `TraceRecord`.

    Attributes:
        first: position of the first query; the others follow.
        queries: B queries.
        ranking: the answers, None in the validation part.
        target_indptr: int64[B + 1] row bounds into ``targets``, or None where no target is known.
        targets: int32[T].
        keys: int64[B]; the users' numbers if not given.
        risk, gain, confidence, latency, seconds, quality, uncertainty: NaN where there is none.
        answers: rows of padding where a system was not asked.
        steps: by row of the batch; rows that are not named are recorded without steps.
    """

    first: int
    queries: QueryBatch
    part: str = TEST
    routes: Sequence[Route | str] | None = None
    reasons: Sequence[str] | None = None
    ranking: Ranking | None = None
    target_indptr: Int64 | None = None
    targets: Int32 | None = None
    keys: Int64 | None = None
    risk: Float32 | None = None
    gain: Float32 | None = None
    confidence: Float32 | None = None
    uncertainty: Mapping[str, Uncertainty] = field(default_factory=dict)
    delegates: Sequence[str | None] | None = None
    answers: Mapping[str, Ranking] = field(default_factory=dict)
    quality: Mapping[str, Mapping[str, Float64]] = field(default_factory=dict)
    steps: Mapping[int, tuple[Step, ...]] = field(default_factory=dict)
    latency: Float64 | None = None
    seconds: Mapping[str, Float64] = field(default_factory=dict)
    tokens: Int64 | None = None
    policy_tokens: Int64 | None = None

    def __len__(self) -> int:
        return len(self.queries)


class BatchEncoder:
    """Turns `TraceBatch` into tables of `SCHEMA`.

    Args:
        items, users: ids as they are to be written, by dense index.
        history: how many of the newest history items a row keeps.
        private: leave out steps and times.
    """

    def __init__(self, items: Sequence[str], users: Sequence[str | None], history: int, private: bool) -> None:
        self._items, self._users = pa.array(items, pa.string()), pa.array(users, pa.string())
        self._history, self._private = history, private

    def encode(self, batch: TraceBatch, versions: str) -> pa.Table:
        """The rows of a batch; what it does not know is as `TraceRecord` has it."""
        n, queries, private = len(batch), batch.queries, self._private
        known: dict[str, Any] = {
            "query": np.arange(batch.first, batch.first + n, dtype=np.int64),
            "part": [batch.part] * n,
            "task": [str(queries.task)] * n,
            "user": self._users.take(pa.array(queries.users, pa.int32(), mask=queries.users < 0)),
            "key": queries.users.astype(np.int64) if batch.keys is None else batch.keys,
            "time": None if private else queries.times,
            "history": self._lists(*_newest(queries, self._history)),
            "history_length": queries.history.lengths,
            "candidates": self._padded(queries.candidates, n),
            "targets": self._lists(*_targets(batch)),
            "route": None if batch.routes is None else [str(route) for route in batch.routes],
            "reason": batch.reasons,
            "delegate": batch.delegates,
            "uncertainty": _encode_uncertainty(batch.uncertainty, n),
            "ranking": self._padded(None if batch.ranking is None else batch.ranking.items, n),
            "scores": _encode_scores(batch.ranking, n),
            "answers": self._answers(batch.answers, n),
            "quality": _encode_quality(batch.quality, n),
            "steps": [None] * n if private else [steps_as_text(batch.steps.get(row, ())) for row in range(n)],
            "seconds": _encode_numbers(batch.seconds, n),
            "versions": [versions] * n,
        }
        known |= {name: getattr(batch, name) for name in COLUMNS if name not in known}
        return pa.Table.from_arrays([_column(f, known[f.name], n) for f in SCHEMA], schema=SCHEMA)

    def _lists(self, indptr: Int64, items: Int32) -> pa.Array:
        """Rows of ids."""
        low, high = int(indptr[0]), int(indptr[-1])
        return pa.ListArray.from_arrays(pa.array(indptr - low, pa.int32()), self._items.take(pa.array(items[low:high])))

    def _padded(self, items: Int32 | None, n: int) -> pa.Array:
        """Rows of ids without padding; empty rows where there is nothing."""
        return self._lists(*_ragged(items, n))

    def _answers(self, answers: Mapping[str, Ranking], n: int) -> pa.Array:
        """System to answer, row by row, without those that were not asked."""
        width = max((ranking.items.shape[1] for ranking in answers.values()), default=0)
        items = np.full((n, len(answers), width), -1, np.int32)
        scores = np.zeros((n, len(answers), width), np.float32)
        for column, ranking in enumerate(answers.values()):
            size = ranking.items.shape[1]
            items[:, column, :size], scores[:, column, :size] = ranking.items, ranking.scores
        real = items >= 0
        lengths = real.sum(axis=2)
        bounds = indptr_of(lengths[lengths > 0])
        values = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(scores[real], pa.float32()))
        given = _structs("answers", [self._lists(bounds, items[real]), values])
        return _maps(list(answers), lengths > 0, given)


def _column(declared: pa.Field, values: Any, n: int) -> pa.Array:
    """A column of its declared type; NaN is null, and without values all rows are as `TraceRecord` has them."""
    if isinstance(values, pa.Array):
        return values
    if values is None:
        return pa.array([COLUMNS[declared.name].default] * n, declared.type)
    return pa.array(values, declared.type, from_pandas=True)


def _structs(column: str, parts: list[pa.Array]) -> pa.Array:
    """The values of a column of maps to structs, from their parts."""
    return pa.StructArray.from_arrays(parts, fields=list(SCHEMA.field(column).type.item_type))


def _maps(names: Sequence[str], there: Bool, values: pa.Array) -> pa.Array:
    """A column of maps from ``names`` to ``values``, where bool[n, len(names)] ``there`` says which rows have which."""
    keys = pa.array(list(names), pa.string()).take(pa.array(np.nonzero(there)[1]))
    return pa.MapArray.from_arrays(pa.array(indptr_of(there.sum(axis=1)), pa.int32()), keys, values)


def _stack(values: Iterable[Float32 | Float64 | None], n: int) -> Float64:
    """float64[n, columns]; NaN for a column that is None."""
    columns = [np.full(n, np.nan) if v is None else np.asarray(v, np.float64) for v in values]
    return np.column_stack(columns) if columns else np.zeros((n, 0))


def _encode_numbers(values: Mapping[str, Float64], n: int) -> pa.Array:
    """Name to number, row by row, without NaN."""
    table = _stack(values.values(), n)
    known = ~np.isnan(table)
    return _maps(list(values), known, pa.array(table[known], pa.float64()))


def _encode_uncertainty(values: Mapping[str, Uncertainty], n: int) -> pa.Array:
    """Estimator to its three numbers, row by row, without those that were not asked."""
    asked = ~np.isnan(_stack((u.total for u in values.values()), n))
    parts = [
        pa.array(_stack((getattr(u, name) for u in values.values()), n)[asked], pa.float32(), from_pandas=True)
        for name in ("total", "epistemic", "aleatoric")
    ]
    return _maps(list(values), asked, _structs("uncertainty", parts))


def _encode_quality(values: Mapping[str, Mapping[str, Float64]], n: int) -> pa.Array:
    """System to metric to value, row by row, without NaN."""
    metrics = list(dict.fromkeys(metric for each in values.values() for metric in each))
    cube = np.full((n, len(values), len(metrics)), np.nan)
    for row, each in enumerate(values.values()):
        for metric, column in each.items():
            cube[:, row, metrics.index(metric)] = column
    known = ~np.isnan(cube)
    counts = known.sum(axis=2)
    return _maps(list(values), counts > 0, _maps(metrics, known[counts > 0], pa.array(cube[known], pa.float64())))


def _encode_scores(ranking: Ranking | None, n: int) -> pa.Array:
    indptr, _ = _ragged(None if ranking is None else ranking.items, n)
    values = np.zeros(0, np.float32) if ranking is None else ranking.scores[ranking.items >= 0]
    return pa.ListArray.from_arrays(pa.array(indptr, pa.int32()), pa.array(values, pa.float32()))


def _targets(batch: TraceBatch) -> tuple[Int64, Int32]:
    if batch.target_indptr is None or batch.targets is None:
        return _ragged(None, len(batch))
    return batch.target_indptr, batch.targets


def _newest(queries: QueryBatch, length: int) -> tuple[Int64, Int32]:
    """Row bounds and items of the newest ``length`` history items of each query, oldest first."""
    history = queries.history
    keep = history.ages < np.repeat(np.minimum(history.lengths, length), history.lengths)
    items = history.items[history.indptr[0] : history.indptr[-1]]
    return indptr_of(np.minimum(history.lengths, length)), items[keep]


def _ragged(items: Int32 | None, n: int) -> tuple[Int64, Int32]:
    """Row bounds and items of padded rows; empty rows where there is nothing."""
    if items is None:
        return np.zeros(n + 1, np.int64), np.zeros(0, np.int32)
    return indptr_of((items >= 0).sum(axis=1)), items[items >= 0]
