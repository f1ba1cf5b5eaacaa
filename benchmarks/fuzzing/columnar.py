"""Parquet and Arrow files with columns of any type."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuzzing.cells import COLUMNS, FIELDS, draw_cells, draw_columns

TIMES = (pa.timestamp("ns"), pa.timestamp("s", "UTC"))


def _draw_array(name: str, rows: int, chance: Random) -> pa.Array:
    """A column of some type, mostly one that fits."""
    if chance.random() < (0.85 if name in {"user_id", "item_id"} else 0.5):
        return pa.array(draw_cells(name, rows, chance))
    kinds: tuple[Callable[[], pa.Array], ...] = (
        lambda: pa.array([chance.randrange(-(2**63), 2**63) for _ in range(rows)], pa.int64()),
        lambda: pa.array([chance.randrange(0, 9) for _ in range(rows)], chance.choice((pa.int8(), pa.uint64()))),
        lambda: pa.array([chance.choice((1.0, float("nan"), float("inf"), -1e308)) for _ in range(rows)], pa.float64()),
        lambda: pa.array([chance.randrange(-(2**31), 2**31) for _ in range(rows)], pa.int32()).view(pa.date32()),
        lambda: pa.array([chance.randrange(-(2**63), 2**63) for _ in range(rows)], pa.int64()).view(
            chance.choice((*TIMES, pa.timestamp("us", "Asia/Kolkata"), pa.date64(), pa.duration("s")))
        ),
        lambda: pa.array([["i1"], None, []] * rows)[:rows],
        lambda: pa.array([{"a": 1, "b": None}] * rows),
        lambda: pa.array([b"\xff\0", None] * rows, pa.binary())[:rows],
        lambda: pa.nulls(rows),
        lambda: pa.array([True, None, False] * rows)[:rows],
        lambda: pa.array(["x", None] * rows, pa.large_string())[:rows],
        lambda: pa.array(["x", "y"] * rows).dictionary_encode()[:rows],
        lambda: pa.array([1, 2] * rows, pa.decimal128(38, 10))[:rows],
        lambda: pa.array([[("k", 1)]] * rows, pa.map_(pa.string(), pa.int32())),
        lambda: pa.array(np.array([1.0, np.nan] * rows, np.float16)[:rows]),
        lambda: pa.array([0] * rows, pa.time64("ns")),
        lambda: pa.array([[[1, 2]], None] * rows)[:rows],
        lambda: pa.array([None, 3] * rows, pa.int64())[:rows],
    )  # fmt: skip
    return chance.choice(kinds)()


def _columnar(known: tuple[str, ...], chance: Random, *, arrow: bool) -> bytes:
    rows = chance.choice((1, 3, 30)) if chance.random() < 0.95 else 0
    names = (
        list(dict.fromkeys(draw_columns(known, chance)))
        if chance.random() < 0.95
        else ["user_id", "user_id", "item_id"]
    )
    table = pa.Table.from_arrays([_draw_array(name, rows, chance) for name in names], names=names)
    sink = pa.BufferOutputStream()
    if arrow:
        writer = pa.ipc.new_file if chance.random() < 0.5 else pa.ipc.new_stream
        with writer(sink, table.schema) as stream:
            stream.write_table(table)
    else:
        try:
            pq.write_table(table, sink, compression=chance.choice(("snappy", "gzip", "zstd", "none")), version="2.6")
        except pa.ArrowException:  # a type that Parquet does not have
            return _columnar(known, chance, arrow=arrow)
    return bytes(sink.getvalue())


def make_parquet(chance: Random) -> dict[str, bytes]:
    """Parquet and Arrow, with columns of any type."""
    arrow = chance.random() < 0.35
    suffix = "arrow" if arrow else "parquet"
    files = {f"interactions.{suffix}": _columnar(COLUMNS, chance, arrow=arrow)}
    if chance.random() < 0.3:
        files[f"items.{suffix}"] = _columnar(FIELDS, chance, arrow=arrow)
    return files
