"""The trained network, asked: states of histories, beliefs about the next item's labels, scores of items."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import sparse

from reasonrec_chain.network import Network
from reasonrec_chain.trainable import last_states
from reasonrec_chain.views import View, item_inputs
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.types import Float32, History, Observation

COUNTS_IN_FULL = 0.5
"""A history entry that counts for less is not read."""


@dataclass
class SequenceModel:
    """A network in evaluation mode, on the CPU, with the item table of the features that were last seen.

    Attributes:
        network: trained.
        views: how features become inputs.
        counts: float32[n], training interactions of each item.
        memberships: per field float32 CSR[n, L].
    """

    network: Network
    views: tuple[View, ...]
    counts: Float32
    memberships: tuple[sparse.csr_matrix, ...]
    _seen: tuple[object, ...] = field(default=(), repr=False)
    _table: tuple[torch.Tensor, torch.Tensor] | None = field(default=None, repr=False)

    @torch.no_grad()
    def table(self, observation: Observation) -> tuple[torch.Tensor, torch.Tensor]:
        """float[n, d] item vectors and float[n] biases, made anew only where the features are other arrays."""
        seen = tuple(a for v in self.views for a in self._arrays(v, observation))
        same = len(seen) == len(self._seen) and all(a is b for a, b in zip(seen, self._seen, strict=True))
        if self._table is None or not same:
            self.network.eval()
            self.network.inputs = item_inputs(self.counts, self.views, self.memberships, observation)
            self._table, self._seen = self.network.table(), seen
        return self._table

    @staticmethod
    def _arrays(view: View, observation: Observation) -> tuple[object, object]:
        return observation.features.get(view.modality), observation.present.get(view.modality)

    def states(self, evidence: Evidence, observation: Observation) -> Float32:
        """float32[B, d] after each history; all zero where nothing counts."""
        history = read(evidence)
        if not len(history):
            return np.zeros((0, self.network.config.dimensions), np.float32)
        found = last_states(self.network, self.table(observation)[0], history, self.network.config.max_history)
        found[history.lengths == 0] = 0.0
        return found

    @torch.no_grad()
    def beliefs(self, states: Float32) -> tuple[Float32, ...]:
        """Per field float32[B, L], P(label of the next item)."""
        return tuple(b.exp().numpy() for b in self.network.beliefs(torch.from_numpy(states)))

    @torch.no_grad()
    def logits(self, states: Float32, observation: Observation) -> Float32:
        """float32[B, n]."""
        table, bias = self.table(observation)
        return torch.addmm(bias, torch.from_numpy(states), table.T).numpy()


def read(evidence: Evidence) -> History:
    """The history entries that count."""
    history, kept = evidence.history, evidence.relevance >= COUNTS_IN_FULL
    if kept.all():
        return history
    lengths = np.bincount(history.rows[kept], minlength=len(history))
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return History(indptr, history.items[kept], history.times[kept], history.skipped)
