"""Histories to ask a teacher about: those of the training part, and parts of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.types import History, Int32, Interactions, concatenate_ranges, indptr_of

WHOLE, COMPLETE = 0.4, 0.5
"""Of the histories: share that ends where the user's training part does; share that misses no item on the way."""
LOST = 0.5
"""Largest share of items that the others miss."""
MOST_OF_LOG = 4
"""Histories for each interaction of the log, at most."""


@dataclass(frozen=True)
class Asked:
    """Histories, and what came after them.

    Attributes:
        history: T rows, none empty, oldest first.
        following: int32[T], the item that the user chose next; -1 where that is not known.
    """

    history: History
    following: Int32


def draw_histories(train: Interactions, n_users: int, count: int, max_history: int, seed: int) -> Asked:
    """At most ``count`` histories of at most ``max_history`` items, of users in turn.

    A teacher that was fitted on the log knows what came next in it; of what follows a user's last item, and of
    histories that nobody had, it has to judge as it will when it is asked. So some rows are whole, and some miss
    items by chance.
    """
    rng = np.random.default_rng(seed)
    sizes = np.bincount(train.users, minlength=n_users)
    first = indptr_of(sizes)[:-1]
    known = np.flatnonzero(sizes)
    count = min(count, MOST_OF_LOG * int(sizes.sum()))
    users = np.concatenate([rng.permutation(known) for _ in range(-(-count // max(len(known), 1)))])[:count]
    size = sizes[users]
    ends = np.where(rng.random(count) < WHOLE, size, 1 + rng.integers(0, size))
    stops = first[users] + ends
    indptr, source = concatenate_ranges(np.maximum(stops - max_history, first[users]), stops)
    lost = np.where(rng.random(count) < COMPLETE, 0.0, LOST * rng.random(count))
    rows = np.repeat(np.arange(count), np.diff(indptr))
    kept = rng.random(len(source)) >= lost[rows]
    kept[indptr[1:] - 1] = True  # the newest item: no row is empty
    source, rows = source[kept], rows[kept]
    following = np.full(count, -1, np.int32)
    goes_on = ends < size
    following[goes_on] = train.items[stops[goes_on]]
    history = History(indptr_of(np.bincount(rows, minlength=count)), train.items[source], train.times[source])
    return Asked(history, following)


def list_single_items(n_items: int) -> History:
    """Each item as a history of its own."""
    return History(
        indptr_of(np.ones(n_items, np.int64)), np.arange(n_items, dtype=np.int32), np.zeros(n_items, np.int64)
    )
