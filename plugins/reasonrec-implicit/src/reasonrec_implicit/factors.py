"""What ALS and BPR share: a score is the inner product of a user vector and an item vector."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.catalog_growth import grown, last_of_all
from reasonrec_core.components import Delegate, FitData, Settings, share_contributions
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Bool, Float32, History, Int32, Observation, QueryBatch
from reasonrec_implicit.matrices import (
    find_trained_users,
    keep_known,
    limit_blas_threads,
    make_history_matrix,
    make_training_matrix,
)


class FactorConfig(Settings):
    """Settings that ALS and BPR share."""

    factors: int = Field(default=64, ge=1, le=2048, description="Dimensions of the vectors.")
    fold_in: Literal["always", "unknown"] = Field(
        default="always",
        description="Whose vector is computed from the history of the request: everybody's, or only that of "
        "users who are not in training (the others keep their trained vector, which does not "
        "know anything newer).",
    )


C = TypeVar("C", bound=FactorConfig)


class Factors(Delegate[C]):
    """A factorisation. Subclasses train and fold in; this class serves, saves and loads.

    An item that came after the fit has no vector: it counts in no history and is ranked after all others.
    """

    _n_items: int
    _users: Float32
    _items: Float32
    _grown: Float32
    _trained: Bool
    _average: Float32

    def fit(self, data: FitData) -> None:
        """Factorise the training matrix with implicit."""
        matrix = make_training_matrix(data, type(self).__name__)
        with limit_blas_threads():
            users, items = self._train(matrix, data)
            self._remember(users, items, find_trained_users(matrix), len(items))
            self._prepare(matrix)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: inner products. Who has no history at all gets the average user."""
        vectors = self.query_vectors(batch, observation)
        known = len(self._items)
        if batch.candidates is None:
            if self._n_items == known:
                every: Float32 = vectors @ self._items.T
                return every
            whole = np.zeros((len(batch), self._n_items), dtype=np.float32)
            np.matmul(vectors, self._items.T, out=whole[:, :known])
            last_of_all(whole, np.arange(self._n_items), known)
            return whole
        scores: Float32 = np.einsum("bd,bcd->bc", vectors, self._items[np.clip(batch.candidates, 0, known - 1)])
        scores[batch.candidates < 0] = -np.inf
        last_of_all(scores, batch.candidates, known)
        return scores

    def item_vectors(self, observation: Observation) -> Float32:
        """float32[n_items, d]; 0 for items that came after the fit. The same array each time: it can be kept."""
        return self._grown

    def query_vectors(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, d]: trained or folded in, as ``fold_in`` says."""
        history, known, fold = self._choose_vectors(batch)
        vectors = np.repeat(self._average[None, :], len(batch), axis=0)
        keep = known & ~fold
        vectors[keep] = self._users[batch.users[keep]]
        if fold.any():
            rows = np.flatnonzero(fold)
            vectors[rows] = self._fold_in(make_history_matrix(history.take(rows), len(self._items)))
        return vectors

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[L, K]: what each entry adds to a folded-in vector's product; a trained vector is all rest."""
        history, fitted = batch.history, len(self._items)
        _, _, fold = self._choose_vectors(batch)
        found = np.zeros((len(history.items), items.shape[1]), np.float32)
        rest = np.zeros(items.shape, np.float32)
        for row in np.flatnonzero(fold).tolist():
            first, last = history.indptr[row : row + 2] - history.indptr[0]
            entries = first + np.flatnonzero(history.items[first:last] < fitted)
            targets = self._items[np.clip(items[row], 0, fitted - 1)]
            targets = np.where(((items[row] >= 0) & (items[row] < fitted))[:, None], targets, 0)
            found[entries], rest[row] = self._contribute(self._items[history.items[entries]], targets)
        return share_contributions(found, rest, history)

    def _choose_vectors(self, batch: QueryBatch) -> tuple[History, Bool, Bool]:
        """The histories of known items; bool[B]: who has a trained vector, and who is folded in."""
        known = (batch.users >= 0) & (batch.users < len(self._users))
        known[known] = self._trained[batch.users[known]]
        history = keep_known(batch.history, len(self._items))
        filled = history.lengths > 0
        return history, known, filled if self.config.fold_in == "always" else filled & ~known

    def save(self, folder: Path) -> None:
        """Write the vectors."""
        super().save(folder)
        arrays = {"users": self._users, "items": self._items, "trained": self._trained}
        write_arrays(folder / "factors.npz", arrays)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the vectors."""
        self = super().load(folder, catalog)
        arrays = read_arrays(folder / "factors.npz")
        self._remember(arrays["users"], arrays["items"], arrays["trained"], len(catalog))
        return self

    @abstractmethod
    def _train(self, matrix: sparse.csr_matrix, data: FitData) -> tuple[Float32, Float32]:
        """User vectors float32[n_users, d] and item vectors float32[n_items, d]."""

    @abstractmethod
    def _fold_in(self, histories: sparse.csr_matrix) -> Float32:
        """float32[B, d] for histories of users whose trained vector is missing or old; no row is empty."""

    @abstractmethod
    def _contribute(self, past: Float32, targets: Float32) -> tuple[Float32, Float32]:
        """float32[n, K]: what each of float32[n, d] items of a history, folded in, adds to products with float32[K, d].

        And float32[K], what a history has no part in.
        """

    def _prepare(self, matrix: sparse.csr_matrix) -> None:
        """Learn what `_fold_in` needs beyond the vectors. The default needs nothing."""

    def _remember(self, users: Float32, items: Float32, trained: Bool, n_items: int) -> None:
        self._users, self._items, self._trained, self._n_items = users, items, trained, n_items
        self._average, self._grown = users[trained].mean(axis=0), grown(items, n_items)
