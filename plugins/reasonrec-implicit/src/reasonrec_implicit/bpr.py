"""Delegate `implicit-bpr`: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback" (UAI 2009)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32
from reasonrec_implicit.factors import FactorConfig, Factors

PENALTY = 1.0


class BPRConfig(FactorConfig):
    """Settings of `BPR`."""

    learning_rate: float = Field(default=0.05, gt=0, description="Learning rate of the stochastic gradient descent.")
    regularization: float = Field(default=0.01, ge=0, description="L2 penalty on the vectors.")
    iterations: int = Field(default=100, ge=1, description="Epochs.")
    threads: int = Field(
        default=1,
        ge=1,
        description="Threads for fitting. With more than one, fitting is faster, but the numbers differ each time.",
    )


class BPR(Factors[BPRConfig]):
    """Matrix factorisation with item biases, trained on pairs of a had and a missing item.

    Histories are folded in by a linear map from the mean vector of the history's items to a user vector, fitted by
    ridge regression on the training users (BPR itself has no closed form for a new user).
    """

    Config = BPRConfig
    _map: Float32

    def _train(self, matrix: sparse.csr_matrix, data: FitData) -> tuple[Float32, Float32]:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        if (np.diff(matrix.indptr) >= matrix.shape[1]).all():
            raise DataError("every user has every item, so no pair can be formed", where="implicit-bpr")
        config, total = self.config, self.config.iterations
        model = BayesianPersonalizedRanking(
            factors=config.factors,
            learning_rate=config.learning_rate,
            regularization=config.regularization,
            iterations=total,
            num_threads=config.threads,
            random_state=data.seed,
        )

        def report(iteration: int, seconds: float, *more: Any) -> None:
            data.progress(iteration + 1, total, "implicit-bpr")

        model.fit(matrix, show_progress=False, callback=report)
        return model.user_factors, model.item_factors

    def _fold_in(self, histories: sparse.csr_matrix) -> Float32:
        return self._mean_items(histories) @ self._map

    def _contribute(self, past: Float32, targets: Float32) -> tuple[Float32, Float32]:
        """The map is linear in the mean of the history's vectors; its intercept is what a history has no part in."""
        products = self._map @ targets.T
        found = (past[:, :-1] @ products[:-1] / len(past)).astype(np.float32)
        return found, products[-1]

    def _prepare(self, matrix: sparse.csr_matrix) -> None:
        """Fit the map on users with training interactions."""
        mean = self._mean_items(matrix[np.flatnonzero(self._trained)]).astype(np.float64)
        gram = mean.T @ mean + PENALTY * np.eye(mean.shape[1])
        self._map = np.linalg.solve(gram, mean.T @ self._users[self._trained]).astype(np.float32)

    def _mean_items(self, histories: sparse.csr_matrix) -> Float32:
        """float32[B, d + 1]: the mean item vector of each row, its last column 1 (the intercept)."""
        counts = np.asarray(histories.sum(axis=1), dtype=np.float32)
        mean: Float32 = (histories @ self._items) / counts
        mean[:, -1] = 1.0
        return mean

    def save(self, folder: Path) -> None:
        """Write the vectors and the map."""
        super().save(folder)
        write_arrays(folder / "fold_in.npz", {"map": self._map})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the vectors and the map."""
        self = super().load(folder, catalog)
        self._map = read_arrays(folder / "fold_in.npz")["map"]
        return self
