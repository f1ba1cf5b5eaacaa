"""An inverted file: k-means divides the items into cells, and the cells nearest to a query are searched.

The largest inner products become the smallest distances by one more coordinate (Bachrach et al., RecSys 2014, section
3.1): items of at most length 1 are put on the unit sphere, queries get a 0. Without it the lengths of the vectors,
which differ by orders where popular items have long ones, leave nearly all items in a few cells.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from reasonrec_core.errors import RunError
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32, Int32, Int64

BLOCK = 1 << 16
"""Vectors that are worked on at a time."""
LANES = 16
"""Numbers that one instruction works on: faiss is many times slower where the width is no multiple of them."""
SAMPLE, ROUNDS = 64, 10
"""Items a cell that k-means looks at, and its rounds."""


@dataclass(frozen=True)
class Cells:
    """Where the items are.

    Attributes:
        centroids: float32[c, w] of `lift`ed vectors.
        assigned: int32[n] the cell of each item, -1 where its vector is 0: it is not in the index.
        longest: length of the longest vector, which all are divided by.
    """

    centroids: Float32
    assigned: Int32
    longest: float

    @classmethod
    def train(cls, vectors: Float32, count: int, seed: int) -> Self:
        """Divide float32[n, d] vectors, some of which are not 0, into at most ``count`` cells."""
        faiss = import_faiss()
        known = np.flatnonzero(vectors.any(axis=1))
        count = min(count, len(known))
        longest = max(float(np.linalg.norm(vectors[low : low + BLOCK], axis=1).max()) for low in _blocks(vectors))
        sample = np.random.default_rng(seed).choice(known, min(len(known), count * SAMPLE), replace=False)
        with limited_threads():
            kmeans = faiss.Kmeans(
                lifted_width(vectors.shape[1]), count, niter=ROUNDS, seed=seed + 1, min_points_per_centroid=1
            )  # faiss reads a seed of 0 as none
            kmeans.train(lift(vectors[np.sort(sample)], longest))
        return cls(kmeans.centroids, np.empty(0, np.int32), longest).assign(vectors)

    def assign(self, vectors: Float32) -> Self:
        """The same with the items that came after those that are assigned."""
        faiss = import_faiss()
        old = len(self.assigned)
        nearest = faiss.IndexFlatL2(self.centroids.shape[1])
        nearest.add(self.centroids)
        found = np.full(len(vectors), -1, np.int32)
        found[:old] = self.assigned
        with limited_threads():
            for low in range(old, len(vectors), BLOCK):
                part = vectors[low : low + BLOCK]
                cell = nearest.search(lift(part, self.longest), 1)[1][:, 0]
                found[low : low + BLOCK] = np.where(part.any(axis=1), cell, -1)
        return type(self)(self.centroids, found, self.longest)

    def can_hold(self, vectors: Float32) -> bool:
        """Whether these cells can hold float32[n, d]: those of the fit first, and none longer than the longest."""
        short = len(vectors) >= len(self.assigned) and lifted_width(vectors.shape[1]) == self.centroids.shape[1]
        return short and all(
            np.linalg.norm(vectors[low : low + BLOCK], axis=1).max() <= self.longest * 1.0001
            for low in _blocks(vectors)
        )

    def save(self, path: Path) -> None:
        """Write arrays without objects: faiss' own format is read by code that was not made for files of others."""
        write_arrays(path, {"centroids": self.centroids, "assigned": self.assigned, "longest": np.array(self.longest)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            RunError: they are no cells.
        """
        stored = read_arrays(path)
        try:
            centroids, assigned = np.asarray(stored["centroids"], np.float32), np.asarray(stored["assigned"], np.int32)
            longest = float(stored["longest"])
            good = centroids.ndim == 2 and assigned.ndim == 1 and np.isfinite(centroids).all() and 0 < longest < np.inf
            if good and ((assigned >= -1) & (assigned < len(centroids))).all():
                return cls(centroids, assigned, longest)
        except (KeyError, TypeError, ValueError):
            pass
        raise RunError("does not hold the cells of an index", where=str(path), fix="Fit the run again: --refit.")


class InvertedFile:
    """Vectors float32[n, d] in cells; halves of numbers (float16) are searched, and found items scored exactly.

    Args:
        vectors: of the items; kept, not copied.
        cells: where they are.
    """

    def __init__(self, vectors: Float32, cells: Cells) -> None:
        faiss = import_faiss()
        self.vectors, width = vectors, cells.centroids.shape[1]
        quantizer = faiss.IndexFlatL2(width)
        quantizer.add(cells.centroids)
        kind = faiss.ScalarQuantizer.QT_fp16
        self._index = faiss.IndexIVFScalarQuantizer(
            quantizer, width, len(cells.centroids), kind, faiss.METRIC_L2, False
        )
        with limited_threads():
            self._index.train(cells.centroids)  # nothing is learned: numbers are cut to halves
            for low in _blocks(vectors):
                rows = low + np.flatnonzero(cells.assigned[low : low + BLOCK] >= 0)
                lifted, cell = lift(vectors[rows], cells.longest), cells.assigned[rows].astype(np.int64)
                pointers = (faiss.swig_ptr(each) for each in (lifted, rows, cell))
                self._index.add_core(len(rows), *pointers)

    @property
    def cells(self) -> int:
        """How many there are."""
        return int(self._index.nlist)

    def search(self, queries: Float32, count: int, probes: int) -> Int64:
        """int64[B, count]: items of large product with float32[B, d] queries, ascending; -1 where fewer were found.

        Args:
            queries: of any length.
            count: items that are wanted.
            probes: cells that are searched.
        """
        faiss = import_faiss()
        points = lift(queries, np.inf)
        with limited_threads(1):
            found = self._index.search(points, count, params=faiss.SearchParametersIVF(nprobe=probes))[1]
        return np.sort(found, axis=1)

    def score(self, queries: Float32, items: Int64) -> Float32:
        """float32[B, C]: products with the items of int64[B, C]; anything for -1."""
        scores: Float32 = np.matmul(self.vectors[np.maximum(items, 0)], queries[:, :, None])[..., 0]
        return scores


def lift(vectors: Float32, longest: float) -> Float32:
    """float32[n, w] of length 1: divided by the longest length, and what is missing to 1. Queries have no longest:

    with infinity they get length 1 and a 0, whatever their length. Zeros follow up to the next `LANES` numbers.
    """
    rows, width = vectors.shape
    lifted = np.zeros((rows, lifted_width(width)), np.float32)
    if np.isinf(longest):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, np.maximum(lengths, 1e-30), out=lifted[:, :width])
        return lifted
    np.divide(vectors, longest, out=lifted[:, :width])
    lifted[:, width] = np.sqrt(np.maximum(1 - np.square(lifted[:, :width]).sum(axis=1), 0))
    return lifted


def lifted_width(width: int) -> int:
    """Numbers of a lifted vector."""
    return -(-(width + 1) // LANES) * LANES


def import_faiss() -> Any:
    """The library, when something is searched; its own types lack the parameters of searches."""
    import faiss

    return faiss


@contextmanager
def limited_threads(most: int | None = None) -> Iterator[None]:
    """Within the block faiss uses so many threads of its OpenMP; by default all, on macOS one.

    A search takes less time than waking threads up. On macOS the wheels of faiss and torch each bring an OpenMP of
    their own, and two of them with threads crash (github.com/faiss-wheels/faiss-wheels/issues/73).
    """
    faiss = import_faiss()
    wanted = 1 if sys.platform == "darwin" else most
    before: Any = faiss.omp_get_max_threads()
    if wanted is not None:
        faiss.omp_set_num_threads(wanted)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _blocks(vectors: Float32) -> range:
    return range(0, len(vectors), BLOCK)
