"""Step *propose*: what each expert would offer, from the evidence and the inference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from reasonrec_transitions.api import TransitionParameters
from scipy import sparse

from reasonrec_core.types import Bool, Float32, Observation, QueryBatch
from reasonrec_profile.history_weights import AgeDecay, HistoryWeights
from reasonrec_profile.infer import (
    Inference,
    compute_likelihood_ratio,
    compute_total_likelihood_ratio,
    list_history_pairs,
)
from reasonrec_profile.projection import Projection

AFFINITY, POPULARITY = "affinity", "popularity"
CELLS = 1 << 20


def choose_chunk_size(n_items: int) -> int:
    """Queries per chunk, so that one array over the catalogue stays near 4 MB: it fits a cache, however many items."""
    return max(1, min(256, CELLS // max(n_items, 1)))


@dataclass(frozen=True)
class Expert:
    """An expert that looks from history items to other items.

    Attributes:
        name: "transitions", or the modality whose features it compares.
        matrix: float32 CSR[n_items, n_items], row = history item, column = what it speaks for.
        fade: how history entries lose weight with age.
        shrinkage: evidence that is worth half of the expert's weight; see `ExpertProposals`.
        modality: whose items it needs, or None.
        projection: from the modality's features to the space in which it compares items.
        counting: how the matrix was counted, None where it compares features.
    """

    name: str
    matrix: sparse.csr_matrix
    fade: AgeDecay
    shrinkage: float = 0.0
    modality: str | None = None
    projection: Projection | None = None
    counting: TransitionParameters | None = None

    def present(self, observation: Observation) -> Bool | None:
        """bool[n_items] of the items whose modality can be seen now; None where it needs none."""
        if self.modality is None:
            return None
        absent = np.zeros(self.matrix.shape[0], dtype=np.bool_)
        return observation.present.get(self.modality, absent)


@dataclass(frozen=True)
class ExpertProposals:
    """What the experts offer, over the catalogue or over the candidates (columns).

    Attributes:
        names: E experts: the item-to-item ones, then affinity and popularity.
        scores: per expert float32[B, n_items] or [B, C], not negative; 0 for masked and padded columns.
        totals: per expert float32[B], the sum of its scores over all items that are not in the history, so that a
            candidate's ``p_e`` is what it would be in the whole catalogue.
        shrinkage: per expert; expert e speaks with ``p_e(i) = score_e(i) / (total_e + shrinkage_e)``, so that one
            with little evidence behind it speaks softly.
        ratios: per field float32 like ``scores``, how much likelier the item's labels are than usual.
    """

    names: tuple[str, ...]
    scores: tuple[Float32, ...]
    totals: tuple[Float32, ...]
    shrinkage: tuple[float, ...]
    ratios: tuple[Float32, ...]

    def normaliser(self, expert: int) -> Float32:
        """float32[B]: what turns expert ``expert``'s scores into ``p_e``; 0 where it has nothing to say."""
        whole = self.totals[expert] + np.float32(self.shrinkage[expert])
        return np.asarray(np.divide(np.float32(1.0), whole, out=np.zeros_like(whole), where=whole > 0))


def propose(
    batch: QueryBatch,
    evidence: HistoryWeights,
    inference: Inference,
    observation: Observation,
    experts: tuple[Expert, ...],
    popularity: Float32,
) -> ExpertProposals:
    """Ask every expert.

    Args:
        batch: the queries; its candidates, where it has them, are the columns, else the whole catalogue is.
        evidence: what the item-to-item experts look from.
        inference: what the affinity expert draws from: ``popularity(i)`` times the mean of its likelihood ratios.
        observation: what is present now; an expert whose modality is absent stays silent.
        experts: the item-to-item experts.
        popularity: float32[n_items], sums to 1 and is positive everywhere.
    """
    votes = [_votes(expert, batch, evidence, observation) for expert in experts]
    pairs = list(zip(inference.beliefs, inference.fields, strict=True))
    ratios = tuple(compute_likelihood_ratio(belief, field, observation, batch.candidates) for belief, field in pairs)
    prior = _columns(popularity, batch)
    scores = [*(score for score, _ in votes), _affinity(prior, ratios), prior]
    for score in scores[len(votes) :]:
        _mask(score, batch)
    names = (*(e.name for e in experts), AFFINITY, POPULARITY)
    shrinkage = (*(e.shrinkage for e in experts), 0.0, 0.0)
    totals = [total for _, total in votes]
    if batch.candidates is None:
        totals += [score.sum(axis=1) for score in scores[len(votes) :]]
    else:
        each = [
            compute_total_likelihood_ratio(belief, field, observation, popularity, batch.history)
            for belief, field in pairs
        ]
        totals.append(np.mean(each, axis=0) if each else np.zeros(len(batch), np.float32))
        rows, items = list_history_pairs(batch.history, len(popularity))
        known = np.bincount(rows, popularity[items], minlength=len(batch))
        totals.append((float(popularity.sum()) - known).astype(np.float32))
    return ExpertProposals(names, tuple(scores), tuple(totals), shrinkage, ratios)


def _votes(
    expert: Expert, batch: QueryBatch, evidence: HistoryWeights, observation: Observation
) -> tuple[Float32, Float32]:
    """The columns' votes, and float32[B] the sum over all items that are not in the history."""
    n_items = expert.matrix.shape[0]
    present = expert.present(observation)
    votes: Float32 = (evidence.matrix(expert.fade, n_items, present) @ expert.matrix).toarray()
    if present is not None and not present.all():
        votes[:, ~present] = 0.0
    chosen = votes
    if batch.candidates is not None:
        chosen = np.take_along_axis(votes, np.maximum(batch.candidates, 0), axis=1)
        chosen[batch.candidates < 0] = 0.0
    votes[batch.history.rows, batch.history.items] = 0.0
    return chosen, votes.sum(axis=1)


def _affinity(prior: Float32, ratios: tuple[Float32, ...]) -> Float32:
    if not ratios:
        return np.zeros_like(prior)
    mean = ratios[0].copy()
    for ratio in ratios[1:]:
        mean += ratio
    mean *= prior / np.float32(len(ratios))
    return mean


def _columns(popularity: Float32, batch: QueryBatch) -> Float32:
    if batch.candidates is None:
        return np.tile(popularity, (len(batch), 1))
    return popularity[np.maximum(batch.candidates, 0)]


def _mask(scores: Float32, batch: QueryBatch) -> None:
    """Nothing for padding, nor, where the whole catalogue is ranked, for what the user already has."""
    if batch.candidates is not None:
        scores[batch.candidates < 0] = 0.0
    else:
        scores[batch.history.rows, batch.history.items] = 0.0
