"""What a network offers so that it can be trained and asked: an item table, states of histories, a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from reasonrec_chain.batches import Batch
from reasonrec_chain.histories import CPU_TOKENS, GPU_TOKENS, HistoryBatch, over_histories
from reasonrec_chain.softmax import FullSoftmax, Softmax
from reasonrec_core.types import Float32, History


@dataclass(frozen=True)
class TensorBatch:
    """A `Batch` on a device.

    Attributes:
        items: int64[B, L], -1 pads on the right.
        targets: int64[B, L], -1 where nothing is asked.
        weights: float32[B, L] or None.
        users: int64[B].
    """

    items: Tensor
    targets: Tensor
    weights: Tensor | None
    users: Tensor

    @classmethod
    def of(cls, batch: Batch, device: torch.device) -> Self:
        """The batch's arrays on ``device``."""

        def move(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device, non_blocking=True)

        weights = None if batch.weights is None else move(batch.weights)
        return cls(move(batch.items), move(batch.targets), weights, move(batch.users).long())


class Trainable(nn.Module, ABC):
    """A network over a catalogue of n items and vectors of d numbers.

    A subclass gives `table` and `states`; it may replace `loss` by one with more parts. Buffers that need not be
    kept with the weights (item features) are best registered as not persistent: checkpoints stay small.

    Attributes:
        softmax: the loss over the catalogue.
        hot: names of the methods that are worth compiling.
    """

    hot: ClassVar[tuple[str, ...]] = ("states",)

    def __init__(self, softmax: Softmax | None = None) -> None:
        super().__init__()
        self.softmax: Softmax = softmax or FullSoftmax()

    @abstractmethod
    def table(self) -> tuple[Tensor, Tensor]:
        """The items as they are predicted and read: float[n, d], and their bias, float[n]. Made once per step."""

    @abstractmethod
    def states(self, items: Tensor, table: Tensor) -> Tensor:
        """float[B, L, d]: after each position of int64[B, L] items (-1 pads), what is known about the next item."""

    def last(self, items: Tensor, at: Tensor, table: Tensor) -> Tensor:
        """float[B, d]: `states` at the positions ``at``, int64[B], alone; may be had for less."""
        return self.states(items, table)[torch.arange(len(at), device=at.device), at]

    def loss(self, batch: TensorBatch, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What is made small, and its parts by name for the report.

        Args:
            batch: histories and what followed.
            rng: for choices of this step; torch's own generator is seeded for the step as well.
        """
        table, bias = self.table()
        rows, targets, weights = at_targets(self.states(batch.items, table), batch)
        loss = self.softmax.loss(rows, table, bias, targets, weights)
        return loss, {"next item": loss}


def at_targets(states: Tensor, batch: TensorBatch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Of float[B, L, d] states those with a target: float[N, d], their int64[N] targets, and float32[N] weights."""
    asked = batch.targets >= 0
    return states[asked], batch.targets[asked], None if batch.weights is None else batch.weights[asked]


@torch.no_grad()
def last_states(module: Trainable, table: Tensor, history: History, max_history: int) -> Float32:
    """float32[B, d]: what is known after each history; of an empty one what a row of padding gives."""

    def ask(batch: HistoryBatch) -> Float32:
        at = torch.from_numpy(np.maximum(batch.lengths - 1, 0)).to(table.device)
        found = module.last(torch.from_numpy(batch.items).to(table.device), at, table)
        rows: Float32 = found.float().cpu().numpy()
        return rows

    tokens = CPU_TOKENS if table.device.type == "cpu" else GPU_TOKENS
    return over_histories(ask, history.indptr, history.items, max_history=max_history, tokens=tokens)
