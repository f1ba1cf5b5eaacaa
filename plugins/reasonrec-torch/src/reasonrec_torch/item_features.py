"""What a network sees of items, as arrays: features in few dimensions, labels, how often they were chosen. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reasonrec_core.types import Bool, Float32, Observation


@dataclass(frozen=True)
class FeatureProjection:
    """One modality's features, centred, on their principal components, scaled to unit variance on average.

    Attributes:
        modality: whose features.
        mean: float32[w].
        basis: float32[w, r], r components, scaled.
    """

    modality: str
    mean: Float32
    basis: Float32

    @classmethod
    def of(cls, modality: str, features: Float32, present: Bool, most: int) -> FeatureProjection:
        """Fit to the items whose features are present; at most ``most`` components."""
        known = np.asarray(features[present], dtype=np.float64)
        if not len(known):
            return cls(modality, np.zeros(features.shape[1], np.float32), np.zeros((features.shape[1], 1), np.float32))
        mean = known.mean(axis=0)
        known = known - mean
        values, vectors = np.linalg.eigh(known.T @ known / len(known))
        order = np.argsort(-values)[: min(most, max(1, len(known) - 1))]
        kept = np.maximum(values[order], 0.0)
        # An eigenvector's sign is arbitrary: the largest entry is made positive, so that runs agree.
        vectors = vectors[:, order]
        vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(order))])
        scale = float(np.sqrt(max(kept.mean(), 1e-12)))
        return cls(modality, mean.astype(np.float32), (vectors / scale).astype(np.float32))

    def __call__(self, observation: Observation) -> tuple[Float32, Bool]:
        """float32[n_items, r], zeros for items that cannot be seen now, and bool[n_items] which can."""
        width = self.basis.shape[1]
        if self.modality not in observation.features:
            n = len(next(iter(observation.present.values()), np.zeros(0)))
            return np.zeros((n, width), np.float32), np.zeros(n, np.bool_)
        present = np.asarray(observation.present[self.modality])
        seen = np.zeros((len(present), width), np.float32)
        known = np.asarray(observation.features[self.modality][present], np.float32)
        seen[present] = (known - self.mean) @ self.basis
        return seen, present


@dataclass(frozen=True)
class TableInputs:
    """All that item representations are computed from.

    Attributes:
        counts: float32[n], training interactions of each item; 0 = cold.
        views: per modality float32[n, r], 0 where missing.
        present: per modality float32[n], 1 where it can be seen, else 0.
        members: per field float32 CSR[n, L], which labels an item carries.
    """

    counts: Float32
    views: tuple[Float32, ...]
    present: tuple[Float32, ...]
    members: tuple[sparse.csr_matrix, ...]


def make_item_inputs(
    counts: Float32,
    views: tuple[FeatureProjection, ...],
    memberships: tuple[sparse.csr_matrix, ...],
    observation: Observation,
) -> TableInputs:
    """The inputs of all items that ``observation`` shows.

    Args:
        counts: float32[n_items].
        views: the modalities.
        memberships: per field float32 CSR[n_items, L].
        observation: what can be seen now.
    """
    seen = [view(observation) for view in views]
    n = len(counts)
    empty = np.zeros(0, np.bool_)
    full = [(v, p) if len(p) == n else (np.zeros((n, v.shape[1]), np.float32), np.resize(empty, n)) for v, p in seen]
    return TableInputs(
        np.asarray(counts, np.float32),
        tuple(v for v, _ in full),
        tuple(p.astype(np.float32) for _, p in full),
        memberships,
    )
