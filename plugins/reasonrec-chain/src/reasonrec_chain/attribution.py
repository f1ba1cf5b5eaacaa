"""Which history entries the best item's probability came from: leave one out, through every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_chain.model import ChainModel
from reasonrec_chain.propose import rows_at_once
from reasonrec_chain.think import ranked, think
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.types import Edits, Float32, Observation, QueryBatch


def attribute(
    model: ChainModel,
    batch: QueryBatch,
    evidence: Evidence,
    observation: Observation,
    reach: int,
    edits: Edits | None = None,
) -> Float32:
    """float32[L]: by how much ignoring an entry lowers the probability of its query's best item, at least 0.

    Args:
        model: fitted.
        batch: B queries with L history entries.
        evidence: of all of them.
        observation: what can be seen now.
        reach: entries older than this many newest ones are read by no step, so they have no part in the answer.
        edits: of the answer that is looked at.
    """
    votes = np.zeros(len(evidence.history.items), np.float32)
    base = evidence.history.indptr[0]
    for row in range(len(batch)):
        low, high = int(evidence.history.indptr[row] - base), int(evidence.history.indptr[row + 1] - base)
        first = max(low, high - reach)
        counting = first + np.flatnonzero(evidence.relevance[first:high] > 0)
        if not len(counting):
            continue
        copies = np.full(len(counting) + 1, row, np.intp)
        queries = replace(batch.take(copies), k=1)
        relevance = np.tile(evidence.relevance[low:high], (len(copies), 1))
        relevance[np.arange(len(counting)), counting - low] = 0.0
        without = Evidence(queries.history, relevance.ravel(), evidence.longest)
        assumed = None if edits is None else Edits(assume={n: v[copies] for n, v in edits.assume.items()})
        votes[counting] = _losses(model, queries, without, observation.take(copies), assumed)
    return votes


def _losses(
    model: ChainModel, queries: QueryBatch, evidence: Evidence, observation: Observation, edits: Edits | None
) -> Float32:
    """float32[copies - 1]: what the last copy's best item loses in each of the others."""
    scene = model.experts.scene(observation)
    states = model.experts.sequence.states(evidence, scene.tables)
    size, best = rows_at_once(len(model.experts.popularity)), -1
    mass: list[Float32] = []
    starts = list(range(0, len(queries), size))
    for start in reversed(starts):  # the last copy is the answer itself: it names the item
        stop = min(start + size, len(queries))
        some = np.arange(start, stop)
        given = None if edits is None else Edits(assume={n: v[some] for n, v in edits.assume.items()})
        thought = think(
            model, queries.slice(start, stop), evidence.slice(start, stop), states[start:stop],
            scene, observation.horizon[start:stop], given,
        )  # fmt: skip
        if best < 0:
            last = ranked(thought, queries.slice(start, stop), len(model.experts.popularity))[0]
            best = int(last.items[-1, 0]) if last.items.shape[1] else -1
            if best < 0:
                return np.zeros(len(queries) - 1, np.float32)
        found = np.where(thought.proposals.items == best, thought.mass, np.float32(0)).max(axis=1, initial=0.0)
        mass.insert(0, found)
    every = np.concatenate(mass)
    return np.asarray(np.maximum(every[-1] - every[:-1], 0.0), np.float32)
