"""Nearest items by content, as a sparse matrix: every item's best neighbours, however cold they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_core.catalog_growth import grown_matrix
from reasonrec_core.types import Bool, Float32
from reasonrec_profile.projection import Projection, normalise_rows

Space = Literal["centred", "whitened"]
CELLS = 1 << 23  # similarities held at once
Entries = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float32]


def fit_space(features: Float32, present: Bool, space: Space, dimensions: int) -> Projection:
    """The space to compare items in.

    Args:
        features: float32[n_items, D]; rows that are not ``present`` are ignored.
        present: bool[n_items].
        space: ``centred`` subtracts the mean item; ``whitened`` also keeps only the leading principal components and
            divides each by the square root of its deviation, so that a few loud directions do not decide alone.
        dimensions: principal components kept by ``whitened``.
    """
    known = np.asarray(features[present], dtype=np.float32)
    mean = known.mean(axis=0) if len(known) else np.zeros(features.shape[1], dtype=np.float32)
    if space == "centred" or len(known) < 2:
        return Projection(mean)
    centred = known - mean
    covariance = (centred.T @ centred).astype(np.float64) / len(centred)
    variance, axes = np.linalg.eigh(covariance)
    kept = np.argsort(-variance)[:dimensions]
    kept = kept[variance[kept] > 1e-9 * max(float(variance.max()), 1e-30)]
    return Projection(mean, (axes[:, kept] / variance[kept] ** 0.25).astype(np.float32))


def find_neighbours(
    vectors: Float32,
    present: Bool,
    projection: Projection | None,
    *,
    most: int = 50,
    power: float = 6.0,
    progress: Callable[[int, int], None] | None = None,
) -> sparse.csr_matrix:
    """float32 CSR[n_items, n_items]: ``max(cosine, 0)^power`` to the ``most`` nearest other items.

    Args:
        vectors: float32[n_items, d]; rows that are not ``present`` are ignored.
        present: bool[n_items].
        projection: to the space where vectors are compared; None to compare them as they are.
        most: neighbours per item.
        power: sharpens the cosine.
        progress: called as ``progress(items done, items)``.
    """
    n_items = len(vectors)
    known = np.flatnonzero(present)
    if len(known) < 2:
        return sparse.csr_matrix((n_items, n_items), dtype=np.float32)
    rows = (
        normalise_rows(np.asarray(vectors[known], np.float32))
        if projection is None
        else projection.project_unit(vectors, known)
    )
    return _matrix([_nearest(rows, known, 0, most, power, progress)], n_items)


def extend_neighbours(
    matrix: sparse.csr_matrix,
    features: Float32,
    present: Bool,
    projection: Projection,
    first_new: int,
    *,
    most: int = 50,
    power: float = 6.0,
) -> sparse.csr_matrix:
    """What `neighbours` gave for the first ``first_new`` items, for a catalogue that has grown.

    A new item gets its ``most`` nearest among all. It enters the row of an old item where it is nearer than the
    farthest that is kept there (at most ``most`` new ones do); old entries stay, so what old items say about each
    other does not change.
    """
    n_items = len(features)
    known = np.flatnonzero(present)
    old = int(np.searchsorted(known, first_new))
    if old == len(known) or len(known) < 2:
        return grown_matrix(matrix, n_items)
    rows = projection.project_unit(features, known)
    entries = [_nearest(rows, known, old, most, power, None)]
    limits = _limits(matrix, most)
    chunk = max(1, CELLS // (len(known) - old))
    for start in range(0, old, chunk):
        values = np.maximum(rows[start : min(start + chunk, old)] @ rows[old:].T, 0.0) ** np.float32(power)
        columns = _best(values, min(most, values.shape[1]))
        values = np.take_along_axis(values, columns, axis=1)
        at = known[start : start + len(values)]
        near = values > limits[at][:, None]
        entries.append((np.broadcast_to(at[:, None], near.shape)[near], known[old:][columns[near]], values[near]))
    return (grown_matrix(matrix, n_items) + _matrix(entries, n_items)).tocsr()


def _nearest(
    rows: Float32,
    known: npt.NDArray[np.int64],
    first: int,
    most: int,
    power: float,
    progress: Callable[[int, int], None] | None,
) -> Entries:
    """The ``most`` nearest of all for each of the unit vectors from ``first`` on."""
    most = min(most, len(known) - 1)
    chunk = max(1, CELLS // len(known))
    parts = []
    for start in range(first, len(known), chunk):
        block = rows[start : start + chunk] @ rows.T
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        columns = _best(block, most)
        values = np.maximum(np.take_along_axis(block, columns, axis=1), 0.0) ** np.float32(power)
        parts.append((np.repeat(known[start : start + chunk], most), known[columns].ravel(), values.ravel()))
        if progress is not None:
            progress(start + len(block), len(known))
    items, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return items, columns, values


def _best(block: Float32, most: int) -> npt.NDArray[np.int64]:
    """int64[b, most]: columns of the largest values of each row, ascending."""
    columns: npt.NDArray[np.int64] = np.argpartition(-block, most - 1, axis=1)[:, :most]
    columns.sort(axis=1)
    return columns


def _limits(matrix: sparse.csr_matrix, most: int) -> Float32:
    """float32[n]: the smallest value of each full row, 0 where there is room."""
    lengths = np.diff(matrix.indptr)
    limits = np.zeros(len(lengths), dtype=np.float32)
    some = np.flatnonzero(lengths)
    if len(some):
        least = np.minimum.reduceat(matrix.data, matrix.indptr[some])
        limits[some] = np.where(lengths[some] >= most, least, np.float32(0.0))
    return limits


def _matrix(parts: list[Entries], n_items: int) -> sparse.csr_matrix:
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(n_items, n_items), dtype=np.float32)
    matrix.eliminate_zeros()
    return matrix
