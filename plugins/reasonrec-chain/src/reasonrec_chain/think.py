"""The steps of one chunk of queries, each computed from the ones before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_chain.gates import Weighed, decide, follow, weigh
from reasonrec_chain.infer import infer
from reasonrec_chain.model import ChainModel
from reasonrec_chain.propose import Proposals, propose
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.builtin.profile.infer import Inference
from reasonrec_core.ranking import rank, top_k
from reasonrec_core.types import Edits, Float32, Observation, QueryBatch, Ranking

LEAST = np.float32(1e-30)
"""Probability of an item that may be recommended, at least: order is kept where a mass underflows."""


@dataclass(frozen=True)
class Thought:
    """What was inferred, proposed, weighed and decided for B queries.

    Attributes:
        inferred: beliefs as the network has them.
        inference: beliefs that counted: the same, but for assumed labels.
        proposals: of the experts.
        weighed: how much everything counted.
        mass: float32[B, C], P(next item) of the pool.
    """

    inferred: Inference
    inference: Inference
    proposals: Proposals
    weighed: Weighed
    mass: Float32


def think(
    model: ChainModel,
    batch: QueryBatch,
    evidence: Evidence,
    states: Float32,
    observation: Observation,
    edits: Edits | None = None,
) -> Thought:
    """infer -> propose -> weigh -> decide, for one chunk of queries with their states."""
    inferred = infer(states, model.experts)
    inference = inferred.assume_labels(edits.assume) if edits is not None and edits.assume else inferred
    proposals = propose(batch, evidence, inference, states, observation, model.experts)
    # What the gates know is what was inferred: an assumption changes what is wanted, not how sure the policy was.
    weighed = follow(weigh(model.gates, proposals, inferred.beliefs, observation.horizon), inference.assumed)
    return Thought(inferred, inference, proposals, weighed, decide(model.gates, proposals, weighed))


def ranked(thought: Thought, batch: QueryBatch) -> tuple[Ranking, Float32]:
    """The best items, and float32[B, K] their mass."""
    allowed = thought.proposals.allowed
    scores = np.where(allowed, np.maximum(thought.mass, LEAST), np.float32(-np.inf))
    if batch.candidates is not None:
        ranking = rank(scores, batch)
    else:
        columns = top_k(scores, batch.k)
        at = np.maximum(columns, 0)
        best = np.take_along_axis(scores, at, axis=1)
        there = (columns >= 0) & np.isfinite(best)
        items = np.where(there, np.take_along_axis(thought.proposals.items, at, axis=1), -1)
        ranking = Ranking(items.astype(np.int32), np.where(there, best, np.float32(-np.inf)))
    mass = np.where(ranking.items >= 0, ranking.scores, np.float32(0.0)).astype(np.float32)
    return ranking, np.where(mass <= LEAST, np.float32(0.0), mass)
