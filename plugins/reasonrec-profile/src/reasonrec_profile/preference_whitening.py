"""Taste in a modality: the directions of text or images in which the choices of one user agree.

Two items may be alike in a hundred ways of which users care for three. Let z be whitened features of items, T their
covariance over the training interactions, and B the covariance between two different items of the same user. Then
``W = T^-1 B T^-1`` is the bilinear form that best predicts one chosen item from another in the least-squares sense
(the between-class form of linear discriminant analysis, the classes being users; compare probabilistic LDA, Prince
and Elder, ICCV 2007). Its leading eigenvectors, scaled, are the vectors kept here: the product of two items' vectors
says how much choosing one speaks for the other. Everything is closed form and needs no pair of items, so items that
nobody has chosen yet have a place like all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_core.types import Bool, Float32, Float64, Interactions
from reasonrec_profile.projection import Projection

RANK = 32
RIDGE = 1.0  # of the mean diagonal of T
USERS_AT_ONCE = 4096


class PreferenceDirections(NamedTuple):
    """Items in the directions in which users agree.

    Attributes:
        vectors: float32[n_items, r], 0 where the modality is missing.
        projection: from features to vectors.
    """

    vectors: Float32
    projection: Projection


@dataclass(frozen=True)
class UserAgreement:
    """Whitened features and how they agree within users.

    Attributes:
        name: of the modality.
        whitened: float32[n_items, d], components in falling order of variance, 0 where the modality is missing.
        whitening: from features to ``whitened``.
        total: float64[d, d] covariance over the training interactions.
        between: float64[d, d] covariance between different items of one user.
    """

    name: str
    whitened: Float32
    whitening: Projection
    total: Float64
    between: Float64

    def directions(self, dimensions: int) -> PreferenceDirections:
        """The leading directions in which users agree, of the first ``dimensions`` components.

        Few components keep to what items share; with nearly as many as there are items, single items could be told
        apart, and the vectors would only repeat who chose what.
        """
        d = min(dimensions, self.whitened.shape[1])
        total, between = self.total[:d, :d], self.between[:d, :d]
        inverse = np.linalg.inv(total + RIDGE * max(float(np.trace(total)) / d, 1e-12) * np.eye(d))
        values, axes = np.linalg.eigh(inverse @ between @ inverse)
        kept = np.argsort(-values)[:RANK]
        kept = kept[values[kept] > 1e-12]
        leading = (axes[:, kept] * np.sqrt(values[kept])).astype(np.float32)
        vectors = np.ascontiguousarray(self.whitened[:, :d] @ leading, dtype=np.float32)
        whitening = self.whitening
        assert whitening.axes is not None
        assert whitening.offset is not None
        return PreferenceDirections(
            vectors, Projection(whitening.mean, whitening.axes[:, :d] @ leading, whitening.offset[:d] @ leading)
        )


def measure_agreement(
    name: str, features: Float32, present: Bool, train: Interactions, n_users: int, dimensions: int
) -> UserAgreement | None:
    """Measure how the features of the items that one user chose agree; None where too little is there to measure.

    Args:
        name: of the modality.
        features: float32[n_items, d]; rows that are not ``present`` are ignored.
        present: bool[n_items].
        train: training interactions.
        n_users: users have indices below this.
        dimensions: at most this many principal components.
    """
    known = np.flatnonzero(present)
    seen = present[train.items]
    if len(known) < 3 or not seen.any():
        return None
    shape = (n_users, len(features))
    chosen = sparse.csr_matrix((np.ones(int(seen.sum()), np.float32), (train.users[seen], train.items[seen])), shape)
    counts = np.asarray(chosen.sum(axis=0)).ravel()
    whitened, mean, axes = _whiten(features, known, min(dimensions, len(known) - 1))
    usual = (counts[:, None] * whitened).sum(axis=0) / counts.sum()
    whitened[known] -= usual
    total = (whitened * (counts / counts.sum())[:, None]).T @ whitened
    between = _between(chosen, whitened)
    if between is None:
        return None
    whitening = Projection(mean, axes, usual.astype(np.float32))
    return UserAgreement(name, whitened, whitening, total.astype(np.float64), between)


def _whiten(features: Float32, known: npt.NDArray[np.intp], dimensions: int) -> tuple[Float32, Float32, Float32]:
    """float32[n_items, d] whitened features, float32[D] their mean and float32[D, d] the axes."""
    values = np.asarray(features[known], dtype=np.float32)
    mean = values.mean(axis=0)
    values = values - mean
    variance, axes = np.linalg.eigh((values.T @ values).astype(np.float64) / len(values))
    kept = np.argsort(-variance)[:dimensions]
    kept = kept[variance[kept] > 1e-7 * max(float(variance.max()), 1e-30)]
    whitened = np.zeros((len(features), len(kept)), dtype=np.float32)
    leading = (axes[:, kept] / np.sqrt(variance[kept])).astype(np.float32)
    whitened[known] = values @ leading
    return whitened, mean, leading


def _between(chosen: sparse.csr_matrix, whitened: Float32) -> Float64 | None:
    """Mean of ``z_i z_j'`` over the pairs i != j of each user, every user's items counting alike.

    ``sum_u (s_u s_u' - sum_i z_i z_i') / (L_u - 1)`` with ``s_u`` the user's summed vectors, so no pair is listed.
    """
    lengths = np.asarray(chosen.sum(axis=1)).ravel()
    users = np.flatnonzero(lengths > 1)
    if not len(users):
        return None
    total = np.zeros((whitened.shape[1], whitened.shape[1]), dtype=np.float64)
    for start in range(0, len(users), USERS_AT_ONCE):
        some = users[start : start + USERS_AT_ONCE]
        weight = (1.0 / (lengths[some] - 1.0)).astype(np.float32)
        summed = np.asarray(chosen[some] @ whitened)
        total += (summed * weight[:, None]).T @ summed
        items = np.asarray(chosen[some].T @ weight).ravel()
        total -= (whitened * items[:, None]).T @ whitened
    return np.asarray(total / lengths[users].sum())
