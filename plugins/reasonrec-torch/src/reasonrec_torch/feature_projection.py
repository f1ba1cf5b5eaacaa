"""What a network sees of items (`item_features`), as tensors on one device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from reasonrec_core.types import Float32, Observation
from reasonrec_torch.item_features import FeatureProjection, make_item_inputs


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
    made = make_item_inputs(counts, views, memberships, observation)
    return ItemTensors(
        torch.from_numpy(made.counts),
        tuple(torch.from_numpy(v) for v in made.views),
        tuple(torch.from_numpy(p) for p in made.present),
        tuple(_sparse(m) for m in made.members),
    )


def _sparse(matrix: sparse.csr_matrix) -> Tensor:
    coo = matrix.tocoo()
    index = torch.from_numpy(np.stack([coo.row, coo.col]).astype(np.int64))
    values = torch.from_numpy(np.asarray(coo.data, np.float32))
    tensor: Tensor = torch.sparse_coo_tensor(index, values, coo.shape, check_invariants=False).coalesce()
    return tensor
