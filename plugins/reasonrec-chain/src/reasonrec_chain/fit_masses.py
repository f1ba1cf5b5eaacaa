"""What is fitted last, to validation pairs, and changes no ranking: masses outside the pool, strength of evidence."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

import numpy as np
import torch
from reasonrec_clicks.evidence import find_loss
from reasonrec_profile.api import HistoryWeights, TargetPairs
from reasonrec_torch.optimiser import minimise

from reasonrec_chain.config import ChainConfig, EvidenceConfig
from reasonrec_chain.delegate_experts import draw_targets, draw_unseen_targets
from reasonrec_chain.deliberate import deliberate_chunks, rank_mass
from reasonrec_chain.evidential import EvidenceStrength
from reasonrec_chain.gating import compute_facts
from reasonrec_chain.model import ChainModel
from reasonrec_chain.out_of_pool import OutOfPool, OutOfPoolShares
from reasonrec_chain.strength_network import StrengthNetwork
from reasonrec_core.components import FitData
from reasonrec_core.types import Observation

LISTED = 10
ESCAPED = 5000
"""Validation pairs that the probability of an item outside the pool is fitted on."""


def fit_masses(model: ChainModel, config: ChainConfig, data: FitData, targets: TargetPairs | None = None) -> ChainModel:
    """The model with its masses fitted to how often ``data.valid`` has targets outside the pool; ranks do not change.

    Where the settings name an evidential loss, the strength of the evidence is trained, too.

    Args:
        model: fitted.
        config: its settings.
        data: what it was fitted on.
        targets: validation pairs that no expert has seen; by default drawn as `fit_chain` draws them.
    """
    if targets is None:
        if data.valid is None or not len(data.valid.targets):
            return model
        most = config.gates.pairs
        targets = draw_unseen_targets(data, most, 0) if model.experts.delegates else draw_targets(data, most)
    some = targets.take(np.arange(min(len(targets), ESCAPED)))
    evidence = HistoryWeights.of(some.queries.history, config.counted.max_history)
    seen = replace(data.observation, horizon=some.horizon)
    model = replace(model, out_of_pool=fit_out_of_pool(model, some, evidence, seen))
    if model.consulting is not None:
        again = fit_masses(model.consulted, config.model_copy(update={"evidence": EvidenceConfig()}), data)
        model = replace(model, consulting=replace(model.consulting, out_of_pool=again.out_of_pool))
    if not config.evidence.loss:
        return model
    return replace(model, strength=fit_evidence_strength(model, config.evidence, some, evidence, seen, data.seed))


def fit_out_of_pool(
    model: ChainModel, targets: TargetPairs, evidence: HistoryWeights, observation: Observation
) -> OutOfPool:
    """From P validation pairs with their evidence; ``observation`` holds the P horizons."""
    cache, queries = model.experts.cache_items(observation), replace(targets.queries, k=1)  # no list widens the pool
    inside, outside = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    sequence, popularity = [np.zeros(0)], [np.zeros(0)]
    for start, states, thought in deliberate_chunks(model, cache, queries, evidence, observation):
        wanted, pool = targets.targets[start : start + len(states)], thought.proposals.items
        missed = ~(pool == wanted[:, None]).any(axis=1)
        inside.append(thought.inside)
        outside.append(missed)
        row = np.flatnonzero(missed)
        if len(row):
            some, at = queries.slice(start, start + len(states)).take(row), np.arange(len(row))
            there = OutOfPoolShares.of(model, cache, some, states[row], pool[row])
            popularity.append(there.popularity[at, wanted[row]].astype(np.float64))
            sequence.append(there.mixed(1.0)[at, wanted[row]].astype(np.float64))
    found = np.concatenate(sequence), np.concatenate(popularity)
    return OutOfPool.fit(np.concatenate(inside), targets.horizon, np.concatenate(outside), *found)


def fit_evidence_strength(
    model: ChainModel,
    config: EvidenceConfig,
    targets: TargetPairs,
    evidence: HistoryWeights,
    observation: Observation,
    seed: int,
) -> EvidenceStrength:
    """From P validation pairs with their evidence; ``observation`` holds the P horizons."""
    loss = find_loss(config.loss, "evidence.loss")
    cache, queries = model.experts.cache_items(observation), replace(targets.queries, k=LISTED)
    known, masses, happened = [], [], []
    for start, _, thought in deliberate_chunks(model, cache, queries, evidence, observation):
        stop = start + len(thought.mass)
        ranking, mass = rank_mass(thought, queries.slice(start, stop), cache.n_items)
        known.append(compute_facts(thought.proposals, thought.inferred.beliefs, observation.horizon[start:stop]))
        masses.append(mass)
        same = ranking.items == targets.targets[start:stop, None]
        happened.append(np.concatenate([same, ~same.any(axis=1, keepdims=True)], axis=1))
    x, p = torch.from_numpy(np.concatenate(known)), torch.from_numpy(np.concatenate(masses))
    y = torch.from_numpy(np.concatenate(happened).astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = StrengthNetwork(x.shape[1], config.hidden)
        head.mean.copy_(x.mean(dim=0))
        head.spread.copy_(x.std(dim=0, unbiased=False) + 1e-6)
        optimiser = torch.optim.AdamW(head.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        everything = repeat((x, p, y), config.steps)
        minimise(
            optimiser,
            everything,
            lambda all_, progress: loss(head(all_[0], all_[1]), all_[2], config.divergence, progress),
            steps=config.steps,
        )
    return head.eval().to_arrays()
