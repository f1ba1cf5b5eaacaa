"""Logs and histories as the sparse matrices that implicit wants (users x items, since its version 0.5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from reasonrec_core.components import FitData
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Float32, History, indptr_of


def make_training_matrix(data: FitData, name: str) -> sparse.csr_matrix:
    """float32 CSR[n_users, n_items]: how often each user had each item in training."""
    if not len(data.train):
        raise DataError("there are no training interactions to learn from", where=name)
    ones = np.ones(len(data.train), dtype=np.float32)
    shape = (data.n_users, len(data.catalog))
    matrix = sparse.csr_matrix((ones, (data.train.users, data.train.items)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def make_history_matrix(history: History, n_items: int) -> sparse.csr_matrix:
    """float32 CSR[B, n_items]: how often each item is in each history."""
    indptr = history.indptr - history.indptr[0]
    ones = np.ones(len(history.items), dtype=np.float32)
    items = history.items.copy()  # sum_duplicates sorts in place
    matrix = sparse.csr_matrix((ones, items, indptr), shape=(len(history), n_items))
    matrix.sum_duplicates()
    return matrix


@contextmanager
def limit_blas_threads() -> Iterator[None]:
    """Implicit runs its own threads; BLAS threads inside them slow it down many times over."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def count_threads(threads: int) -> int:
    """How many threads to use: ``threads``, or as many as this process may run on where it is 0."""
    return threads or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def find_trained_users(matrix: sparse.csr_matrix) -> Bool:
    """bool[n_users]: has at least one training interaction."""
    return np.asarray(np.diff(matrix.indptr) > 0)


def place_popularity_below_zero(matrix: sparse.csr_matrix) -> Float32:
    """float32[n_items] in [-1, 0): orders by popularity what no neighbour reaches, below everything that one does."""
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    below: Float32 = (counts / (counts.max(initial=0) + 1.0) - 1.0).astype(np.float32)
    return below


def keep_known(history: History, n_items: int) -> History:
    """The history without the items from ``n_items`` on, of which the factors know nothing."""
    kept = history.items < n_items
    if kept.all():
        return history
    lengths = np.bincount(history.rows[kept], minlength=len(history))
    return History(indptr_of(lengths), history.items[kept], history.times[kept], history.skipped)
