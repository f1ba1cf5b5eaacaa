"""Delegates `ease` and `slim`: an item is predicted by a weighted sum over the other items of the history."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import linalg, sparse

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


class RegressionConfig(Settings):
    """What both share."""

    most_items: int = Field(
        25_000,
        ge=2,
        description="How many of the most popular items are linked: memory grows with the square of their number.",
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

    l1: float = Field(2.0, ge=0, description="Penalty that makes weights sparse (L1).")
    l2: float = Field(100.0, gt=0, description="Penalty on large weights (L2).")
    rho: float = Field(1000.0, gt=0, description="Penalty parameter of the optimiser (ADMM).")
    iterations: int = Field(30, ge=1, description="Iterations of the optimiser.")


C = TypeVar("C", bound=RegressionConfig)


class Regression(Delegate[C]):
    """Scores are the history times a matrix of weights whose diagonal is 0. Users are their histories.

    What no item of the history is linked with follows in the order of popularity.
    """

    _links: sparse.csr_matrix
    _popularity: Float32

    @abstractmethod
    def find_weights(self, gram: Float32, data: FitData) -> Float32:
        """float32[m, m], diagonal 0, of float32[m, m] counts of users that items share, which may be overwritten."""

    def fit(self, data: FitData) -> None:
        """Count who shares what, and solve for the weights."""
        name = type(self).__name__.lower()
        log = make_log_matrix(data, name)
        counts = np.asarray(log.sum(0), np.float32).ravel()
        chosen = np.sort(np.argsort(-counts, kind="stable")[: min(self.config.most_items, int((counts > 0).sum()))])
        taken = log[:, chosen]
        data.progress(0, 2, f"{name}: counts")
        weights = self.find_weights((taken.T @ taken).toarray(), data)
        self._links = keep_strongest(weights, chosen, len(counts), self.config.keep)
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

    def find_weights(self, gram: Float32, data: FitData) -> Float32:
        """Equation 8."""
        inverse = invert(gram, self.config.l2)
        weights = inverse
        weights /= -np.diag(inverse).copy()
        np.fill_diagonal(weights, 0.0)
        return weights


class SLIM(Regression[SLIMConfig]):
    """Sparse linear methods (Ning and Karypis, ICDM 2011), by ADMM (Steck et al., WSDM 2020, algorithm 1)."""

    Config = SLIMConfig

    def find_weights(self, gram: Float32, data: FitData) -> Float32:
        """Alternate between the ridge solution with a diagonal of 0, and shrinking to what is not negative."""
        config = self.config
        inverse = invert(gram.copy(), config.l2 + config.rho)
        base = inverse @ gram
        diagonal = np.diag(inverse).copy()
        sparse_part, dual = np.zeros_like(gram), np.zeros_like(gram)
        for done in range(config.iterations):
            dense = base + inverse @ (config.rho * sparse_part - dual)
            dense -= inverse * (np.diag(dense) / diagonal)
            sparse_part = np.maximum(dense + (dual - config.l1) / config.rho, 0.0)
            dual += config.rho * (dense - sparse_part)
            data.progress(done + 1, config.iterations, "slim: weights")
        np.fill_diagonal(sparse_part, 0.0)
        return sparse_part


def invert(gram: Float32, l2: float) -> Float32:
    """float32[m, m]: the inverse of ``gram + l2 I``, which is positive definite; ``gram`` is overwritten."""
    gram[np.diag_indices_from(gram)] += np.float32(l2)
    factor, lower = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    inverse: Float32 = linalg.lapack.spotri(factor, lower=lower, overwrite_c=True)[0]
    at = np.tril_indices(len(inverse), -1)
    inverse.T[at] = inverse[at]
    return inverse


def keep_strongest(weights: Float32, items: npt.NDArray[np.intp], n_items: int, keep: int) -> sparse.csr_matrix:
    """CSR[n_items, n_items]: of each column of float32[m, m] weights between ``items`` the ``keep`` strongest."""
    m = len(items)
    if keep < m:
        weaker = np.argpartition(np.abs(weights), m - keep, axis=0)[: m - keep]
        np.put_along_axis(weights, weaker, 0.0, axis=0)
    rows, columns = np.nonzero(weights)
    return sparse.csr_matrix((weights[rows, columns], (items[rows], items[columns])), shape=(n_items, n_items))
