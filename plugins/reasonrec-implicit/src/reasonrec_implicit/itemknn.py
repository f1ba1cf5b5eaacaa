"""Delegate `implicit-itemknn`: Sarwar et al., "Item-based collaborative filtering recommendation algorithms" (2001)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.catalog_growth import grown, grown_matrix
from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates, share_links
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32, Int32, Observation, QueryBatch
from reasonrec_implicit.matrices import (
    count_threads,
    limit_blas_threads,
    make_history_matrix,
    make_training_matrix,
    place_popularity_below_zero,
)

if TYPE_CHECKING:
    from implicit.nearest_neighbours import ItemItemRecommender


class ItemKNNConfig(Settings):
    """Settings of `ItemKNN`."""

    similarity: Literal["cosine", "tfidf", "bm25"] = Field(
        default="cosine", description="Weighting of the matrix whose columns are compared."
    )
    neighbours: int = Field(default=50, ge=1, description="Neighbours kept per item (including the item itself).")
    bm25_k1: float = Field(default=1.2, gt=0, description="Saturation of counts, for bm25.")
    bm25_b: float = Field(default=0.75, ge=0, le=1, description="Length normalisation, for bm25.")
    threads: int = Field(default=0, ge=0, description="Threads for fitting; 0: one per core. The result is the same.")


class ItemKNN(Delegate[ItemKNNConfig]):
    """Scores an item by the summed similarity of the history's items to it.

    The history of the request is all that counts, so known and unknown users are served alike. Items that no
    neighbour reaches follow in the order of their popularity, with scores below zero.
    """

    Config = ItemKNNConfig
    _similarity: sparse.csr_matrix
    _rest: Float32

    def fit(self, data: FitData) -> None:
        """Find the neighbours with implicit."""
        from implicit.utils import ParameterWarning

        matrix = make_training_matrix(data, "implicit-itemknn")
        model = self._new()
        with limit_blas_threads(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ParameterWarning)  # of the library's own matrix, not of the caller's
            model.fit(matrix, show_progress=False)
        self._similarity = model.similarity.astype(np.float32)
        self._rest = place_popularity_below_zero(matrix)
        data.progress(1, 1, "implicit-itemknn")

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: sum over the history of the similarity to each item."""
        histories = make_history_matrix(batch.history, len(self._rest))
        scores: Float32 = (histories @ self._similarity).toarray()
        np.add(scores, self._rest, out=scores, where=scores == 0)
        return pick_candidates(scores, batch)

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[L, K]: each entry's similarity to an item among all that are summed up."""
        return share_links(self._similarity, np.ones(len(batch.history.items), np.float32), batch, items)

    def save(self, folder: Path) -> None:
        """Write the neighbours."""
        super().save(folder)
        near = self._similarity
        arrays = {"data": near.data, "indices": near.indices, "indptr": near.indptr, "rest": self._rest}
        write_arrays(folder / "neighbours.npz", arrays)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the neighbours. Items that came after the fit have none, and the score of the least popular."""
        self = super().load(folder, catalog)
        arrays = read_arrays(folder / "neighbours.npz")
        size = len(arrays["rest"])
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        self._similarity = grown_matrix(sparse.csr_matrix(parts, shape=(size, size)), len(catalog))
        self._rest = grown(arrays["rest"], len(catalog), fill=-1)
        return self

    def _new(self) -> ItemItemRecommender:
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender

        config, threads = self.config, count_threads(self.config.threads)
        if config.similarity == "bm25":
            return BM25Recommender(K=config.neighbours, K1=config.bm25_k1, B=config.bm25_b, num_threads=threads)
        kind = CosineRecommender if config.similarity == "cosine" else TFIDFRecommender
        return kind(K=config.neighbours, num_threads=threads)
