"""Logs and histories as sparse matrices."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from reasonrec_core.components import FitData
from reasonrec_core.errors import DataError
from reasonrec_core.types import Float32, History, Int32


def make_log_matrix(data: FitData, name: str) -> sparse.csr_matrix:
    """float32 CSR[n_users, n_items] of ones: what each user had in training.

    Raises:
        DataError: there is nothing to learn from.
    """
    if not len(data.train):
        raise DataError("there are no training interactions to learn from", where=name)
    return make_pair_matrix(data.train.users, data.train.items, (data.n_users, len(data.catalog)))


def make_pair_matrix(users: Int32, items: Int32, shape: tuple[int, int]) -> sparse.csr_matrix:
    """float32 CSR of ones at int32[N] users and int32[N] items, each pair once."""
    matrix = sparse.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=shape)
    matrix.data[:] = 1.0  # made of pairs, it has summed up the repeated ones
    return matrix


def make_history_matrix(history: History, n_items: int, decay: float = 1.0) -> sparse.csr_matrix:
    """float32 CSR[B, n_items]: the weight of each item in each history, as `weigh_entries` says."""
    weights = weigh_entries(history, n_items, decay)
    counted = weights > 0
    parts = (weights[counted], (history.rows[counted], history.items[counted]))
    return sparse.csr_matrix(parts, shape=(len(history), n_items))


def weigh_entries(history: History, n_items: int, decay: float = 1.0) -> Float32:
    """float32[L]: how much each history entry counts, ``decay ** age``, the newest of repeats.

    Items from ``n_items`` on, which came after a fit, count 0.
    """
    ages, rows, items = history.ages, history.rows, history.items
    order = np.lexsort((ages, items, rows))
    first = np.ones(len(rows), np.bool_)
    first[1:] = (np.diff(rows[order]) != 0) | (np.diff(items[order]) != 0)
    newest = np.zeros(len(rows), np.bool_)
    newest[order] = first
    counted = np.power(np.float32(decay), ages.astype(np.float32))
    return np.where(newest & (items < n_items), counted, 0).astype(np.float32)


def place_popularity_below(scores: Float32, popularity: Float32) -> Float32:
    """``scores``, in place, with what nothing speaks for (0) in the order of popularity, below all that has some.

    Args:
        scores: float32[B, n].
        popularity: float32[n] in [0, 1].
    """
    unreached = scores == 0
    least = np.where(unreached, np.inf, scores).min(1, initial=0.0, keepdims=True)
    np.copyto(scores, least + (popularity - 2).astype(np.float32), where=unreached)
    return scores


def share_of_most_popular(counts: Float32) -> Float32:
    """float32[n] in [0, 1): counts as shares of a little more than the largest."""
    shares: Float32 = (counts / (counts.max(initial=0) + 1)).astype(np.float32)
    return shares
