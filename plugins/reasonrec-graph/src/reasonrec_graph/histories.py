"""Histories as rows over the items of the graph, and means of what they hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from reasonrec_core.types import Bool, Float32, History, Int64


def list_chosen(history: History, known: Bool) -> sparse.csr_matrix:
    """CSR float32[B, n] of ones: the items of each history that bool[n] ``known`` has, each once."""
    n_items = len(known)
    found = (history.items < n_items) & known[np.minimum(history.items, n_items - 1)]
    pairs = np.unique(history.rows[found].astype(np.int64) * n_items + history.items[found])
    rows, items = np.divmod(pairs, n_items)
    ones = np.ones(len(pairs), np.float32)
    return sparse.csr_matrix((ones, (rows, items)), shape=(len(history), n_items))


def average_chosen(rows: sparse.csr_matrix, read: Callable[[Int64], Float32]) -> Float32:
    """float32[B, w]: the mean of what CSR[B, n] of ones chose; ``read`` gives float32[A, w] of int64[A] items."""
    at, columns = np.unique(rows.indices, return_inverse=True)
    chosen = sparse.csr_matrix((rows.data, columns, rows.indptr), shape=(rows.shape[0], len(at)))
    sums = chosen @ read(at.astype(np.int64))
    return np.asarray(sums / np.maximum(np.diff(rows.indptr), 1)[:, None], np.float32)
