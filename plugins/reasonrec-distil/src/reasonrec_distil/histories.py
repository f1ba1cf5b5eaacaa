"""Histories to ask a teacher about: those of the training part with items missing, and with an item that may follow."""

from __future__ import annotations

import numpy as np

from reasonrec_core.types import Float32, History, Int32, Interactions, concatenate_ranges, indptr_of

MISSING = 0.5
"""Largest share of items that a history misses."""
MOST = 2
"""Histories for each interaction of the log, at most; each is asked about twice, the second time longer."""


def draw_histories(train: Interactions, n_users: int, count: int, max_history: int, seed: int) -> History:
    """At most ``count`` histories of at most ``max_history`` items, of users in turn; none is empty.

    Each ends where its user's training part does: a teacher that was fitted on the log knows what came next within
    it, and is far surer there than it will be when it is asked. What follows the last item it has not seen. Items are
    left out by chance, at least one where there are two, the newest never: whole histories are what validation asks
    about, and a student that had learned the very answers would look better there than it is.
    """
    rng = np.random.default_rng(seed)
    sizes = np.bincount(train.users, minlength=n_users)
    known = np.flatnonzero(sizes)
    count = min(count, MOST * int(sizes.sum()))
    users = np.concatenate([rng.permutation(known) for _ in range(-(-count // max(len(known), 1)))])[:count]
    stops = indptr_of(sizes)[1:][users]
    indptr, source = concatenate_ranges(np.maximum(stops - max_history, stops - sizes[users]), stops)
    rows, lengths = np.repeat(np.arange(count), np.diff(indptr)), np.diff(indptr)
    kept = rng.random(len(source)) >= (MISSING * rng.random(count))[rows]
    kept[indptr[1:] - 1] = True
    whole = (np.bincount(rows[kept], minlength=count) == lengths) & (lengths > 1)
    kept[(indptr[:-1] + rng.integers(0, np.maximum(lengths - 1, 1)))[whole]] = False
    source, lengths = source[kept], np.bincount(rows[kept], minlength=count)
    return History(indptr_of(lengths), train.items[source], train.times[source])


def extend_histories(history: History, items: Int32, shares: Float32, seed: int) -> History:
    """Each history with an item after it, drawn from int32[B, K] ``items`` by their ``shares``; without any it stays.

    Requests come after the log has gone on: with what a teacher would answer in its place, the student learns from
    histories as long and as new to the teacher as those will be.
    """
    reached = np.cumsum(shares, axis=1, dtype=np.float64)
    drawn = np.random.default_rng(seed).random(len(items)) * reached[:, -1]
    column = np.minimum((reached <= drawn[:, None]).sum(axis=1), items.shape[1] - 1)
    item = items[np.arange(len(items)), column]
    some = (reached[:, -1] > 0) & (item >= 0)
    indptr = indptr_of(history.lengths + some)
    newest = indptr[1:][some] - 1
    old = np.ones(indptr[-1], np.bool_)
    old[newest] = False
    longer, times = np.empty(len(old), np.int32), np.empty(len(old), np.int64)
    longer[old], longer[newest] = history.items, item[some]
    times[old], times[newest] = history.times, history.times[history.indptr[1:][some] - 1]
    return History(indptr, longer, times)


def list_single_items(n_items: int) -> History:
    """Each item as a history of its own."""
    return History(
        indptr_of(np.ones(n_items, np.int64)), np.arange(n_items, dtype=np.int32), np.zeros(n_items, np.int64)
    )
