"""Histories to ask a teacher about: beginnings of users' training parts, and what followed them."""

from __future__ import annotations

import numpy as np

from reasonrec_core.types import History, Int32, Interactions, concatenate_ranges, indptr_of

MISSING = 0.5
"""Largest share of items that a history misses, where its place in the log has been asked about before."""
MOST = 4
"""Histories for each place of the log, at most."""
LATER = 20
"""How many of the items that followed are known."""


def draw_histories(train: Interactions, n_users: int, count: int, max_history: int, seed: int) -> tuple[History, Int32]:
    """At most ``count`` histories of at most ``max_history`` items that the log goes on after, and int32[B, LATER]
    what followed; -1 pads.

    Each ends anywhere in a user's training part but at its end. A teacher that was fitted on the log knows what came
    next and is to be asked what it finds likely besides. None ends where the training part does: that is where
    validation asks, and a student that had learned the very answers would look better there than it is. Where there
    are fewer places than ``count``, each is asked about again with items missing by chance, the newest never.
    """
    rng = np.random.default_rng(seed)
    sizes = np.bincount(train.users, minlength=n_users)
    starts = indptr_of(sizes)[:-1][train.users]
    places = np.flatnonzero(np.arange(len(train)) > starts)
    count = min(count, MOST * len(places))
    stops = np.concatenate([rng.permutation(places) for _ in range(-(-count // max(len(places), 1)))] or [places])
    stops = stops[:count]
    indptr, source = concatenate_ranges(np.maximum(starts[stops], stops - max_history), stops)
    rows = np.repeat(np.arange(count), np.diff(indptr))
    missing = MISSING * rng.random(count) * (np.arange(count) >= len(places))
    kept = rng.random(len(source)) >= missing[rows]
    kept[indptr[1:] - 1] = True
    source, lengths = source[kept], np.bincount(rows[kept], minlength=count)
    following = stops[:, None] + np.arange(LATER)
    ends = (indptr_of(sizes)[1:][train.users])[stops]
    later = np.where(following < ends[:, None], train.items[np.minimum(following, len(train) - 1)], -1)
    return History(indptr_of(lengths), train.items[source], train.times[source]), later.astype(np.int32)


def list_single_items(n_items: int) -> History:
    """Each item as a history of its own."""
    return History(
        indptr_of(np.ones(n_items, np.int64)), np.arange(n_items, dtype=np.int32), np.zeros(n_items, np.int64)
    )
