"""The policy with a small network and few epochs, on the tiny dataset."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_chain.config import ChainConfig
from reasonrec_chain.network import Network
from reasonrec_chain.policy import Chain
from reasonrec_torch.feature_projection import make_item_tensors

from reasonrec_core.components import FitData
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Deliberation, History, Observation, QueryBatch, Task

SMALL: dict[str, Any] = {
    "network": {"dimensions": 16, "layers": 1, "heads": 2, "max_history": 20, "components": 8},
    "training": {"epochs": 3, "warmup": 5, "learning_rate": 0.01, "ema": 0.8, "device": "cpu"},
    "counted": {"fields": ["categories", "brand"], "transitions": {"trials": 2}},
    "gates": {"steps": 20, "epochs": 2, "folds": 2, "hidden": 4, "depth": 15},
}


def config(**changes: dict[str, Any] | Any) -> ChainConfig:
    """`SMALL` with some settings replaced; a section's are merged into it."""
    settings = deepcopy(SMALL)
    for name, value in changes.items():
        settings[name] = {**settings.get(name, {}), **value} if isinstance(value, dict) else value
    return ChainConfig(**settings)


def fitted(data: FitData, **changes: Any) -> Chain:
    policy = Chain(config(**changes))
    policy.fit(data)
    return policy


def network_of(policy: Chain, observation: Observation, which: int = 0) -> Network:
    """One of its networks as a module of torch, with the items as an observation shows them."""
    sequence = policy.model.experts.sequence
    members = tuple(field.membership for field in sequence.fields)
    inputs = make_item_tensors(sequence.counts, sequence.views, members, observation)
    priors = tuple(torch.from_numpy(field.prior) for field in sequence.fields)
    network = Network(policy.config.network, inputs, priors)
    held = {name: torch.from_numpy(value).clone() for name, value in sequence.networks[which].tensors.items()}
    network.load_state_dict(held)
    return network.eval()


def make_world(folder: Path, task: Task = Task.SEQUENTIAL) -> Tiny:
    return tiny(folder, task=task)


def answer(policy: Chain, world: Tiny, batch: QueryBatch | None = None, **changes: Any) -> Deliberation:
    """To the world's test queries, or to others."""
    asked = replace(world.test.queries if batch is None else batch, **changes)
    return policy.deliberate(asked, world.observation(asked))


def asking(rows: list[list[int]], **more: Any) -> QueryBatch:
    """Unknown users with these histories."""
    return QueryBatch(Task.SEQUENTIAL, np.full(len(rows), -1, np.int32), History.of(rows), **more)
