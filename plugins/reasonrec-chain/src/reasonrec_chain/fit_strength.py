"""Training `Strength` on validation pairs, after everything else, with a loss that another plugin offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from itertools import repeat

import numpy as np
import torch
from reasonrec_profile.api import HistoryWeights, TargetPairs
from reasonrec_torch.optimiser import minimise
from torch import Tensor

from reasonrec_chain.config import EvidenceConfig
from reasonrec_chain.gates import facts
from reasonrec_chain.model import ChainModel
from reasonrec_chain.strength import Strength
from reasonrec_chain.think import ranked, thoughts
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Observation

GROUP = "reasonrec.losses"
LISTED = 10
Loss = Callable[[Tensor, Tensor, float, float], Tensor]
"""Of float[P, K] evidence, float[P, K] targets (1 at what happened), the weight of the divergence from no evidence, and
the share of the training that is over: a scalar."""


def find_loss(name: str) -> Loss:
    """The installed loss of this name.

    Raises:
        ConfigError: there is none.
    """
    found = entry_points(group=GROUP)
    for each in found:
        if each.name == name:
            loss: Loss = each.load()
            return loss
    known = ", ".join(sorted(each.name for each in found)) or "none is installed (pip install reasonrec-evidential)"
    raise ConfigError(f"there is no evidential loss {name!r}", where="evidence.loss", fix=f"Losses: {known}.")


def learn_strength(
    model: ChainModel,
    config: EvidenceConfig,
    targets: TargetPairs,
    evidence: HistoryWeights,
    observation: Observation,
    seed: int,
) -> Strength:
    """From P validation pairs with their evidence; ``observation`` holds the P horizons."""
    loss = find_loss(config.loss)
    scene, queries = model.experts.scene(observation), replace(targets.queries, k=LISTED)
    known, masses, happened = [], [], []
    for start, _, thought in thoughts(model, scene, queries, evidence, observation):
        stop = start + len(thought.mass)
        ranking, mass = ranked(thought, queries.slice(start, stop), scene.n_items)
        known.append(facts(thought.proposals, thought.inferred.beliefs, observation.horizon[start:stop]))
        masses.append(mass)
        same = ranking.items == targets.targets[start:stop, None]
        happened.append(np.concatenate([same, ~same.any(axis=1, keepdims=True)], axis=1))
    x, p = torch.from_numpy(np.concatenate(known)), torch.from_numpy(np.concatenate(masses))
    y = torch.from_numpy(np.concatenate(happened).astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = Strength(x.shape[1], config.hidden)
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
    return head.eval()
