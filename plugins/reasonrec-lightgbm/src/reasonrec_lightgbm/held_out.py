"""Training queries for a ranker on top of delegates: each user's last training items, held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Cases, Float32, History, Interactions, QueryBatch, Task
from reasonrec_lightgbm.ragged import Ragged


def hold_out(data: FitData, last: int, queries: int) -> tuple[Interactions, Cases]:
    """The training part without each user's ``last`` items, and those items as targets.

    A target's history is all that its user did before it. Users with fewer than ``last + 2`` interactions keep
    theirs.

    Returns:
        What delegates may be fitted on, and at most ``queries`` cases, drawn at random.
    """
    log = data.train
    starts = np.searchsorted(log.users, log.users, side="left")
    ends = np.searchsorted(log.users, log.users, side="right")
    position = np.arange(len(log))
    held = (ends - position <= last) & (ends - starts >= last + 2)
    if not held.any():
        raise DataError(
            f"no user has {last + 2} training interactions, so none can be held out",
            where="lightgbm-rank",
            fix="Give longer histories.",
        )
    rows = np.flatnonzero(held & _is_first(log, len(data.catalog)))
    if len(rows) > queries:
        rows = np.sort(np.random.default_rng(data.seed).choice(rows, queries, replace=False))
    past = Ragged.between(starts[rows], rows)
    history = History(past.indptr, log.items[past.index], log.times[past.index])
    batch = QueryBatch(Task.SEQUENTIAL, log.users[rows], history, times=log.times[rows])
    cases = Cases(batch, np.arange(len(rows) + 1, dtype=np.int64), log.items[rows])
    return log.take(~held), cases


def _is_first(log: Interactions, n_items: int) -> Bool:
    """bool[N]: the item's first time in its user's sequence; a repeat cannot be recommended."""
    _, first = np.unique(log.users.astype(np.int64) * n_items + log.items, return_index=True)
    return np.isin(np.arange(len(log)), first)


def with_negatives(cases: Cases, n_items: int, width: int, seed: int) -> Cases:
    """Candidates int32[B, width]: the target at a random place among random items that are not in its history."""
    random = np.random.default_rng(seed)
    batch = cases.queries
    drawn = random.integers(0, n_items, (len(batch), 2 * width + 20))
    keys = batch.history.rows.astype(np.int64) * n_items + batch.history.items
    keys = np.concatenate([keys, np.arange(len(batch)) * n_items + cases.targets])
    bad = np.isin(np.arange(len(batch))[:, None] * n_items + drawn, keys)
    order = np.argsort(bad, axis=1, kind="stable")[:, :width]
    picked = np.take_along_axis(drawn, order, axis=1)
    candidates = np.where(np.take_along_axis(bad, order, axis=1), -1, picked).astype(np.int32)
    candidates[np.arange(len(batch)), random.integers(0, width, len(batch))] = cases.targets
    return replace(cases, queries=replace(batch, task=Task.DIRECT, candidates=candidates))


def horizon_of(data: FitData, batch: QueryBatch) -> Float32:
    """float32[B]: the evidence horizon, zero where the pipeline gives none."""
    return np.zeros(len(batch), np.float32) if data.horizon is None else data.horizon(batch)
