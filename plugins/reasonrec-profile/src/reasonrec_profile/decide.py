"""Steps *weigh* and *decide*: the experts' weights, the ranking, and what each expert and history entry gave to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.ranking import rank
from reasonrec_core.types import Bool, Float32, Int32, Observation, QueryBatch, Ranking
from reasonrec_profile.history_weights import HistoryWeights
from reasonrec_profile.infer import Inference
from reasonrec_profile.propose import Expert, ExpertProposals


@dataclass(frozen=True)
class MixtureWeights:
    """Mixture weights per bucket of the evidence horizon.

    Attributes:
        names: E experts.
        edges: float64[buckets - 1], ascending; a horizon equal to an edge belongs to the colder bucket.
        table: float32[buckets, E], each row sums to 1; row 0 is for the users with the most evidence.
    """

    names: tuple[str, ...]
    edges: npt.NDArray[np.float64]
    table: Float32

    def of(self, horizon: Float32) -> Float32:
        """float32[B, E] for float32[B] evidence horizons."""
        return self.table[np.searchsorted(self.edges, horizon.astype(np.float64), side="right")]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"names": list(self.names), "edges": self.edges.tolist(), "table": self.table.tolist()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> MixtureWeights:
        """What `to_dict` gave."""
        edges = np.array(value["edges"], dtype=np.float64)
        return cls(tuple(value["names"]), edges, np.array(value["table"], dtype=np.float32))


TINY = np.float32(1e-30)
SHARED = 10
"""Items whose mass is told by expert."""


@dataclass(frozen=True)
class RankedMixture:
    """The answer to B queries.

    Attributes:
        ranking: K items; the scores are the masses.
        mass: float32[B, K] P(next item), 0 for padding; a row sums to at most 1.
        shares: float32[B, S, E] part of each of the first S = min(K, 10) items' mass that each expert gave; sums to 1
            over experts.
    """

    ranking: Ranking
    mass: Float32
    shares: Float32


def decide(batch: QueryBatch, inference: Inference, proposals: ExpertProposals, weights: Float32) -> RankedMixture:
    """``P(i) ~ prod_f R_f(i)^b_f * sum_e w_e p_e(i)``, normalised over what may be recommended, best first.

    Args:
        batch: the queries.
        inference: whose exponents ``b_f`` say how strongly each field gates.
        proposals: the experts' scores and the fields' likelihood ratios ``R_f``.
        weights: float32[B, E] mixture weights.
    """
    mixed, allowed, normalisers = mix_proposals(inference, proposals, weights)
    scores = np.where(allowed, mixed, np.float32(-np.inf))
    ranking = rank(scores, batch)
    mass = np.where(ranking.items >= 0, ranking.scores, np.float32(0.0)).astype(np.float32)
    return RankedMixture(ranking, mass, _shares(ranking.items[:, :SHARED], batch, proposals, normalisers))


def mix_proposals(inference: Inference, proposals: ExpertProposals, weights: Float32) -> tuple[Float32, Bool, Float32]:
    """The distribution that `decide` ranks by.

    Returns:
        float32[B, n_items or C] P(next item), 0 for what may not be recommended; bool of the same shape, what may;
        float32[B, E], what turns each expert's scores into its part.
    """
    normalisers = np.stack([proposals.normaliser(e) for e in range(len(proposals.names))], axis=1) * weights
    mixed = proposals.scores[0] * normalisers[:, :1]
    for e, scores in enumerate(proposals.scores[1:], start=1):
        mixed += scores * normalisers[:, e : e + 1]
    allowed = proposals.scores[-1] > 0  # popularity is positive wherever an item may be recommended
    apply_gates(mixed, inference.exponents, proposals.ratios)
    np.maximum(mixed, TINY, out=mixed, where=allowed)
    mixed[~allowed] = 0.0
    total = np.maximum(mixed.sum(axis=1, keepdims=True), TINY)
    mixed /= total
    return mixed, allowed, normalisers


def apply_gates(mixed: Float32, exponents: Float32, ratios: tuple[Float32, ...]) -> None:
    """Multiply ``mixed`` in place by ``prod_f R_f^b_f``; fields with exponent 0 for all queries cost nothing."""
    used = [f for f in range(len(ratios)) if exponents[:, f].any()]
    if not used:
        return
    log = np.log(ratios[used[0]]) * exponents[:, used[0], None]
    for f in used[1:]:
        log += np.log(ratios[f]) * exponents[:, f, None]
    mixed *= np.exp(np.clip(log, -60.0, 60.0, out=log), out=log)


def _shares(items: Int32, batch: QueryBatch, proposals: ExpertProposals, normalisers: Float32) -> Float32:
    if batch.candidates is None:
        columns = np.maximum(items, 0)
    else:
        match = (batch.candidates[:, None, :] == items[:, :, None]) & (items[:, :, None] >= 0)
        columns = match.argmax(axis=2).astype(np.int32)
    parts = [np.take_along_axis(s, columns, axis=1) * normalisers[:, e, None] for e, s in enumerate(proposals.scores)]
    stacked = np.stack(parts, axis=2)
    whole = stacked.sum(axis=2, keepdims=True)
    shares = np.divide(stacked, whole, out=np.zeros_like(stacked), where=whole > 0)
    shares[items < 0] = 0.0
    return np.asarray(shares, dtype=np.float32)


def attribute(
    experts: tuple[Expert, ...],
    observation: Observation,
    evidence: HistoryWeights,
    proposals: ExpertProposals,
    weights: Float32,
    decision: RankedMixture,
) -> Float32:
    """float32[L]: how much of the best item's mixed score each entry gave, through the item-to-item experts."""
    total = np.zeros(len(evidence.history.items), dtype=np.float32)
    if not decision.ranking.items.shape[1]:
        return total
    best = decision.ranking.items[:, 0]
    for e, expert in enumerate(experts):
        normaliser = proposals.normaliser(e) * weights[:, e]
        total += compute_entry_votes(expert, evidence, observation, best) * normaliser[evidence.history.rows]
    return total


def compute_entry_votes(expert: Expert, evidence: HistoryWeights, observation: Observation, items: Int32) -> Float32:
    """float32[L]: each entry's vote for its query's item, int32[B] (-1 = none: no votes)."""
    history = evidence.history
    targets = items[history.rows]
    known = np.flatnonzero(targets >= 0)
    present = expert.present(observation)
    if present is not None:
        known = known[present[history.items[known]] & present[targets[known]]]
    found: npt.NDArray[np.float32] = np.zeros(len(history.items), dtype=np.float32)
    if len(known):
        found[known] = np.asarray(expert.matrix[history.items[known], targets[known]]).ravel()
    return np.asarray(found * evidence.weights(expert.fade), dtype=np.float32)
