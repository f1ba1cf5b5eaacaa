"""What labelled rows teach about items: how good they are, and which are liked by the same people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_clicks.labelled_rows import LabelledRows
from reasonrec_core.catalog_growth import grown, grown_matrix
from reasonrec_core.types import Float64

USER_WEIGHT = 4.0
"""Rows that a user's bias is shrunk by: as if so many neutral labels had been seen."""
ITEM_WEIGHT = 4.0
CONTENT_PENALTY = 10.0
ROUNDS = 8
LONGEST = 500
"""Newest rows per user that item similarities are counted on, so that their cost grows with the data."""


@dataclass(frozen=True)
class ItemStatistics:
    """Item statistics of some labelled rows, for the rows that come after them.

    Attributes:
        mean: of all labels.
        item_bias: float64[n_items] how much better than the mean, user biases taken out, shrunk to ``item_prior``.
        item_prior: float64[n_items] the bias that a ridge regression on content expects.
        item_count: float64[n_items] labels seen.
        item_liked: float64[n_items] positive labels seen.
        content: float64[D + 2] what the regression says that content is worth; the last two are of the count.
        likes: float32 CSR[n_items, n_items] cosine of being liked together, damped for rare items.
        agreement: float32 CSR[n_items, n_items] damped correlation of the residuals of users who labelled both.
    """

    mean: float
    item_bias: Float64
    item_prior: Float64
    item_count: Float64
    item_liked: Float64
    content: Float64
    likes: sparse.csr_matrix
    agreement: sparse.csr_matrix

    @classmethod
    def learn(cls, labels: LabelledRows, n_users: int, n_items: int, design: npt.NDArray[np.float64]) -> ItemStatistics:
        """Learn from ``labels`` alone.

        Biases by alternating ridge regressions: Koren, Bell and Volinsky, "Matrix factorization techniques for
        recommender systems" (2009), equation 3; the item bias is shrunk to what its content predicts.
        """
        mean = float(labels.values.mean()) if len(labels) else 0.5
        count = np.bincount(labels.items, minlength=n_items).astype(float)
        user_bias, item_bias, prior, content = _biases(labels, n_users, n_items, mean, count, design)
        residual = labels.values - mean - user_bias[labels.users] - item_bias[labels.items]
        recent = _newest(labels, LONGEST)
        shape = (n_users, n_items)
        at = (labels.users[recent], labels.items[recent])
        liked = sparse.csr_matrix(((labels.values[recent] > 0.5).astype(np.float32), at), shape=shape)
        liked.eliminate_zeros()
        left = sparse.csr_matrix((residual[recent].astype(np.float32), at), shape=shape)
        return cls(
            mean,
            item_bias,
            prior,
            count,
            np.bincount(labels.items, weights=labels.values > 0.5, minlength=n_items).astype(np.float64),
            content,
            _cosine(liked, damping=3.0),
            _agreement(left, damping=8.0),
        )

    def grow(self, design: npt.NDArray[np.float64]) -> ItemStatistics:
        """For a catalogue that has grown, whose `ItemContent.design` this is: new items are what content expects."""
        first, n_items = len(self.item_bias), len(design)
        prior = _with_popularity(design[first:], np.zeros(n_items - first)) @ self.content
        return replace(
            self,
            item_bias=np.concatenate([self.item_bias, prior]),
            item_prior=np.concatenate([self.item_prior, prior]),
            item_count=grown(self.item_count, n_items),
            item_liked=grown(self.item_liked, n_items),
            likes=grown_matrix(self.likes, n_items),
            agreement=grown_matrix(self.agreement, n_items),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For saving."""
        names = ("item_bias", "item_prior", "item_count", "item_liked", "content")
        found: dict[str, npt.NDArray[Any]] = {"mean": np.array(self.mean)} | {n: getattr(self, n) for n in names}
        for name in ("likes", "agreement"):
            for part in ("data", "indices", "indptr"):
                found[f"{name}.{part}"] = getattr(getattr(self, name), part)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ItemStatistics:
        """What `arrays` gave."""
        size = len(arrays["item_bias"])
        matrices = [
            sparse.csr_matrix(tuple(arrays[f"{n}.{p}"] for p in ("data", "indices", "indptr")), shape=(size, size))
            for n in ("likes", "agreement")
        ]
        vectors = (arrays[n] for n in ("item_bias", "item_prior", "item_count", "item_liked", "content"))
        return cls(float(arrays["mean"]), *vectors, *matrices)


def _biases(
    labels: LabelledRows, n_users: int, n_items: int, mean: float, count: Float64, design: npt.NDArray[np.float64]
) -> tuple[Float64, Float64, Float64, Float64]:
    user_count = np.bincount(labels.users, minlength=n_users)
    item_bias: Float64 = np.zeros(n_items)
    prior: Float64 = np.zeros(n_items)
    user_bias: Float64 = np.zeros(n_users)
    columns = _with_popularity(design, count)
    content: Float64 = np.zeros(columns.shape[1])
    weight = count * ITEM_WEIGHT / (count + ITEM_WEIGHT)
    gram = (columns * weight[:, None]).T @ columns + CONTENT_PENALTY * np.eye(columns.shape[1])
    for _ in range(ROUNDS if len(labels) else 0):
        left = labels.values - mean - item_bias[labels.items]
        user_bias = np.bincount(labels.users, weights=left, minlength=n_users) / (user_count + USER_WEIGHT)
        left = labels.values - mean - user_bias[labels.users]
        total = np.bincount(labels.items, weights=left, minlength=n_items)
        content = np.linalg.solve(gram, columns.T @ (total * weight / np.maximum(count, 1))).astype(np.float64)
        prior = columns @ content
        item_bias = (total + ITEM_WEIGHT * prior) / (count + ITEM_WEIGHT)
    return user_bias, item_bias, prior, content


def _with_popularity(design: npt.NDArray[np.float64], count: Float64) -> npt.NDArray[np.float64]:
    log = np.log1p(count)[:, None]
    return np.concatenate([design, log, log**2 / 4], axis=1)


def _newest(labels: LabelledRows, longest: int) -> npt.NDArray[np.bool_]:
    """Mask of the newest ``longest`` rows of each user."""
    ends = np.searchsorted(labels.users, labels.users, side="right")
    return np.asarray(ends - np.arange(len(labels)) <= longest)


def _cosine(liked: sparse.csr_matrix, damping: float) -> sparse.csr_matrix:
    together = (liked.T @ liked).tocsr()
    norm = np.sqrt(together.diagonal() + damping)
    return _scale(together, norm)


def _agreement(left: sparse.csr_matrix, damping: float) -> sparse.csr_matrix:
    seen = left.copy()
    seen.data = np.ones_like(seen.data)
    products, both = (left.T @ left).tocsr(), (seen.T @ seen).tocsr()
    scaled = _scale(products, np.sqrt(np.maximum(products.diagonal(), 1e-6)))
    both.sort_indices()
    both.data = both.data / (both.data + damping)
    result = scaled.multiply(both).tocsr()
    result.sort_indices()
    return result.astype(np.float32)


def _scale(matrix: sparse.csr_matrix, norm: Float64) -> sparse.csr_matrix:
    """Rows and columns divided by ``norm``, the diagonal emptied."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    off = rows != matrix.indices
    data = np.where(off, matrix.data / (norm[rows] * norm[matrix.indices]), 0.0).astype(np.float32)
    result = sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    result.sort_indices()
    return result
