"""A delegate: a cheap model that may answer instead of the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation, QueryBatch


class TemplateConfig(Settings):
    """What a pipeline file may set."""

    shrink: float = Field(5.0, ge=0, description="Added to popularity before dividing; tames rare items.")


class Template(Delegate[TemplateConfig]):
    """Scores an item by how many users it shares with each item of the history, shrunk by popularity."""

    Config = TemplateConfig

    def fit(self, data: FitData) -> None:
        """Count users per item; keep the log as a sparse matrix."""
        ones = np.ones(len(data.train), dtype=np.float32)
        shape = (data.n_users, len(data.catalog))
        self.log = sparse.csr_matrix((ones, (data.train.users, data.train.items)), shape=shape)
        self.counts = np.bincount(data.train.items, minlength=len(data.catalog)).astype(np.float32)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items], or float32[B, C] where there are candidates; popularity decides between equals."""
        history = batch.history
        ones = np.ones(len(history.items), dtype=np.float32)
        rows = sparse.csr_matrix((ones, (history.rows, history.items)), shape=(len(batch), len(self.counts)))
        shared = ((rows @ self.log.T) @ self.log).toarray()
        scores = shared / (self.counts + self.config.shrink + 1) + 1e-6 * self.counts
        return pick_candidates(scores.astype(np.float32), batch)

    def save(self, folder: Path) -> None:
        """Write the log: the counts follow from it."""
        super().save(folder)
        sparse.save_npz(folder / "log.npz", self.log)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        delegate = super().load(folder, catalog)
        delegate.log = sparse.load_npz(folder / "log.npz")
        delegate.log.resize(delegate.log.shape[0], len(catalog))  # new items are in no row
        delegate.counts = np.asarray(delegate.log.sum(axis=0), dtype=np.float32).ravel()
        return delegate
