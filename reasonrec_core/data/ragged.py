"""Arrays of rows of unequal length: row bounds, ranges, membership."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Bool, Cases, History, Int64, Interactions, indptr_of

Index = npt.NDArray[np.intp]


def user_bounds(log: Interactions, n_users: int) -> Int64:
    """int64[n_users + 1]: rows of user ``u`` are ``bounds[u]:bounds[u + 1]``."""
    return indptr_of(np.bincount(log.users, minlength=n_users))


def ragged(starts: Int64, stops: Int64) -> tuple[Int64, Index]:
    """Row bounds, and the concatenation of ``arange(start, stop)`` for all rows."""
    lengths = np.maximum(stops - starts, 0)
    indptr = indptr_of(lengths)
    return indptr, np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1], dtype=np.int64)


def target_rows(cases: Cases) -> Int64:
    """int64[T]: the query that each target belongs to."""
    return np.repeat(np.arange(len(cases), dtype=np.int64), np.diff(cases.target_indptr))


def history_keys(history: History, n_items: int) -> Int64:
    """Sorted int64[L] keys ``row * n_items + item``, for `contains`."""
    return np.sort(history.rows.astype(np.int64) * n_items + history.items)


def contains(sorted_keys: Int64, keys: Int64) -> Bool:
    """Which of ``keys`` (any shape) occur in ``sorted_keys``."""
    if not len(sorted_keys):
        return np.zeros(keys.shape, np.bool_)
    at = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    found: Bool = sorted_keys[at] == keys
    return found
