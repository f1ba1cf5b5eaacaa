"""Which history entries the best item's probability came from: leave one out, through every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from reasonrec_profile.api import HistoryWeights

from reasonrec_chain.deliberate import ChunkResult, deliberate_chunk, rank_mass
from reasonrec_chain.item_cache import ItemCache
from reasonrec_chain.model import ChainModel
from reasonrec_chain.propose import choose_chunk_size
from reasonrec_core.types import Edits, Float32, Observation, QueryBatch

Index = npt.NDArray[np.intp]


def attribute_entries(
    model: ChainModel,
    batch: QueryBatch,
    evidence: HistoryWeights,
    observation: Observation,
    reach: int,
    edits: Edits | None = None,
    thought: ChunkResult | None = None,
) -> Float32:
    """float32[L]: by how much ignoring an entry lowers the probability of its query's best item, at least 0.

    Args:
        model: fitted.
        batch: B queries with L history entries.
        evidence: of all of them.
        observation: what can be seen now.
        reach: entries older than this many newest ones are read by no step, so they have no part in the answer.
        edits: of the answer that is looked at.
        thought: that answer, where B = 1 and it is at hand.
    """
    votes = np.zeros(len(evidence.history.items), np.float32)
    counting = np.flatnonzero((evidence.relevance > 0) & (evidence.history.ages < reach))
    if not len(counting):
        return votes
    one, cache = replace(batch, k=1), model.experts.cache_items(observation)
    row_of = evidence.history.rows.astype(np.intp)
    best, whole = np.full(len(batch), -1, np.int32), np.zeros(len(batch), np.float32)
    size = choose_chunk_size(cache.n_items)
    asked = np.unique(row_of[counting])
    for start in range(0, len(asked), size):
        rows = asked[start : start + size]
        answer = thought or _again(model, one, evidence, cache, observation.horizon, edits, rows, None)
        ranking, mass = rank_mass(answer, one.take(rows), cache.n_items)
        best[rows], whole[rows] = ranking.items[:, 0], mass[:, 0]
    counting = counting[best[row_of[counting]] >= 0]
    for start in range(0, len(counting), size):
        entries = counting[start : start + size]
        rows = row_of[entries]
        answer = _again(model, one, evidence, cache, observation.horizon, edits, rows, entries)
        of_best = np.where(answer.proposals.items == best[rows][:, None], answer.mass, np.float32(0))
        votes[entries] = np.maximum(whole[rows] - of_best.max(axis=1, initial=0.0), 0.0)
    return votes


def _again(
    model: ChainModel,
    batch: QueryBatch,
    evidence: HistoryWeights,
    cache: ItemCache,
    horizon: Float32,
    edits: Edits | None,
    rows: Index,
    without: Index | None,
) -> ChunkResult:
    """The queries at ``rows`` thought about again, each ignoring one entry if ``without`` names it."""
    queries = batch.take(rows)
    entries = np.arange(len(evidence.history.items), dtype=np.int32)
    source = replace(evidence.history, items=entries).take(rows).items
    relevance = evidence.relevance[source]
    if without is not None:
        relevance[source == np.repeat(without, queries.history.lengths)] = 0.0
    part = HistoryWeights(queries.history, relevance, evidence.longest)
    states = model.experts.sequence.states(part, cache.tables)
    assumed = None if edits is None else Edits(assume={name: labels[rows] for name, labels in edits.assume.items()})
    return deliberate_chunk(model, queries, part, states, cache, horizon[rows], assumed)
