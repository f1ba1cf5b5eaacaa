"""The steps of one chunk of queries, each computed from the ones before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from reasonrec_profile.api import HistoryWeights, Inference, list_history_pairs

from reasonrec_chain.gating import GateWeights, compute_mass, follow_assumptions, weigh_experts
from reasonrec_chain.infer import infer
from reasonrec_chain.item_cache import ItemCache
from reasonrec_chain.model import ChainModel
from reasonrec_chain.propose import Proposals, choose_chunk_size, propose
from reasonrec_core.ranking import top_k
from reasonrec_core.types import Bool, Edits, Float32, Observation, QueryBatch, Ranking

LEAST = np.float32(1e-30)
"""Probability of an item that may be recommended, at least: order is kept where a mass underflows."""


@dataclass(frozen=True)
class ChunkResult:
    """What was inferred, proposed, weighed and decided for B queries.

    Attributes:
        inferred: beliefs as they follow from the history.
        inference: beliefs that counted: the same, but for assumed labels.
        proposals: of the experts.
        weighed: how much everything counted.
        mass: float32[B, C], P(next item) of the pool.
        inside: float32[B], what the mixture gives the pool. Candidates keep it as the sum of their masses.
        outside: float32[B], P(the next item is not in the pool); with the masses it sums to 1. Of candidates 0.
    """

    inferred: Inference
    inference: Inference
    proposals: Proposals
    weighed: GateWeights
    mass: Float32
    inside: Float32
    outside: Float32


def deliberate_chunk(
    model: ChainModel,
    batch: QueryBatch,
    evidence: HistoryWeights,
    states: Float32,
    cache: ItemCache,
    horizon: Float32,
    edits: Edits | None = None,
) -> ChunkResult:
    """infer -> propose -> weigh -> decide, for one chunk of queries with their states and evidence horizon."""
    inferred = infer(states, evidence, model.experts, cache)
    inference = inferred.assume_labels(edits.assume) if edits is not None and edits.assume else inferred
    proposals = propose(batch, evidence, inference, states, model.experts, cache, horizon)
    # What the gates know is what was inferred: an assumption changes what is wanted, not how sure the policy was.
    weighed = follow_assumptions(weigh_experts(model.gates, proposals, inferred.beliefs, horizon), inference.assumed)
    mass = compute_mass(model.gates, proposals, weighed)
    inside, outside = mass.sum(axis=1), np.zeros(len(batch), np.float32)
    if batch.candidates is None:
        outside = np.where(has_more_items(proposals, batch, cache), model.out_of_pool(inside, horizon), outside)
        mass *= ((1 - outside) / np.maximum(inside, LEAST))[:, None]
    return ChunkResult(inferred, inference, proposals, weighed, mass, inside, outside)


def has_more_items(proposals: Proposals, batch: QueryBatch, cache: ItemCache) -> Bool:
    """bool[B]: whether the pool leaves out an item that may be recommended."""
    taken = np.bincount(list_history_pairs(batch.history, cache.n_items)[0], minlength=len(batch))
    return np.asarray(proposals.allowed.sum(axis=1) + taken < cache.n_items)


def deliberate_chunks(
    model: ChainModel, cache: ItemCache, batch: QueryBatch, evidence: HistoryWeights, observation: Observation
) -> Iterator[tuple[int, Float32, ChunkResult]]:
    """A chunk of queries at a time: the first one's place, the chunk's states, and what was thought."""
    states = model.experts.sequence.states(evidence, cache.tables)
    for start, piece in batch.chunks(choose_chunk_size(cache.n_items)):
        stop = start + len(piece)
        part, horizon = evidence.slice(start, stop), observation.horizon[start:stop]
        yield start, states[start:stop], deliberate_chunk(model, piece, part, states[start:stop], cache, horizon)


def rank_mass(thought: ChunkResult, batch: QueryBatch, n_items: int) -> tuple[Ranking, Float32]:
    """The best items, and float32[B, K] their mass; K is ``batch.k``, or all that could be ranked if that is less."""
    proposals = thought.proposals
    scores = np.where(proposals.allowed, np.maximum(thought.mass, LEAST), np.float32(-np.inf))
    columns = top_k(scores, batch.k)
    best = np.take_along_axis(scores, columns, axis=1)
    items = np.where(np.isfinite(best), np.take_along_axis(proposals.items, columns, axis=1), np.int32(-1))
    width = min(batch.k, n_items if batch.candidates is None else batch.candidates.shape[1])
    if (more := width - items.shape[1]) > 0:  # the pool is smaller than what is wanted
        items = np.pad(items, ((0, 0), (0, more)), constant_values=-1)
        best = np.pad(best, ((0, 0), (0, more)), constant_values=-np.inf)
    mass = np.where(best <= LEAST, np.float32(0.0), best)
    return Ranking(items.astype(np.int32, copy=False), best), mass
