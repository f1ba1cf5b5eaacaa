"""Models of the next item: an item table, states of histories, a softmax over the catalogue, and their figure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from itertools import count
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from reasonrec_core.components import pick_candidates
from reasonrec_core.ranking import rank
from reasonrec_core.types import Cases, Float32, History, QueryBatch, Ranking
from reasonrec_torch.batching import TensorBatch
from reasonrec_torch.losses import FullSoftmax, Softmax
from reasonrec_torch.model_protocol import BatchLoss, Trainable
from reasonrec_torch.ragged import CPU_TOKENS, GPU_TOKENS, HistoryBatch, over_histories
from reasonrec_torch.validation import CHUNK, mean_ndcg

LOGITS = 1 << 22
"""Logits that `find_best` has at the same time."""


class NextItemModel(Trainable[TensorBatch]):
    """A network over a catalogue of n items and vectors of d numbers.

    A subclass gives `table` and `states`; it may replace `loss` by one with more parts.

    Attributes:
        softmax: the loss over the catalogue.
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

    def loss(self, batch: TensorBatch, rng: np.random.Generator) -> BatchLoss:
        """The softmax loss of the next items; see `Trainable.loss`."""
        table, bias = self.table()
        rows, targets, weights = at_targets(self.states(batch.items, table), batch)
        loss = self.softmax.loss(rows, table, bias, targets, weights)
        return BatchLoss(loss, {"next item": loss})


def at_targets(states: Tensor, batch: TensorBatch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Of float[B, L, d] states those with a target: float[N, d], their int64[N] targets, and float32[N] weights."""
    asked = batch.targets >= 0
    return states[asked], batch.targets[asked], None if batch.weights is None else batch.weights[asked]


def draw_beginnings(batch: TensorBatch, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Of each row the beginning up to one position that has a target, drawn evenly.

    Returns:
        int64[B, L] items (-1 pads), the int64[B] positions where they end, and the int64[B] targets there.
    """
    asked = batch.targets >= 0
    drawn = torch.from_numpy(rng.random(tuple(asked.shape), np.float64)).to(batch.items.device, torch.float32)
    at = torch.where(asked, drawn, -1.0).argmax(1)
    places = torch.arange(batch.items.shape[1], device=at.device)
    items = batch.items.masked_fill(places > at[:, None], -1)[:, : int(at.max()) + 1]
    return items, at, batch.targets.gather(1, at[:, None])[:, 0]


@torch.no_grad()
def find_best(states: Tensor, table: Tensor, bias: Tensor, barred: Tensor, k: int) -> Tensor:
    """int64[B, K]: the items with the largest logits, best first; -1 where none is left. A few rows at a time.

    Args:
        states: float[B, d].
        table: float[n, d].
        bias: float[n]; -inf for items that are not to be found.
        barred: int64[2, M], rows and items that are not to be found.
        k: how many.
    """
    best, step = [], max(1, LOGITS // len(table))
    for low in range(0, len(states), step):
        logits = torch.addmm(bias, states[low : low + step], table.T)
        inside = (barred[0] >= low) & (barred[0] < low + step)
        logits[barred[0, inside] - low, barred[1, inside]] = -torch.inf
        values, items = logits.topk(min(k, len(table)), dim=1)
        best.append(items.masked_fill(torch.isneginf(values), -1))
    return torch.cat(best)


def list_entries(items: Tensor) -> Tensor:
    """int64[2, M]: rows and items of int64[B, L], where it is not -1."""
    rows, columns = (items >= 0).nonzero(as_tuple=True)
    return torch.stack([rows, items[rows, columns]])


@torch.no_grad()
def last_states(module: NextItemModel, table: Tensor, history: History, max_history: int) -> Float32:
    """float32[B, d]: what is known after each history; of an empty one what a row of padding gives."""

    def ask(batch: HistoryBatch) -> Float32:
        at = torch.from_numpy(batch.ends).to(table.device)
        found = module.last(torch.from_numpy(batch.items).to(table.device), at, table)
        rows: Float32 = found.float().cpu().numpy()
        return rows

    tokens = CPU_TOKENS if table.device.type == "cpu" else GPU_TOKENS
    return over_histories(ask, history.indptr, history.items, max_history=max_history, tokens=tokens)


@torch.no_grad()
def next_item_scores(module: NextItemModel, batch: QueryBatch, max_history: int) -> Float32:
    """float32[B, n], or float32[B, C] for candidates: what a `Delegate.score` gives, items of the fit alone."""
    table, bias = module.table()
    states = torch.from_numpy(last_states(module, table, batch.history, max_history)).to(table)
    return pick_candidates(torch.addmm(bias, states, table.T).float().cpu().numpy(), batch)


def next_item_figure(cases: Cases, max_history: int, k: int = 10) -> Callable[[NextItemModel], float]:
    """A function that gives a network's mean NDCG@k over ``cases``: all items ranked, history masked,
    or the cases' candidates ranked where they have them.
    """

    @torch.no_grad()
    def figure(module: NextItemModel) -> float:
        table, bias = module.table()
        states = torch.from_numpy(last_states(module, table, cases.queries.history, max_history))
        at = count(step=CHUNK)

        def answer(batch: QueryBatch) -> Ranking:
            start = next(at)
            logits = torch.addmm(bias, states[start : start + len(batch)].to(table), table.T)
            return rank(pick_candidates(logits.float().cpu().numpy(), batch), batch)

        return mean_ndcg(answer, cases, len(table), k)

    return figure
