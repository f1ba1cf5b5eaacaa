"""Delegate `user-knn`: what the most similar users have (after Herlocker et al., SIGIR 1999)."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_baselines.logs import (
    make_history_matrix,
    make_log_matrix,
    make_pair_matrix,
    place_popularity_below,
    share_of_most_popular,
    weigh_entries,
)
from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates, share_contributions
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32, Int32, Interactions, Observation, QueryBatch

CHUNK = 256
"""Requests whose similarities to all users exist at the same time."""


class UserKNNConfig(Settings):
    """Settings of `UserKNN`."""

    neighbours: int = Field(100, ge=1, description="How many of the most similar users are used.")
    power: float = Field(1.0, gt=0, description="Power of the similarity that weighs a neighbour's items.")
    rare: float = Field(0.5, ge=0, description="How much more rare items count in the similarity: power of 1/count.")
    history_decay: float = Field(
        1.0, gt=0, le=1, description="Factor by which a history item's weight falls with each step of age."
    )


class UserKNN(Delegate[UserKNNConfig]):
    """Cosine between the history of the request and every user's items; the nearest users' items, summed up."""

    Config = UserKNNConfig
    _log: sparse.csr_matrix
    _popularity: Float32
    _n_items: int

    updates = True
    """See `update`."""

    def fit(self, data: FitData) -> None:
        """Keep who has what."""
        self._log, self._n_items = make_log_matrix(data, "user-knn"), len(data.catalog)
        self._prepare()

    def update(self, rows: Interactions) -> None:
        """Learn more rows; exactly what a fit on all rows gives. Users may be new, so may items of the catalogue."""
        old, n_users = self._log.tocoo(), max(self._log.shape[0], int(rows.users.max(initial=-1)) + 1)
        users, items = np.concatenate([old.row, rows.users]), np.concatenate([old.col, rows.items])
        self._log = make_pair_matrix(users, items, (n_users, self._n_items))
        self._prepare()

    def _prepare(self) -> None:
        counts = np.asarray(self._log.sum(0), np.float32).ravel()
        self._popularity = grown(share_of_most_popular(counts), self._n_items, fill=-1)
        self._rarity = np.power(np.maximum(counts, 1), -np.float32(self.config.rare)).astype(np.float32)
        weighed = self._log.multiply(self._rarity).tocsr()
        self._users = _normalise(weighed).T.tocsr()

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]."""
        fitted = self._log.shape[1]
        asked = make_history_matrix(batch.history, fitted, self.config.history_decay).multiply(self._rarity).tocsr()
        scores = np.zeros((len(batch), self._n_items), np.float32)
        for start in range(0, len(batch), CHUNK):
            scores[start : start + CHUNK, :fitted] = (
                self._find_neighbours(asked[start : start + CHUNK]) @ self._log
            ).toarray()
        return pick_candidates(place_popularity_below(scores, self._popularity), batch)

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[L, K]: a neighbour's word, divided over the entries that make them a neighbour."""
        history, fitted = batch.history, self._log.shape[1]
        found = np.zeros((len(history.items), items.shape[1]), np.float32)
        known, targets = np.minimum(history.items, fitted - 1), np.clip(items, 0, fitted - 1)
        weights = weigh_entries(history, fitted, self.config.history_decay) * self._rarity[known]
        asked = make_history_matrix(history, fitted, self.config.history_decay).multiply(self._rarity).tocsr()
        for row in range(len(batch)):
            entries = slice(*(history.indptr[row : row + 2] - history.indptr[0]))
            word = self._find_neighbours(asked[row : row + 1])
            alike = self._users[known[entries]][:, word.indices].multiply(weights[entries, None]).toarray()
            has = self._log[word.indices][:, targets[row]].toarray() * ((items[row] >= 0) & (items[row] < fitted))
            found[entries] = (alike * (word.data / np.maximum(alike.sum(0), 1e-12))) @ has
        return share_contributions(found, np.zeros(items.shape, np.float32), history)

    def _find_neighbours(self, asked: sparse.csr_matrix) -> sparse.csr_matrix:
        """CSR[B, n_users]: the weights of the users nearest to CSR[B, n] weighed histories."""
        near = (_normalise(asked) @ self._users).toarray()
        k = min(self.config.neighbours, near.shape[1])
        columns = np.argpartition(-near, k - 1, axis=1)[:, :k]
        weights = np.take_along_axis(near, columns, axis=1)
        weights = np.where(weights > 0, np.power(np.maximum(weights, 0), np.float32(self.config.power)), 0)
        indptr = np.arange(len(near) + 1) * k
        found = sparse.csr_matrix((weights.ravel().astype(np.float32), columns.ravel(), indptr), shape=near.shape)
        found.eliminate_zeros()
        return found

    def save(self, folder: Path) -> None:
        """Write who has what."""
        super().save(folder)
        write_arrays(
            folder / "log.npz",
            {"indices": self._log.indices, "indptr": self._log.indptr, "n_items": np.array(self._log.shape[1])},
        )

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read it. Nobody has an item that came after the fit: it comes last."""
        self = super().load(folder, catalog)
        arrays = read_arrays(folder / "log.npz")
        shape = (len(arrays["indptr"]) - 1, int(arrays["n_items"]))
        ones = np.ones(len(arrays["indices"]), np.float32)
        self._log = sparse.csr_matrix((ones, arrays["indices"], arrays["indptr"]), shape=shape)
        self._n_items = len(catalog)
        self._prepare()
        return self


def _normalise(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows of length 1; an empty one stays empty."""
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-12)) @ rows, dtype=np.float32)
