"""Step *propose*: each expert's best items form a pool, and every expert says how likely each item of it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_chain.labels import LabelSlots, label_ratios
from reasonrec_chain.sequence import SequenceModel
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.builtin.profile.infer import Inference, distinct
from reasonrec_core.builtin.profile.propose import AFFINITY, POPULARITY, Expert
from reasonrec_core.ranking import top_k
from reasonrec_core.types import Bool, Float32, Int32, Observation, QueryBatch

SEQUENCE = "sequence"
FLOOR = np.float32(1e-6)


@dataclass(frozen=True)
class Experts:
    """Who proposes.

    Attributes:
        sequence: the trained network.
        links: the item-to-item experts, counted.
        popularity: float32[n_items], sums to 1, positive.
        slots: the inferred fields.
        names: E experts that are asked, in the order of `Proposals.shares`.
        depth: items that each puts into the pool.
    """

    sequence: SequenceModel
    links: tuple[Expert, ...]
    popularity: Float32
    slots: tuple[LabelSlots, ...]
    names: tuple[str, ...]
    depth: int


@dataclass(frozen=True)
class Proposals:
    """What the experts offer.

    Attributes:
        names: E experts.
        items: int32[B, C], the pool of each query, ascending, -1 pads on the right; or the candidates as given.
        shares: float32[B, E, C], P(next item) as each expert sees it; 0 for padding. Over the whole catalogue an
            expert's shares sum to at most 1.
        totals: float32[B, E], how much evidence is behind each expert: its votes before they became shares.
        ratios: float32[B, F, C], log of how much likelier the item's labels are than usual, per inferred field.
    """

    names: tuple[str, ...]
    items: Int32
    shares: Float32
    totals: Float32
    ratios: Float32

    @property
    def allowed(self) -> Bool:
        """bool[B, C]: no padding."""
        return np.asarray(self.items >= 0)


def rows_at_once(n_items: int) -> int:
    """Queries per chunk, so that an array over the catalogue stays near 4 MB."""
    return max(1, min(256, (1 << 20) // max(n_items, 1)))


def propose(
    batch: QueryBatch,
    evidence: Evidence,
    inference: Inference,
    states: Float32,
    observation: Observation,
    experts: Experts,
) -> Proposals:
    """Ask every expert, for one chunk of queries.

    Args:
        batch: whose candidates, where it has them, are the pool.
        evidence: what the counted experts look from.
        inference: what the affinity expert draws from.
        states: float32[B, d], the sequence model's.
        observation: what is present now.
        experts: who is asked.
    """
    votes: list[Float32] = []
    totals: list[Float32] = []
    masked = batch.candidates is None  # the whole catalogue is ranked: nothing that the user has
    rows, known = batch.history.rows, batch.history.items
    if SEQUENCE in experts.names:
        logits = experts.sequence.logits(states, observation)
        if masked:
            logits[rows, known] = -np.inf
        votes.append(logits)
        totals.append(_log_sum(logits))
    for link in experts.links:
        found = _linked(link, evidence, observation)
        if masked:
            found[rows, known] = 0.0
        votes.append(found)
        totals.append(found.sum(axis=1))
    items = batch.candidates if batch.candidates is not None else _pool(votes, inference, batch, observation, experts)
    at = np.maximum(items, 0)
    ratios = label_ratios(inference, experts.slots, items, observation)
    shares: list[Float32] = []
    if SEQUENCE in experts.names:
        shares.append(np.exp(np.take_along_axis(votes[0], at, axis=1) - totals[0][:, None]))
    for found, total in zip(votes[len(shares) :], totals[len(shares) :], strict=True):
        voice = np.divide(np.float32(1), total, out=np.zeros_like(total), where=total > 0)
        shares.append(np.take_along_axis(found, at, axis=1) * voice[:, None])
    left = 1.0 - _popularity_of_history(batch, experts.popularity) if masked else np.ones(len(batch), np.float32)
    prior = experts.popularity[at] / np.maximum(left, FLOOR)[:, None].astype(np.float32)
    if AFFINITY in experts.names:
        mean = np.exp(ratios).mean(axis=1) if ratios.shape[1] else np.ones_like(prior)
        shares.append(prior * mean)
        totals.append(left)
    if POPULARITY in experts.names:
        shares.append(prior)
        totals.append(left)
    stacked = np.stack(shares, axis=1).astype(np.float32)
    stacked *= (items >= 0)[:, None, :]
    return Proposals(experts.names, items, stacked, np.stack(totals, axis=1).astype(np.float32), ratios)


def _pool(
    votes: list[Float32], inference: Inference, batch: QueryBatch, observation: Observation, experts: Experts
) -> Int32:
    """int32[B, C]: the union of each expert's best items, ascending, -1 pads on the right.

    Where labels were assumed, the items that carry them are wanted, however unlikely they were: they enter by the
    first expert's votes among them.
    """
    n = len(experts.popularity)
    depth = min(n, max(experts.depth, batch.k))
    asked = SEQUENCE in experts.names
    best = [_top(found, depth, -np.inf if asked and e == 0 else 0.0) for e, found in enumerate(votes)]
    popular = np.tile(experts.popularity, (len(batch), 1))
    popular[batch.history.rows, batch.history.items] = 0.0
    best.append(_top(popular, min(depth, batch.k)))
    edited = np.flatnonzero((inference.assumed >= 0).any(axis=1))
    if len(edited):
        everything = np.tile(np.arange(n, dtype=np.int32), (len(edited), 1))
        one = inference.take(edited)
        wanted = label_ratios(one, experts.slots, everything, observation)
        wanted = np.where((one.assumed >= 0)[:, :, None], wanted, 0.0).sum(axis=1)
        base = votes[0] if asked else np.log(popular + np.float32(1e-30))
        more = np.full((len(batch), depth), -1, np.int32)
        more[edited] = _top((base[edited] + wanted).astype(np.float32), depth, -np.inf)
        best.append(more)
    pool = np.concatenate(best, axis=1)
    pool.sort(axis=1)
    pool[:, 1:][pool[:, 1:] == pool[:, :-1]] = -1
    order = np.argsort(pool < 0, axis=1, kind="stable")
    width = max(1, int((pool >= 0).sum(axis=1).max(initial=1)))
    return np.asarray(np.take_along_axis(pool, order, axis=1)[:, :width], np.int32)


def _top(votes: Float32, depth: int, least: float = 0.0) -> Int32:
    """int32[B, depth]: the items with most votes, -1 for those with ``least`` or fewer."""
    best = top_k(votes, depth)
    found = np.take_along_axis(votes, np.maximum(best, 0), axis=1)
    return np.where((best >= 0) & (found > least), best, -1).astype(np.int32)


def _linked(link: Expert, evidence: Evidence, observation: Observation) -> Float32:
    """float32[B, n_items]: an item-to-item expert's votes."""
    present = link.present(observation)
    votes: Float32 = (evidence.matrix(link.fade, link.matrix.shape[0], present) @ link.matrix).toarray()
    if present is not None and not present.all():
        votes[:, ~present] = 0.0
    return votes


def _log_sum(logits: Float32) -> Float32:
    """float32[B]: log of the sum of exponentials of each row."""
    top = logits.max(axis=1, initial=-np.inf)
    top = np.where(np.isfinite(top), top, np.float32(0))
    return np.asarray(np.log(np.exp(logits - top[:, None]).sum(axis=1) + np.float32(1e-30)) + top, np.float32)


def _popularity_of_history(batch: QueryBatch, popularity: Float32) -> Float32:
    rows, items = distinct(batch.history, len(popularity))
    return np.asarray(np.bincount(rows, popularity[items], minlength=len(batch)), np.float32)
