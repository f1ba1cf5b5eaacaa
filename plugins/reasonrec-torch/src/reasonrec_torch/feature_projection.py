"""What the network sees of items: their features in few dimensions, their labels, how often they were chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

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
class ItemTensors:
    """All that item representations are computed from, as tensors on one device.

    Attributes:
        counts: float[n], training interactions of each item; 0 = cold.
        views: per modality float[n, r], 0 where missing.
        present: per modality float[n], 1 where it can be seen, else 0.
        members: per field sparse float[n, L], which labels an item carries.
    """

    counts: Tensor
    views: tuple[Tensor, ...]
    present: tuple[Tensor, ...]
    members: tuple[Tensor, ...]

    def to(self, device: torch.device) -> ItemTensors:
        """The same on a device."""

        def move(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(t.to(device) for t in tensors)

        return ItemTensors(self.counts.to(device), move(self.views), move(self.present), move(self.members))


def make_item_tensors(
    counts: Float32,
    views: tuple[FeatureProjection, ...],
    memberships: tuple[sparse.csr_matrix, ...],
    observation: Observation,
) -> ItemTensors:
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
    return ItemTensors(
        torch.from_numpy(np.asarray(counts, np.float32)),
        tuple(torch.from_numpy(v) for v, _ in full),
        tuple(torch.from_numpy(p.astype(np.float32)) for _, p in full),
        tuple(_sparse(m) for m in memberships),
    )


def _sparse(matrix: sparse.csr_matrix) -> Tensor:
    coo = matrix.tocoo()
    index = torch.from_numpy(np.stack([coo.row, coo.col]).astype(np.int64))
    values = torch.from_numpy(np.asarray(coo.data, np.float32))
    tensor: Tensor = torch.sparse_coo_tensor(index, values, coo.shape, check_invariants=False).coalesce()
    return tensor
