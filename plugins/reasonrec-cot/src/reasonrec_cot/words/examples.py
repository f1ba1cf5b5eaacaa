"""Training queries from the log: what each user had before, and what came next."""

from __future__ import annotations

import numpy as np

from reasonrec_core.data.cases import concatenate_ranges
from reasonrec_core.types import Bool, Cases, History, Int64, Interactions, QueryBatch, Task, indptr_of


def prefixes(
    train: Interactions,
    n_items: int,
    *,
    shortest: int = 1,
    longest: int = 50,
    per_user: int | None = None,
    seed: int = 0,
) -> Cases:
    """Every interaction of the training part as the target of what its user did before.

    An item that the user had before is no target. Nothing but earlier rows of the same user enters a history.

    Args:
        train: sorted by user, oldest first.
        n_items: size of the catalogue.
        shortest: fewest items of history.
        longest: most, the newest.
        per_user: at most as many targets per user, drawn with ``seed``; None for all.
        seed: of the draw.
    """
    starts = _first_rows(train)
    rows = np.arange(len(train), dtype=np.int64)
    usable = (rows - starts >= shortest) & ~_seen_before(train, n_items)
    if per_user is not None:
        usable = _drawn(train, usable, per_user, seed)
    chosen = np.flatnonzero(usable)
    indptr, index = concatenate_ranges(np.maximum(starts[chosen], chosen - longest), chosen)
    history = History(indptr, train.items[index], train.times[index])
    queries = QueryBatch(Task.SEQUENTIAL, train.users[chosen], history, times=train.times[chosen])
    return Cases(queries, indptr_of(np.ones(len(chosen), np.int64)), train.items[chosen])


def _first_rows(train: Interactions) -> Int64:
    """int64[N]: the first row of each row's user."""
    new = np.append(True, np.diff(train.users) != 0)[: len(train)]
    return np.maximum.accumulate(np.where(new, np.arange(len(train)), 0)).astype(np.int64)


def _seen_before(train: Interactions, n_items: int) -> Bool:
    keys = train.users.astype(np.int64) * n_items + train.items
    first = np.zeros(len(keys), np.bool_)
    first[np.unique(keys, return_index=True)[1]] = True
    return ~first


def _drawn(train: Interactions, usable: Bool, per_user: int, seed: int) -> Bool:
    rows = np.flatnonzero(usable)
    order = rows[np.lexsort((np.random.default_rng(seed).random(len(rows)), train.users[rows]))]
    new = np.append(True, np.diff(train.users[order]) != 0)[: len(order)]
    place = np.arange(len(order)) - np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    drawn = np.zeros(len(usable), np.bool_)
    drawn[order[place < per_user]] = True
    return drawn
