"""The numbers of a trace as arrays: all that deciding again, and counting what came of it, needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reasonrec_core.types import Float64, Int64, Uncertainty
from reasonrec_trace.reader import TraceFile
from reasonrec_trace.schema import TEST, Header

Names = npt.NDArray[np.object_]

NUMBERS = ("confidence", "risk", "latency", "tokens", "policy_tokens")
COLUMNS = (*NUMBERS, "key", "user", "route", "delegate", "history_length", "uncertainty", "quality", "seconds")


@dataclass(frozen=True)
class Recorded:
    """One part of a trace, n rows; numbers that are not known are NaN.

    Attributes:
        header: of the trace.
        users: int64[n] equal for equal users, -1 where the user is unknown.
        keys: int64[n] what breaks ties of equal risk.
        lengths: int64[n] items of the whole history.
        routes, delegates: what was decided; "" where nobody decided, or no delegate took part.
        signals: by estimator.
        quality: system -> metric -> float64[n].
        seconds: system -> float64[n] alone, for requests that were timed.
        numbers: float64[n] by name, of `NUMBERS`.
    """

    header: Header
    users: Int64
    keys: Int64
    lengths: Int64
    routes: Names
    delegates: Names
    signals: Mapping[str, Uncertainty]
    quality: Mapping[str, Mapping[str, Float64]]
    seconds: Mapping[str, Float64]
    numbers: Mapping[str, Float64]

    def __len__(self) -> int:
        return len(self.keys)


def read_recorded(file: TraceFile, metrics: Collection[str] | None = None, part: str = TEST) -> Recorded:
    """Read one part of a trace; of the quality only ``metrics``, if given."""
    chunks = [_chunk(table, metrics) for table in file.tables(COLUMNS, part)]
    flat = {name: _joined([c[name] for c in chunks]) for name in ("uncertainty", "quality", "seconds")}
    plain = {name: np.concatenate([c[name] for c in chunks] or [np.zeros(0)]) for name in (*NUMBERS, *_EXACT, *_TEXT)}
    stages = file.header.estimators
    n, signals = len(plain["key"]), dict[str, Uncertainty]()
    for name in dict.fromkeys(name for name, _ in flat["uncertainty"]):
        parts = [flat["uncertainty"][name, p].astype(np.float32) for p in ("total", "epistemic", "aleatoric")]
        known = [None if np.isnan(values).all() else values for values in parts[1:]]
        signals[name] = Uncertainty(parts[0], stages.get(name, "after"), *known)
    quality: dict[str, dict[str, Float64]] = {}
    for (system, metric), values in flat["quality"].items():
        quality.setdefault(system, {})[metric] = values
    return Recorded(
        file.header,
        _units(plain["user"]),
        plain["key"].astype(np.int64),
        plain["history_length"].astype(np.int64),
        plain["route"].astype(object) if n else np.zeros(0, object),
        plain["delegate"].astype(object) if n else np.zeros(0, object),
        signals,
        quality,
        {name: values for (name,), values in flat["seconds"].items()},
        {name: plain[name].astype(np.float64) for name in NUMBERS},
    )


_EXACT = ("key", "history_length")
_TEXT = ("user", "route", "delegate")


def _chunk(table: pa.Table, metrics: Collection[str] | None) -> dict[str, Any]:
    """A few thousand rows as arrays, maps as ``{path of names: float64[n]}``."""
    made: dict[str, Any] = {name: _numbers(table.column(name)) for name in NUMBERS}
    made |= {name: table.column(name).to_numpy() for name in _EXACT}
    made |= {name: np.array([t or "" for t in table.column(name).to_pylist()], object) for name in _TEXT}
    made["user"] = np.array(table.column("user").to_pylist(), object)
    made["n"] = len(table)
    rows, names, values = _unfold(_array(table.column("uncertainty")))
    parts = {part: _numbers(values.field(part)) for part in ("total", "epistemic", "aleatoric")}
    made["uncertainty"] = {
        (*path, part): column
        for part, numbers in parts.items()
        for path, column in _spread(rows, [names], numbers, len(table)).items()
    }
    rows, names, values = _unfold(_array(table.column("seconds")))
    made["seconds"] = _spread(rows, [names], _numbers(values), len(table))
    rows, systems, inner = _unfold(_array(table.column("quality")))
    entries, found, values = _unfold(inner)
    kept = found.wanted(metrics)
    of = Coded(systems.codes[entries[kept]], systems.words)
    quality = _spread(rows[entries[kept]], [of, found.take(kept)], _numbers(values)[kept], len(table))
    made["quality"] = {path: v for path, v in quality.items() if metrics is None or path[1] in metrics}
    for name in ("uncertainty", "seconds", "quality"):
        made[name][()] = len(table)
    return made


@dataclass(frozen=True)
class Coded:
    """Names as positions in a list of words."""

    codes: Int64
    words: tuple[str, ...]

    def take(self, index: npt.NDArray[np.bool_]) -> Coded:
        """Some of the names."""
        return Coded(self.codes[index], self.words)

    def wanted(self, words: Collection[str] | None) -> npt.NDArray[np.bool_]:
        """Which names are among ``words``; all if None."""
        if words is None:
            return np.ones(len(self.codes), np.bool_)
        return np.isin(self.codes, [i for i, word in enumerate(self.words) if word in words])


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _unfold(maps: pa.MapArray) -> tuple[Int64, Coded, pa.Array]:
    """Maps as entries: the row, the name and the value of each."""
    offsets = maps.offsets.to_numpy()
    low, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    rows = np.repeat(np.arange(len(maps), dtype=np.int64), np.diff(offsets))
    names = maps.keys.slice(low, size).dictionary_encode()
    coded = Coded(names.indices.to_numpy().astype(np.int64), tuple(names.dictionary.to_pylist()))
    return rows, coded, maps.items.slice(low, size)


def _spread(rows: Int64, names: Sequence[Coded], values: Float64, n: int) -> dict[tuple[str, ...], Any]:
    """Entries as a float64[n] for each path of names, NaN where a row has none."""
    shape = tuple(len(each.words) for each in names)
    cube = np.full((*shape, n), np.nan)
    cube[(*(each.codes for each in names), rows)] = values
    return {tuple(each.words[i] for i, each in zip(at, names, strict=True)): cube[at] for at in np.ndindex(*shape)}


def _joined(chunks: list[dict[tuple[str, ...], Any]]) -> dict[tuple[str, ...], Float64]:
    """Chunks one after another; a name that a chunk lacks is NaN there. The empty path holds a chunk's length."""
    names = dict.fromkeys(name for chunk in chunks for name in chunk if name)
    return {name: np.concatenate([chunk.get(name, np.full(chunk[()], np.nan)) for chunk in chunks]) for name in names}


def _numbers(column: pa.Array | pa.ChunkedArray) -> Float64:
    """float64, NaN for null."""
    values = column.cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy())


def _units(users: Names) -> Int64:
    """int64[n]: a number per user, -1 where unknown."""
    units = np.full(len(users), -1, np.int64)
    known = np.array([user is not None for user in users], np.bool_)
    units[known] = np.unique(users[known].astype(str), return_inverse=True)[1]
    return units
