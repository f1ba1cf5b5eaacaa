"""A tiny network and sequences with a pattern to find. Also a program: ``python planted.py WORKDIR`` trains on them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_torch.batching import TrainingSequences
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.losses import Softmax
from reasonrec_torch.next_item import NextItemModel, next_item_figure
from reasonrec_torch.trainer import train
from torch import Tensor, nn

from reasonrec_core.types import Cases, History, QueryBatch, Task

N_ITEMS, N_USERS, STRIDE = 40, 120, 7


class Bigram(NextItemModel):
    """The next item from the last one: a table, a linear map, dropout and a norm."""

    def __init__(self, softmax: Softmax | None = None, d: int = 16) -> None:
        super().__init__(softmax)
        self.items = nn.Parameter(torch.randn(N_ITEMS, d) * 0.3)
        self.bias = nn.Parameter(torch.zeros(N_ITEMS))
        self.map = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Dropout(0.1), nn.Linear(d, d), nn.LayerNorm(d))
        self.register_buffer("features", torch.zeros(N_ITEMS, 3), persistent=False)

    def table(self) -> tuple[Tensor, Tensor]:
        return self.items, self.bias

    def states(self, items: Tensor, table: Tensor) -> Tensor:
        found: Tensor = self.map(nn.functional.embedding(items.clamp(min=0), table))
        return found


def walks(seed: int = 0) -> list[list[int]]:
    """Every user walks through the items, ``STRIDE`` at a time, from somewhere."""
    rng = np.random.default_rng(seed)
    starts, lengths = rng.integers(0, N_ITEMS, N_USERS), rng.integers(2, 9, N_USERS)
    return [((s + STRIDE * np.arange(n)) % N_ITEMS).tolist() for s, n in zip(starts, lengths, strict=True)]


def planted(**settings: Any) -> TrainingSequences:
    history = History.of(walks())
    return TrainingSequences(history.indptr, history.items, tokens=64, **settings)


def cases() -> Cases:
    """The next item after walks that are not the training ones."""
    rows = walks(1)
    queries = QueryBatch(Task.SEQUENTIAL, np.arange(N_USERS, dtype=np.int32), History.of([r[:-1] for r in rows]))
    targets = np.array([r[-1] for r in rows], np.int32)
    return Cases(queries, np.arange(N_USERS + 1, dtype=np.int64), targets)


def config(**changes: Any) -> TrainerConfig:
    return TrainerConfig(**{"epochs": 4, "warmup": 5, "learning_rate": 0.02, "ema": 0.9, "device": "cpu", **changes})


def network(softmax: Softmax | None = None) -> Bigram:
    torch.manual_seed(0)
    return Bigram(softmax)


if __name__ == "__main__":
    train(
        network(),
        planted(),
        config(checkpoint_seconds=0),
        seed=3,
        validate=next_item_figure(cases(), 50),
        progress=lambda done, total, label: print(done, label, flush=True),
        workdir=Path(sys.argv[1]),
    )
