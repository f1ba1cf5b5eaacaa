"""Nearest items by content, as a sparse matrix: every item's best neighbours, however cold they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import sparse

from reasonrec_core.types import Bool, Float32

Space = Literal["centred", "whitened", "as given"]
CELLS = 1 << 23  # similarities held at once


def neighbours(
    features: Float32,
    present: Bool,
    space: Space,
    *,
    most: int = 50,
    power: float = 6.0,
    dimensions: int = 128,
    progress: Callable[[int, int], None] | None = None,
) -> sparse.csr_matrix:
    """float32 CSR[n_items, n_items]: ``max(cosine, 0)^power`` to the ``most`` nearest other items.

    Args:
        features: float32[n_items, d]; rows that are not ``present`` are ignored.
        present: bool[n_items].
        space: ``centred`` subtracts the mean item; ``whitened`` also keeps only the leading principal components and
            divides each by the square root of its deviation, so that a few loud directions do not decide alone;
            ``as given`` takes the features as they are (directions of `taste`).
        most: neighbours per item.
        power: sharpens the cosine.
        dimensions: principal components kept by ``whitened``.
        progress: called as ``progress(items done, items)``.
    """
    n_items = len(features)
    known = np.flatnonzero(present)
    if len(known) < 2:
        return sparse.csr_matrix((n_items, n_items), dtype=np.float32)
    unit = _unit(_embed(np.asarray(features[known], dtype=np.float32), space, dimensions))
    most = min(most, len(known) - 1)
    chunk = max(1, CELLS // len(known))
    parts = []
    for start in range(0, len(known), chunk):
        block = unit[start : start + chunk] @ unit.T
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        columns = np.argpartition(-block, most - 1, axis=1)[:, :most]
        columns.sort(axis=1)
        values = np.maximum(np.take_along_axis(block, columns, axis=1), 0.0) ** np.float32(power)
        parts.append((np.repeat(known[start : start + chunk], most), known[columns].ravel(), values.ravel()))
        if progress is not None:
            progress(start + len(block), len(known))
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(n_items, n_items), dtype=np.float32)
    matrix.eliminate_zeros()
    return matrix


def _embed(features: Float32, space: Space, dimensions: int) -> Float32:
    if space == "as given":
        return features
    centred: Float32 = features - features.mean(axis=0)
    if space == "centred":
        return centred
    covariance = (centred.T @ centred).astype(np.float64) / len(centred)
    variance, axes = np.linalg.eigh(covariance)
    kept = np.argsort(-variance)[:dimensions]
    kept = kept[variance[kept] > 1e-9 * max(float(variance.max()), 1e-30)]
    scale = axes[:, kept] / variance[kept] ** 0.25
    return np.asarray(centred @ scale.astype(np.float32), dtype=np.float32)


def _unit(rows: Float32) -> Float32:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1e-12), dtype=np.float32)
