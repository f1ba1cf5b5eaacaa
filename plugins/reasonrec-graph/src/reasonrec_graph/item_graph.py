"""Items linked to those that read or look most alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from reasonrec_core.types import Float32, Int64

CELLS = 1 << 23
"""Similarities that exist at once."""


class Neighbours(NamedTuple):
    """The most similar items of each.

    Attributes:
        items: int64[n, k], -1 where there are fewer.
        cosines: float32[n, k], positive; 0 where there are fewer.
    """

    items: Int64
    cosines: Float32


def find_neighbours(vectors: Float32, n_known: int, most: int) -> Neighbours:
    """The ``most`` items among the first ``n_known`` with the largest positive cosines, itself left out.

    Items that came later link to those that were there before, never the other way: what is known of old items stays.

    Args:
        vectors: float32[n, w]; rows of 0 have no neighbours and are nobody's.
        n_known: items that may be linked to.
        most: k.
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    n, k = len(unit), max(1, min(most, n_known - 1))
    items, cosines = np.full((n, k), -1, np.int64), np.zeros((n, k), np.float32)
    rows = max(1, CELLS // max(n_known, 1))
    for start in range(0, n if n_known > 1 else 0, rows):
        block = unit[start : start + rows] @ unit[:n_known].T
        own = np.arange(start, min(start + len(block), n_known))
        block[own - start, own] = -1
        best = np.argpartition(-block, k - 1, axis=1)[:, :k]
        best.sort(axis=1)
        found = np.take_along_axis(block, best, axis=1)
        items[start : start + rows] = np.where(found > 0, best, -1)
        cosines[start : start + rows] = np.maximum(found, 0)
    return Neighbours(items, cosines)


def link_items(neighbours: Neighbours, n_known: int) -> sparse.csr_matrix:
    """CSR float32[n, n]: the normalised adjacency ``D^-1/2 A D^-1/2``.

    A is symmetric among the first ``n_known`` items (linked where either is a neighbour of the other); later ones read
    from them alone.
    """
    n, k = neighbours.items.shape
    rows, columns, cosines = np.repeat(np.arange(n), k), neighbours.items.ravel(), neighbours.cosines.ravel()
    there = columns >= 0
    links = sparse.csr_matrix((cosines[there], (rows[there], columns[there])), shape=(n, n))
    old = links[:n_known]
    back = sparse.csr_matrix((n, n), dtype=np.float32)
    if n_known:
        square = old[:, :n_known]
        back = sparse.block_diag((square.T, sparse.csr_matrix((n - n_known, n - n_known))), format="csr")
    links = links.maximum(back).tocsr()
    scale = sparse.diags(1 / np.sqrt(np.maximum(np.asarray(links.sum(1)).ravel(), 1e-12)))
    return (scale @ links @ scale).astype(np.float32).tocsr()
