"""Delegate `implicit-als`: Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets" (2008)."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.components import FitData
from reasonrec_core.types import Float32
from reasonrec_implicit.factors import FactorConfig, Factors
from reasonrec_implicit.matrices import count_threads, limit_blas_threads

MAKING = threading.Lock()
"""One thread makes a solver, the others wait for it."""


class ALSConfig(FactorConfig):
    """Settings of `ALS`."""

    regularization: float = Field(default=0.05, ge=0, description="L2 penalty on the vectors.")
    alpha: float = Field(default=10.0, gt=0, description="Confidence in an interaction, relative to a missing one.")
    iterations: int = Field(default=15, ge=1, description="Iterations over users and items.")
    threads: int = Field(default=0, ge=0, description="Threads for fitting; 0: one per core. The result is the same.")


class ALS(Factors[ALSConfig]):
    """Weighted matrix factorisation by conjugate-gradient ALS.

    A history is folded in exactly: its vector is the least-squares solution for the item vectors of the training
    (equation 4 of the paper), a whole batch at a time.
    """

    Config = ALSConfig
    _model: Any = None

    def _train(self, matrix: sparse.csr_matrix, data: FitData) -> tuple[Float32, Float32]:
        model = self._new(seed=data.seed, threads=count_threads(self.config.threads))
        total = self.config.iterations

        def report(iteration: int, seconds: float, loss: float | None) -> None:
            data.progress(iteration + 1, total, "implicit-als")

        model.fit(matrix, show_progress=False, callback=report)
        return model.user_factors, model.item_factors

    def _fold_in(self, histories: sparse.csr_matrix) -> Float32:
        vectors: Float32 = self._solver.recalculate_user(np.arange(histories.shape[0]), histories)
        return vectors

    def _contribute(self, past: Float32, targets: Float32) -> tuple[Float32, Float32]:
        """``s_ij c_uj`` of section 5 of the paper: ``y_i W_u y_j c_uj`` with ``W_u`` the inverse of equation 4."""
        alpha, gram, once = self.config.alpha, self._solver.YtY, np.unique(past, axis=0)
        normal = gram + self.config.regularization * np.eye(len(gram)) + alpha * past.T @ past - once.T @ once
        found = alpha * past @ np.linalg.solve(normal, targets.T)
        return found.astype(np.float32), np.zeros(len(targets), np.float32)

    def _prepare(self, matrix: sparse.csr_matrix) -> None:
        self._model = None

    @property
    def _solver(self) -> Any:
        """A model of item vectors alone, made for the first history: who is not asked need not import implicit.

        Its Gram matrix is computed here, so that threads only read it.
        """
        with MAKING:
            if self._model is None:
                with limit_blas_threads():
                    model = self._new(seed=0, threads=1)
                    model.item_factors = self._items
                    _ = model.YtY
                self._model = model
        return self._model

    def _new(self, seed: int, threads: int) -> Any:
        from implicit.cpu.als import AlternatingLeastSquares

        config = self.config
        return AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            alpha=config.alpha,
            iterations=config.iterations,
            num_threads=threads,
            random_state=seed,
        )
