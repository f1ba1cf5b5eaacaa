"""The trained networks, asked: states of histories, beliefs about the next item's labels, scores of items."""

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
    """Networks in evaluation mode, on the CPU, with the item tables of the features that were last seen.

    Several networks that differ in their seed answer by the mean of their logits, which is one product with their
    tables side by side (a deep ensemble; Lakshminarayanan et al., 2017).

    Attributes:
        networks: M, trained.
        views: how features become inputs.
        counts: float32[n], training interactions of each item.
        memberships: per field float32 CSR[n, L].
    """

    networks: tuple[Network, ...]
    views: tuple[View, ...]
    counts: Float32
    memberships: tuple[sparse.csr_matrix, ...]
    _seen: tuple[object, ...] = field(default=(), repr=False)
    _tables: tuple[torch.Tensor, ...] = field(default=(), repr=False)
    _joint: tuple[torch.Tensor, torch.Tensor] | None = field(default=None, repr=False)

    @torch.no_grad()
    def table(self, observation: Observation) -> tuple[torch.Tensor, torch.Tensor]:
        """float[n, M d] item vectors and float[n] mean biases, made anew only where the features are other arrays."""
        seen = tuple(a for v in self.views for a in self._arrays(v, observation))
        same = len(seen) == len(self._seen) and all(a is b for a, b in zip(seen, self._seen, strict=True))
        if self._joint is None or not same:
            inputs = item_inputs(self.counts, self.views, self.memberships, observation)
            made = []
            for network in self.networks:
                network.inputs = inputs
                made.append(network.eval().table())
            self._tables, self._seen = tuple(vectors for vectors, _ in made), seen
            bias = torch.stack([bias for _, bias in made]).mean(dim=0)
            self._joint = torch.cat(self._tables, dim=1).contiguous(), bias
        return self._joint

    @staticmethod
    def _arrays(view: View, observation: Observation) -> tuple[object, object]:
        return observation.features.get(view.modality), observation.present.get(view.modality)

    def states(self, evidence: Evidence, observation: Observation) -> Float32:
        """float32[B, M d] after each history, as each network sees it; all zero where nothing counts."""
        history, config = read(evidence), self.networks[0].config
        if not len(history):
            return np.zeros((0, len(self.networks) * config.dimensions), np.float32)
        self.table(observation)
        pairs = zip(self.networks, self._tables, strict=True)
        parts = [last_states(network, table, history, config.max_history) for network, table in pairs]
        found = np.concatenate(parts, axis=1)
        found[history.lengths == 0] = 0.0
        return found

    @torch.no_grad()
    def beliefs(self, states: Float32) -> tuple[Float32, ...]:
        """Per field float32[B, L], P(label of the next item)."""
        parts = torch.from_numpy(states).chunk(len(self.networks), dim=1)
        every = [network.beliefs(part) for network, part in zip(self.networks, parts, strict=True)]
        return tuple(torch.stack(field).exp().mean(dim=0).numpy() for field in zip(*every, strict=True))

    @torch.no_grad()
    def logits(self, states: Float32, observation: Observation) -> Float32:
        """float32[B, n]."""
        table, bias = self.table(observation)
        return torch.addmm(bias, torch.from_numpy(states), table.T, alpha=1 / len(self.networks)).numpy()


def read(evidence: Evidence) -> History:
    """The history entries that count."""
    history, kept = evidence.history, evidence.relevance >= COUNTS_IN_FULL
    if kept.all():
        return history
    lengths = np.bincount(history.rows[kept], minlength=len(history))
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return History(indptr, history.items[kept], history.times[kept], history.skipped)
