"""How likely every item is, and how likely drawn networks find it: dropout left on, or the members of an ensemble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from reasonrec_profile.api import HistoryWeights

from reasonrec_chain.deliberate import ChunkResult, deliberate_chunks
from reasonrec_chain.gating import compute_facts
from reasonrec_chain.item_cache import ItemCache
from reasonrec_chain.model import ChainModel
from reasonrec_chain.network_arrays import NetworkArrays
from reasonrec_chain.out_of_pool import OutOfPoolShares
from reasonrec_core.errors import PluginError
from reasonrec_core.types import Float32, Int32, Observation, QueryBatch


def compute_distribution(
    model: ChainModel, batch: QueryBatch, evidence: HistoryWeights, observation: Observation
) -> Float32:
    """float32[B, n_items or C]: the masses of the pool, and what is left spread over the items outside it."""
    cache = model.experts.cache_items(observation)
    width = cache.n_items if batch.candidates is None else batch.candidates.shape[1]
    out = np.zeros((len(batch), width), np.float32)
    for start, states, thought in deliberate_chunks(model, cache, batch, evidence, observation):
        items, part = thought.proposals.items, out[start : start + len(thought.mass)]
        row, column = np.nonzero(thought.proposals.allowed)
        if thought.outside.any():
            shares = OutOfPoolShares.of(model, cache, batch.slice(start, start + len(part)), states, items)
            part[:] = shares.mixed(model.out_of_pool.sequence) * thought.outside[:, None]
        part[row, items[row, column] if batch.candidates is None else column] = thought.mass[row, column]
    return out


def draw_samples(
    model: ChainModel,
    batch: QueryBatch,
    evidence: HistoryWeights,
    observation: Observation,
    items: Int32,
    passes: int,
    seed: int,
) -> Float32:
    """float32[T, B, K], P of int32[B, K] items as each drawn network has it.

    T is the number of members where there are several (a deep ensemble; each is asked without dropout), else
    ``passes`` networks with dropout. A mask is drawn per network and unit and holds for all queries and positions
    (Gal and Ghahramani, NeurIPS 2016, section 4.1), so an answer does not depend on who else is asked. Attention
    weights are not dropped: there are as many as a history has pairs.
    """
    cache = model.experts.cache_items(observation)
    drawn = []
    for one, seen in _drawn(model, cache, passes, seed):
        out = np.zeros(items.shape, np.float32)
        for start, _, thought in deliberate_chunks(one, seen, batch, evidence, observation):
            rows = slice(start, start + len(thought.mass))
            out[rows] = _masses(thought, items[rows])
        drawn.append(out)
    return np.stack(drawn)


def compute_evidence(
    model: ChainModel, batch: QueryBatch, evidence: HistoryWeights, observation: Observation, items: Int32
) -> Float32:
    """float32[B, K + 1] for int32[B, K] items, -1 padded: see `evidential`.

    Raises:
        PluginError: it was not trained.
    """
    if model.strength is None:
        raise PluginError("this chain was not trained to state its evidence", fix="Set evidence.loss.")
    out = np.zeros((len(items), items.shape[1] + 1), np.float32)
    for start, _, thought in deliberate_chunks(
        model, model.experts.cache_items(observation), batch, evidence, observation
    ):
        rows = slice(start, start + len(thought.mass))
        known = compute_facts(thought.proposals, thought.inferred.beliefs, observation.horizon[rows])
        out[rows] = model.strength.evidence(known, _masses(thought, items[rows]))
    return out


def _masses(thought: ChunkResult, items: Int32) -> Float32:
    """float32[B, K]: of int32[B, K] items, 0 for what is not in the pool."""
    same = (items[:, :, None] == thought.proposals.items[:, None, :]) & (items >= 0)[:, :, None]
    return np.asarray(np.where(same, thought.mass[:, None, :], 0).sum(axis=2), np.float32)


def _drawn(model: ChainModel, cache: ItemCache, passes: int, seed: int) -> Iterator[tuple[ChainModel, ItemCache]]:
    """Models of one network each, and the items as that network sees them."""
    networks = model.experts.sequence.networks
    if len(networks) == 1:
        for number in range(passes):
            yield _with(model, networks[0].draw_dropout(seed, number)), cache
        return
    low = 0
    for network, table in zip(networks, cache.tables, strict=True):
        high = low + table.shape[1]
        # The mean's vectors are divided by the number of members; item biases are those of the mean.
        vectors = np.concatenate([cache.vectors[low:high] * np.float32(len(networks)), cache.vectors[-1:]])
        yield _with(model, network), replace(cache, tables=(table,), vectors=vectors)
        low = high


def _with(model: ChainModel, network: NetworkArrays) -> ChainModel:
    experts = model.experts
    return replace(model, experts=replace(experts, sequence=replace(experts.sequence, networks=(network,))))
