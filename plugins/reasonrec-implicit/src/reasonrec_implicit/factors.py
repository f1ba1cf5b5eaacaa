"""What ALS and BPR share: a score is the inner product of a user vector and an item vector."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.components import Delegate, FitData, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Bool, Float32, Observation, QueryBatch
from reasonrec_implicit.matrices import (
    history_matrix,
    load_arrays,
    one_blas_thread,
    save_arrays,
    trained_users,
    training_matrix,
)


class FactorConfig(Settings):
    """Settings that ALS and BPR share."""

    factors: int = Field(default=64, ge=1, le=2048, description="Length of the vectors.")
    fold_in: Literal["always", "unknown"] = Field(
        default="always",
        description="Whose vector is computed from the history of the request: everybody's, or only that of users "
        "whom training did not see (the others keep their trained vector, which knows nothing newer).",
    )


C = TypeVar("C", bound=FactorConfig)


class Factors(Delegate[C]):
    """A factorisation. Subclasses train and fold in; this class serves, saves and loads."""

    _users: Float32
    _items: Float32
    _trained: Bool
    _average: Float32

    def fit(self, data: FitData) -> None:
        """Factorise the training matrix with implicit."""
        matrix = training_matrix(data, type(self).__name__)
        with one_blas_thread():
            users, items = self._train(matrix, data)
            self._remember(users, items, trained_users(matrix))
            self._prepare(matrix)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: inner products. Who has no history at all gets the average user."""
        vectors = self.user_vectors(batch)
        if batch.candidates is None:
            return vectors @ self._items.T
        scores = np.einsum("bd,bcd->bc", vectors, self._items[np.maximum(batch.candidates, 0)])
        return np.where(batch.candidates < 0, np.float32(-np.inf), scores)

    def user_vectors(self, batch: QueryBatch) -> Float32:
        """float32[B, d]: trained or folded in, as ``fold_in`` says."""
        known = (batch.users >= 0) & (batch.users < len(self._users))
        known[known] = self._trained[batch.users[known]]
        filled = batch.history.lengths > 0
        fold = filled if self.config.fold_in == "always" else filled & ~known
        vectors = np.repeat(self._average[None, :], len(batch), axis=0)
        keep = known & ~fold
        vectors[keep] = self._users[batch.users[keep]]
        if fold.any():
            rows = np.flatnonzero(fold)
            vectors[rows] = self._fold_in(history_matrix(batch.history.take(rows), len(self._items)))
        return vectors

    def save(self, folder: Path) -> None:
        """Write the vectors."""
        super().save(folder)
        save_arrays(folder / "factors.npz", users=self._users, items=self._items, trained=self._trained)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the vectors."""
        self = super().load(folder, catalog)
        arrays: dict[str, Any] = load_arrays(folder / "factors.npz")
        self._remember(arrays["users"], arrays["items"], arrays["trained"])
        return self

    @abstractmethod
    def _train(self, matrix: sparse.csr_matrix, data: FitData) -> tuple[Float32, Float32]:
        """User vectors float32[n_users, d] and item vectors float32[n_items, d]."""

    @abstractmethod
    def _fold_in(self, histories: sparse.csr_matrix) -> Float32:
        """float32[B, d] for histories of users whose trained vector is missing or old; no row is empty."""

    def _prepare(self, matrix: sparse.csr_matrix) -> None:
        """Learn what `_fold_in` needs beyond the vectors. The default needs nothing."""

    def _remember(self, users: Float32, items: Float32, trained: Bool) -> None:
        self._users, self._items, self._trained = users, items, trained
        self._average = users[trained].mean(axis=0)
