"""The trained networks, asked: item vectors, states of histories, beliefs about the next item's labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from reasonrec_profile.api import HistoryWeights, ItemField
from reasonrec_torch.item_features import FeatureProjection, make_item_inputs
from scipy import sparse

from reasonrec_chain.network_arrays import NetworkArrays
from reasonrec_core.types import Float32, History, Observation, indptr_of

COUNTS_IN_FULL = 0.5
"""A history entry that counts for less is not read."""
Tables = tuple[Float32, ...]


@dataclass(frozen=True)
class SequenceModel:
    """Networks as arrays.

    Several networks that differ in their seed answer by the mean of their logits, which is one product with their
    tables side by side (a deep ensemble; Lakshminarayanan et al., 2017).

    Attributes:
        networks: M, trained.
        views: how features become inputs.
        counts: float32[n], training interactions of each item; 0 for items that came later.
        fields: whose labels the networks read and infer.
    """

    networks: tuple[NetworkArrays, ...]
    views: tuple[FeatureProjection, ...]
    counts: Float32
    fields: tuple[ItemField, ...]

    def tables(self, observation: Observation) -> tuple[Tables, Float32]:
        """The items as ``observation`` shows them.

        Returns:
            per network float32[n, d]; and float32[M d + 1, n], of whose product with states (and a 1 below them) the
            mean logits come: all vectors / M and, as last row, the mean biases.
        """
        members = tuple(list_shown_labels(field, observation) for field in self.fields)
        inputs = make_item_inputs(self.counts, self.views, members, observation)
        made = [network.table(inputs) for network in self.networks]
        rows = [vectors.T for vectors, _ in made] + [
            np.stack([bias for _, bias in made]).sum(axis=0, keepdims=True, dtype=np.float32)
        ]
        joint = np.concatenate(rows)
        joint /= np.float32(len(made))
        return tuple(vectors for vectors, _ in made), joint

    def states(self, evidence: HistoryWeights, tables: Tables) -> Float32:
        """float32[B, M d] after each history, as each network sees it; all zero where nothing counts."""
        history = select_history(evidence)
        if not len(history):
            return np.zeros((0, len(self.networks) * self.networks[0].config.dimensions), np.float32)
        parts = [each.last_states(table, history) for each, table in zip(self.networks, tables, strict=True)]
        found = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        found[history.lengths == 0] = 0.0
        return found

    def beliefs(self, states: Float32) -> tuple[Float32, ...]:
        """Per field float32[B, L], P(label of the next item)."""
        parts = np.split(states, len(self.networks), axis=1)
        every = [network.beliefs(part) for network, part in zip(self.networks, parts, strict=True)]
        return tuple(np.mean(field, axis=0, dtype=np.float32) for field in zip(*every, strict=True))


def list_shown_labels(field: ItemField, observation: Observation) -> sparse.csr_matrix:
    """float32 CSR[n, L]: the field's membership, empty for items whose labels cannot be seen now."""
    visible = field.shown(observation)
    if visible is None or visible.all():
        return field.membership
    shown: sparse.csr_matrix = field.membership.multiply(visible[:, None]).tocsr()
    shown.eliminate_zeros()
    return shown


def select_history(evidence: HistoryWeights) -> History:
    """The history entries that count."""
    history, kept = evidence.history, evidence.relevance >= COUNTS_IN_FULL
    if kept.all():
        return history
    lengths = np.bincount(history.rows[kept], minlength=len(history))
    indptr = indptr_of(lengths)
    return History(indptr, history.items[kept], history.times[kept], history.skipped)
