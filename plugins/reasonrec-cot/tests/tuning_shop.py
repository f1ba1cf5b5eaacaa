"""A shop with a rule to learn: after film n comes film n + 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from words_shop import shop

from reasonrec_core.components import FitData
from reasonrec_core.types import Cases, Float32, History, Int32, Interactions, Observation, QueryBatch, Task

N, USERS, LONG = 30, 60, 8


def data(workdir: Path | None = None, progress: Callable[[int, int, str], None] = lambda *a: None) -> FitData:
    rng = np.random.default_rng(0)
    rows = [[(start + k) % N for k in range(LONG + 1)] for start in rng.integers(N, size=USERS)]
    users = np.repeat(np.arange(USERS, dtype=np.int32), LONG)
    items = np.array([row[:LONG] for row in rows], np.int32).ravel()
    train = Interactions(users, items, np.tile(np.arange(LONG, dtype=np.int64), USERS))
    queries = QueryBatch(Task.SEQUENTIAL, np.arange(USERS, dtype=np.int32), History.of([row[:LONG] for row in rows]))
    targets = np.array([row[LONG] for row in rows], np.int32)
    valid = Cases(queries, np.arange(USERS + 1, dtype=np.int64), targets)
    seen = Observation(
        {"image": rng.standard_normal((N, 6)).astype(np.float32)},
        {"image": np.arange(N) != 3},
        np.zeros(USERS, np.float32),
    )
    return FitData(
        shop([f"Film {n}" for n in range(N)]),
        USERS,
        train,
        valid,
        seen,
        horizon=horizon,
        workdir=workdir,
        progress=progress,
    )


def horizon(batch: QueryBatch) -> Float32:
    return (1 / (1 + batch.history.lengths)).astype(np.float32)


class Shuffled:
    """Knows nothing: all items that are new to the user in an order of chance, or the candidates in their own."""

    def __call__(self, batch: QueryBatch, fewest: int = 1) -> tuple[Int32, dict[str, Float32]]:
        if batch.candidates is not None:
            down = -np.arange(batch.candidates.shape[1], dtype=np.float32)
            return batch.candidates, {"generator": np.where(batch.candidates >= 0, down, -np.inf).astype(np.float32)}
        items = np.full((len(batch), N), -1, np.int32)
        for row in range(len(batch)):
            new = np.setdiff1d(np.arange(N), batch.history.row(row))
            items[row, : len(new)] = np.random.default_rng(row).permutation(new)
        scores = np.where(items >= 0, -np.arange(N, dtype=np.float32), -np.inf)
        return items, {"generator": scores.astype(np.float32)}

    def rank_percentiles(self, batch: QueryBatch) -> dict[str, Float32]:
        assert batch.candidates is not None
        drawn = np.random.default_rng(0).uniform(0.1, 0.9, batch.candidates.shape)
        return {"generator": drawn.astype(np.float32)}


generator = Shuffled()


SMALL: dict[str, Any] = {
    "steps": 40,
    "learning_rate": 5e-3,
    "head_rate": 1e-2,
    "batch_tokens": 900,
    "validations": 2,
    "dimensions": 16,
    "collaborative": 4,
    "lora": {"rank": 4},
    "shares": {"sequential": 1.0, "direct": 0.1, "ctr": 0.1},
    "checkpoint_seconds": 0,
}
