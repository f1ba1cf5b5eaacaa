"""Histories to ask a teacher about: those of the training part, whole and with items missing."""

from __future__ import annotations

import numpy as np

from reasonrec_core.types import History, Interactions, concatenate_ranges, indptr_of

MISSING = 0.5
"""Largest share of items that a history misses."""
COMPLETE = 0.5
"""Share of the histories that miss none, after each user's first."""
MOST = 4
"""Histories for each interaction of the log, at most."""


def draw_histories(train: Interactions, n_users: int, count: int, max_history: int, seed: int) -> History:
    """At most ``count`` histories of at most ``max_history`` items, of users in turn; none is empty.

    Each ends where its user's training part does: a teacher that was fitted on the log knows what came next within
    it, and is far surer there than it will be when it is asked. What follows the last item it has not seen. So that
    there is more to ask, items are left out by chance, the newest never.
    """
    rng = np.random.default_rng(seed)
    sizes = np.bincount(train.users, minlength=n_users)
    known = np.flatnonzero(sizes)
    count = min(count, MOST * int(sizes.sum()))
    users = np.concatenate([rng.permutation(known) for _ in range(-(-count // max(len(known), 1)))])[:count]
    stops = indptr_of(sizes)[1:][users]
    indptr, source = concatenate_ranges(np.maximum(stops - max_history, stops - sizes[users]), stops)
    complete = (np.arange(count) < len(known)) | (rng.random(count) < COMPLETE)
    missing = np.where(complete, 0.0, MISSING * rng.random(count))
    rows = np.repeat(np.arange(count), np.diff(indptr))
    kept = rng.random(len(source)) >= missing[rows]
    kept[indptr[1:] - 1] = True
    source, lengths = source[kept], np.bincount(rows[kept], minlength=count)
    return History(indptr_of(lengths), train.items[source], train.times[source])


def list_single_items(n_items: int) -> History:
    """Each item as a history of its own."""
    return History(
        indptr_of(np.ones(n_items, np.int64)), np.arange(n_items, dtype=np.int32), np.zeros(n_items, np.int64)
    )
