"""Queries at the edges: nobody known, nothing bought, more wanted than there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reasonrec_core.testing.tiny import NEVER_SEEN, Tiny, horizon, item_id
from reasonrec_core.types import History, Observation, QueryBatch, Task

SOME = 4
"""Queries of a variant: more of them would be alike."""


def edge_queries(data: Tiny, batch: QueryBatch) -> Iterator[tuple[str, QueryBatch, Observation]]:
    """Variants of the first queries of ``batch``, each with a name for the failure message."""
    batch = batch.take(np.arange(min(len(batch), SOME)))
    rows = len(batch)
    unseen = data.dataset.catalog.index[item_id(NEVER_SEEN)]
    nothing = History.of([[]] * rows)
    variants = {
        "unknown users": replace(batch, users=np.full(rows, -1, np.int32)),
        "empty histories": replace(batch, history=nothing),
        "unknown users with empty histories": replace(batch, users=np.full(rows, -1, np.int32), history=nothing),
        "a history of an item that training never saw": replace(batch, history=History.of([[unseen]] * rows)),
        "an item three times in a history": replace(batch, history=History.of([[1, 2, 1, 1]] * rows)),
        "no time of request": replace(batch, times=None),
        "k = 1": replace(batch, k=1),
        "k beyond the catalogue": replace(batch, k=len(data.dataset.catalog) + 5),
    }
    if batch.task is Task.SEQUENTIAL:
        everything = list(range(len(data.dataset.catalog)))
        variants["a history of the whole catalogue"] = replace(batch, history=History.of([everything] * rows))
    if batch.candidates is not None:
        padded = np.concatenate([batch.candidates, np.full((rows, 2), -1, np.int32)], axis=1)
        variants["padded candidates"] = replace(batch, candidates=padded)
        variants["no candidates but padding"] = replace(batch, candidates=np.full((rows, 3), -1, np.int32))
    for name, variant in variants.items():
        yield name, variant, replace(data.fit.observation, horizon=horizon(variant))


def one_by_one(batch: QueryBatch, observation: Observation) -> Iterator[tuple[int, QueryBatch, Observation]]:
    """Some queries of ``batch``, each as a batch of one."""
    for row in range(0, len(batch), max(1, len(batch) // 6)):
        index = np.array([row], dtype=np.intp)
        yield row, batch.take(index), observation.take(index)
