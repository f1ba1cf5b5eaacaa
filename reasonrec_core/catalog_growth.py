"""A catalogue that has grown since a component was fitted: what was learned, brought to its new length.

Items keep their indices and new ones follow, so what is learned per item grows at the end. See `Component.load`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_core.errors import DataError
from reasonrec_core.types import Float32

T = TypeVar("T", bound=np.generic)


def grown(values: npt.NDArray[T], n_items: int, fill: float = 0) -> npt.NDArray[T]:
    """``values`` ([n, ...], a row per item of the fit) with rows of ``fill`` for the items up to ``n_items``.

    Raises:
        DataError: the catalogue is shorter than it was.
    """
    more = _more(len(values), n_items)
    if not more:
        return values
    return np.concatenate([values, np.full((more, *values.shape[1:]), fill, dtype=values.dtype)])


def grown_matrix(matrix: sparse.csr_matrix, n_items: int, *, square: bool = True) -> sparse.csr_matrix:
    """CSR[n, n] as CSR[n_items, n_items] (or, not ``square``, CSR[n, L] as CSR[n_items, L]); nothing in what is new.

    Raises:
        DataError: the catalogue is shorter than it was.
    """
    more = _more(matrix.shape[0], n_items)
    if not more:
        return matrix
    indptr = np.concatenate([matrix.indptr, np.full(more, matrix.indptr[-1], dtype=matrix.indptr.dtype)])
    shape = (n_items, n_items if square else matrix.shape[1])
    return sparse.csr_matrix((matrix.data, matrix.indices, indptr), shape=shape)


def last_of_all(scores: Float32, items: npt.NDArray[Any], n_items: int) -> None:
    """Put items from ``n_items`` on below all others of their row, in place: ranked last, yet ranked.

    Args:
        scores: float32[B, C]; -inf stays.
        items: the item of each column, int[C], or of each cell, int[B, C]; -1 pads.
        n_items: items that the component knows.
    """
    new = np.broadcast_to(items >= n_items, scores.shape)
    if not new.any():
        return
    finite = np.isfinite(scores) & ~new
    least = np.where(finite, scores, np.float32(np.inf)).min(axis=1, initial=np.inf)
    least = np.where(np.isfinite(least), least, np.float32(0.0))
    np.copyto(scores, (least - 1 - np.abs(least) * np.float32(1e-3))[:, None], where=new)


def _more(n_fitted: int, n_items: int) -> int:
    if n_items < n_fitted:
        what = f"the catalogue has {n_items} items, and the component was fitted on {n_fitted}"
        raise DataError(what, fix="A catalogue may grow at its end, not shrink. Fit again.")
    return n_items - n_fitted
