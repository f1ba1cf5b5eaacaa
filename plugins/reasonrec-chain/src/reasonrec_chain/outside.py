"""Items that no expert proposed: how likely each is among them, and how often targets turn out to be one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from reasonrec_profile.api import HistoryWeights, TargetPairs

from reasonrec_chain.escape import Escape
from reasonrec_chain.model import ChainModel
from reasonrec_chain.propose import SEQUENCE
from reasonrec_chain.scene import Scene
from reasonrec_chain.think import thoughts
from reasonrec_core.types import Float32, Int32, Observation, QueryBatch


@dataclass(frozen=True)
class Elsewhere:
    """P(item | outside the pool) of B queries; 0 in the pool and for what may not be recommended.

    Attributes:
        sequence: float32[B, n], as the trained network sees it; None where it is not asked.
        popularity: float32[B, n].
    """

    sequence: Float32 | None
    popularity: Float32

    @classmethod
    def of(cls, model: ChainModel, scene: Scene, batch: QueryBatch, states: Float32, pool: Int32) -> Elsewhere:
        """For one chunk of queries with their states and int32[B, C] pools, -1 padded."""
        row, column = np.nonzero(pool >= 0)
        gone = np.zeros((len(batch), scene.n_items), np.bool_)
        gone[row, pool[row, column]] = True
        gone[batch.history.rows, batch.history.items] = True
        prior = np.tile(model.experts.popularity, (len(batch), 1))
        prior[gone] = 0.0
        prior /= np.maximum(prior.sum(axis=1, keepdims=True), np.float32(1e-30))
        if SEQUENCE not in model.experts.names:
            return cls(None, prior)
        logits = scene.logits(states, np.empty((len(batch), scene.n_items), np.float32))
        logits[gone] = -np.inf
        top = logits.max(axis=1, keepdims=True, initial=-np.inf)
        found = np.exp(logits - np.where(np.isfinite(top), top, np.float32(0)))
        return cls(found / np.maximum(found.sum(axis=1, keepdims=True), np.float32(1e-30)), prior)

    def mixed(self, share: float) -> Float32:
        """float32[B, n]: the sequence expert's in ``share``, the rest popularity's."""
        if self.sequence is None:
            return self.popularity
        return np.asarray(np.float32(share) * self.sequence + np.float32(1 - share) * self.popularity)


def learn_escape(model: ChainModel, targets: TargetPairs, evidence: HistoryWeights, observation: Observation) -> Escape:
    """From P validation pairs with their evidence; ``observation`` holds the P horizons."""
    scene, queries = model.experts.scene(observation), replace(targets.queries, k=1)  # no list widens the pool
    inside, outside = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    sequence, popularity = [np.zeros(0)], [np.zeros(0)]
    for start, states, thought in thoughts(model, scene, queries, evidence, observation):
        wanted, pool = targets.targets[start : start + len(states)], thought.proposals.items
        missed = ~(pool == wanted[:, None]).any(axis=1)
        inside.append(thought.inside)
        outside.append(missed)
        row = np.flatnonzero(missed)
        if len(row):
            some, at = queries.slice(start, start + len(states)).take(row), np.arange(len(row))
            there = Elsewhere.of(model, scene, some, states[row], pool[row])
            popularity.append(there.popularity[at, wanted[row]].astype(np.float64))
            sequence.append(there.mixed(1.0)[at, wanted[row]].astype(np.float64))
    found = np.concatenate(sequence), np.concatenate(popularity)
    return Escape.fit(np.concatenate(inside), targets.horizon, np.concatenate(outside), *found)
