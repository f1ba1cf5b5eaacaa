"""Items' features as a network takes them: those observed, and collaborative ones out of a classical model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from reasonrec_transitions.api import TransitionCounts
from scipy import sparse

from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_core.types import Bool, Float32, Int64, Interactions, Observation

WINDOW, DECAY = 8, 0.8


def collaborative_vectors(train: Interactions, n_items: int, dim: int, seed: int = 0) -> Float32:
    """float32[n_items, 2 * dim] of the training part; NaN for items without interactions.

    Decayed directed transitions ``C_ij``, divided by ``sqrt(c_i c_j)``, factorised by a truncated singular value
    decomposition: an item's left factors say what follows it, its right factors what it follows.

    Args:
        train: sorted by user, oldest first.
        n_items: size of the catalogue.
        dim: factors, at most; a small catalogue has fewer.
        seed: of the randomised decomposition.
    """
    from sklearn.utils.extmath import randomized_svd  # answering needs none of it

    counts = TransitionCounts(train, n_items, WINDOW)
    seen = np.maximum(counts.counts, 1.0)
    scale = sparse.diags(seen**-0.5)
    matrix = (scale @ counts.forward(WINDOW, DECAY) @ scale).tocsr().astype(np.float32)
    rank = min(dim, n_items - 1)
    left, values, right = randomized_svd(matrix, n_components=max(rank, 1), random_state=seed)
    root = np.sqrt(values)
    found = np.zeros((n_items, 2 * dim), np.float32)
    found[:, : len(root)], found[:, dim : dim + len(root)] = left * root, right.T * root
    found[counts.counts == 0] = np.nan
    return found


ROWS_LOOKED_AT = 20_000


@dataclass(frozen=True)
class ItemFeatures:
    """Features of all items, by modality.

    Attributes:
        values: per modality float32[n_items, d], possibly memory-mapped; rows that are not present are not read.
        present: per modality bool[n_items].
    """

    values: Mapping[str, Float32]
    present: Mapping[str, Bool]

    @classmethod
    def of(cls, observation: Observation, modalities: Sequence[str] | None = None) -> ItemFeatures:
        """The features that are named, or all.

        Raises:
            ConfigError: a modality that is not observed.
        """
        names = sorted(observation.features) if modalities is None else list(modalities)
        for name in names:
            if name not in observation.features:
                fix = did_you_mean(name, observation.features) or "The pipeline has no encoder."
                raise ConfigError(f"there are no features called {name!r}", where="modalities", fix=fix)
        return cls(
            {name: observation.features[name] for name in names}, {name: observation.present[name] for name in names}
        )

    def __len__(self) -> int:
        return max((len(rows) for rows in self.present.values()), default=0)

    @property
    def widths(self) -> dict[str, int]:
        """d per modality."""
        return {name: int(values.shape[1]) for name, values in self.values.items()}

    @property
    def any(self) -> Bool:
        """bool[n_items]: which items have at least one modality."""
        found = np.zeros(len(self), np.bool_)
        for rows in self.present.values():
            found |= rows
        return found

    def rows(self, items: Int64) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Per modality float32[n, d] (0 where missing) and bool[n] of the items at int64[n]."""
        found = {}
        for name, values in self.values.items():
            there = self.present[name][items]
            taken = np.zeros((len(items), values.shape[1]), np.float32)
            taken[there] = values[items[there]]
            found[name] = torch.from_numpy(taken), torch.from_numpy(there.copy())
        return found

    def scale(self, name: str, seed: int = 0) -> tuple[Float32, Float32]:
        """Mean and standard deviation of each column, float32[d], over at most `ROWS_LOOKED_AT` present items."""
        there = np.flatnonzero(self.present[name])
        if len(there) > ROWS_LOOKED_AT:
            there = np.sort(np.random.default_rng(seed).choice(there, ROWS_LOOKED_AT, replace=False))
        width = self.widths[name]
        if not len(there):
            return np.zeros(width, np.float32), np.ones(width, np.float32)
        taken = np.asarray(self.values[name][there], np.float64)
        deviation = taken.std(axis=0)
        return taken.mean(axis=0).astype(np.float32), np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)
