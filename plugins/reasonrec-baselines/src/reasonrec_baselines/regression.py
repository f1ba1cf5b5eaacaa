"""Delegates `ease` and `slim`: an item is predicted by a weighted sum over the other items of the history."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import linalg, sparse
from scipy.optimize import nnls

from reasonrec_baselines.logs import (
    make_history_matrix,
    make_log_matrix,
    place_popularity_below,
    share_of_most_popular,
    weigh_entries,
)
from reasonrec_core.catalog_growth import grown, grown_matrix
from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates, share_links
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32, Int32, Observation, QueryBatch

FIRST, MORE = 200, 100  # how many items a column is solved for first, and how many may join at a time
TOLERANCE = 1e-6  # of l2: how far below 0 a gradient may be


class RegressionConfig(Settings):
    """What both share."""

    most_items: int = Field(
        25_000,
        ge=2,
        description="How many of the most popular items are linked: the memory of `ease` grows with their square.",
    )
    keep: int = Field(300, ge=1, description="Strongest links kept per item.")
    history_decay: float = Field(
        1.0, gt=0, le=1, description="Factor by which a history item's weight falls with each step of age."
    )


class EASEConfig(RegressionConfig):
    """EASE."""

    l2: float = Field(200.0, gt=0, description="Penalty on large weights (L2).")


class SLIMConfig(RegressionConfig):
    """SLIM."""

    l1: float = Field(
        1.0,
        ge=0,
        description="Penalty that makes weights sparse (L1): only items that share more users than this are linked.",
    )
    l2: float = Field(20.0, gt=0, description="Penalty on large weights (L2).")


C = TypeVar("C", bound=RegressionConfig)


class Regression(Delegate[C]):
    """Scores are the history times a matrix of weights whose diagonal is 0. Users are their histories.

    What no item of the history is linked with follows in the order of popularity.
    """

    _links: sparse.csr_matrix
    _popularity: Float32

    @abstractmethod
    def find_weights(self, shared: sparse.csr_matrix, data: FitData) -> sparse.csr_matrix:
        """CSR[m, m], diagonal 0, of CSR[m, m]: how many users items share. Of each column the strongest."""

    def fit(self, data: FitData) -> None:
        """Count who shares what, and solve for the weights."""
        name = type(self).__name__.lower()
        log = make_log_matrix(data, name)
        counts = np.asarray(log.sum(0), np.float32).ravel()
        chosen = np.sort(np.argsort(-counts, kind="stable")[: min(self.config.most_items, int((counts > 0).sum()))])
        taken = log[:, chosen]
        data.progress(0, 2, f"{name}: counts")
        weights = self.find_weights(sparse.csr_matrix(taken.T @ taken), data).tocoo()
        at = (chosen[weights.row], chosen[weights.col])
        self._links = sparse.csr_matrix((weights.data.astype(np.float32), at), shape=(len(counts), len(counts)))
        self._popularity = share_of_most_popular(counts)
        data.progress(2, 2, f"{name}: weights")

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]."""
        histories = make_history_matrix(batch.history, len(self._popularity), self.config.history_decay)
        scores: Float32 = (histories @ self._links).toarray()
        return pick_candidates(place_popularity_below(scores, self._popularity), batch)

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[L, K]: the terms of the sum that are above 0."""
        weights = weigh_entries(batch.history, len(self._popularity), self.config.history_decay)
        return share_links(self._links, weights, batch, items)

    def save(self, folder: Path) -> None:
        """Write the links."""
        super().save(folder)
        arrays = {name: getattr(self._links, name) for name in ("data", "indices", "indptr")}
        write_arrays(folder / "links.npz", arrays | {"popularity": self._popularity})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the links. Items that came after the fit have none, and come last."""
        self = super().load(folder, catalog)
        arrays = read_arrays(folder / "links.npz")
        size = len(arrays["popularity"])
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        self._links = grown_matrix(sparse.csr_matrix(parts, shape=(size, size)), len(catalog))
        self._popularity = grown(arrays["popularity"], len(catalog), fill=-1)
        return self


class EASE(Regression[EASEConfig]):
    """Embarrassingly shallow autoencoders (Steck, WWW 2019): ``B = I - P / diag(P)``, ``P = (X^T X + l2 I)^-1``."""

    Config = EASEConfig

    def find_weights(self, shared: sparse.csr_matrix, data: FitData) -> sparse.csr_matrix:
        """Equation 8."""
        weights = invert(shared.toarray(), self.config.l2)
        weights /= -np.diag(weights).copy()
        np.fill_diagonal(weights, 0.0)
        weaker = len(weights) - self.config.keep
        if weaker > 0:
            at = np.argpartition(np.abs(weights), weaker, axis=0)[:weaker]
            np.put_along_axis(weights, at, 0.0, axis=0)
        return sparse.csr_matrix(weights)


class SLIM(Regression[SLIMConfig]):
    """Sparse linear methods (Ning and Karypis, ICDM 2011): non-negative elastic nets, solved exactly.

    Where nothing is negative, an item can only have a weight for another that it shares more than ``l1`` users with:
    what has none needs no look (the gradient of its weight is at least ``l1`` minus the users shared).
    """

    Config = SLIMConfig

    def find_weights(self, shared: sparse.csr_matrix, data: FitData) -> sparse.csr_matrix:
        """A column for each item; memory grows with the pairs of items that share users."""
        config, size = self.config, shared.shape[0]
        columns = []
        for j in range(size):
            items, weights = solve_column(shared, j, config.l1, config.l2)
            strongest = np.argsort(-weights, kind="stable")[: config.keep]
            columns.append((items[strongest], weights[strongest]))
            if j % 100 == 0:
                data.progress(j, size, "slim: weights")
        ends = np.cumsum([0] + [len(items) for items, _ in columns])
        parts = (np.concatenate([w for _, w in columns]), np.concatenate([i for i, _ in columns]), ends)
        return sparse.csc_matrix(parts, shape=(size, size)).tocsr()


def solve_column(
    shared: sparse.csr_matrix, j: int, l1: float, l2: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Items and their weights > 0: ``min 1/2 w' (G + l2 I) w - (g_j - l1)' w``, ``w >= 0``, ``w_j = 0``.

    The items that share most users are solved for first; those whose gradient then is negative join in, until none is.
    """
    ends = slice(*shared.indptr[j : j + 2])
    items, gains = shared.indices[ends], shared.data[ends].astype(np.float64) - l1
    eligible = (gains > 0) & (items != j)
    items, gains = items[eligible], gains[eligible]
    working = np.argsort(-gains, kind="stable")[:FIRST]
    weights = np.zeros(0)
    while len(working):  # `nnls` frees memory twice where there is nothing to solve for
        gram = shared[items[working]][:, items[working]].toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += l2
        factor = linalg.cholesky(gram, lower=True)
        wanted = linalg.solve_triangular(factor, gains[working], lower=True)
        weights = nnls(factor.T, wanted, maxiter=30 * len(working))[0]
        positive = weights > 0
        working, weights = working[positive], weights[positive]
        gradient = shared[items[working]][:, items].T @ weights - gains
        gradient[working] = 0
        joining = np.argsort(gradient)[:MORE]
        joining = joining[gradient[joining] < -TOLERANCE * l2]
        if not len(joining):
            break
        working = np.concatenate([working, joining])
    return items[working], weights


def invert(gram: Float32, l2: float) -> Float32:
    """float32[m, m]: the inverse of ``gram + l2 I``, which is positive definite; ``gram`` is overwritten."""
    gram[np.diag_indices_from(gram)] += np.float32(l2)
    factor, lower = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    inverse: Float32 = linalg.lapack.spotri(factor, lower=lower, overwrite_c=True)[0]
    at = np.tril_indices(len(inverse), -1)
    inverse.T[at] = inverse[at]
    return inverse
