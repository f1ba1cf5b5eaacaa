"""The trained part: item vectors, states of histories, and what the next item will be like."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from reasonrec_torch.batching import TensorBatch
from reasonrec_torch.devices import exact
from reasonrec_torch.feature_projection import ItemTensors
from reasonrec_torch.history_encoder import HistoryEncoder
from reasonrec_torch.item_encoder import ItemEncoder
from reasonrec_torch.losses import Softmax
from reasonrec_torch.model_protocol import BatchLoss
from reasonrec_torch.next_item import NextItemModel
from torch import Tensor, nn

from reasonrec_chain.config import NetworkConfig


class Network(NextItemModel):
    """`ItemEncoder`, `HistoryEncoder` and a classifier per item field (the intent).

    The loss is ``CE(next item) + intent_weight * mean over fields of CE(next item's labels)
    + refinement_weight * mean over earlier passes of CE(next item)``.

    Args:
        config: sizes and weights.
        inputs: of the catalogue that is trained on.
        priors: per field float[L], shares of the labels in the training interactions, where beliefs start from.
        softmax: the loss over the catalogue.
        hidden_ids: share of the items whose id is hidden in a training step.
    """

    hot: ClassVar[tuple[str, ...]] = ("passes",)

    def __init__(
        self,
        config: NetworkConfig,
        inputs: ItemTensors,
        priors: tuple[Tensor, ...],
        softmax: Softmax | None = None,
        hidden_ids: float = 0.0,
    ) -> None:
        super().__init__(softmax)
        self.config, self.inputs = config, inputs
        widths, sizes = [v.shape[1] for v in inputs.views], [m.shape[1] for m in inputs.members]
        d = config.dimensions
        self.items = ItemEncoder(len(inputs.counts), widths, sizes, d, hidden_ids, config.ids)
        self.histories = HistoryEncoder(
            d, config.heads, config.layers, config.dropout, config.max_history,
            config.frequencies, config.filter_share, config.refinements,
        )  # fmt: skip
        self.intents = nn.ModuleList(nn.Linear(d, size) for size in sizes)
        for head, prior in zip(self.intents, priors, strict=True):
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]
            with torch.no_grad():
                head.bias.copy_(prior.clamp(min=1e-9).log())  # type: ignore[operator]
        self._warm: Tensor | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the inputs along with the parameters."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.inputs = self.inputs.to(self.items.ids.device)
        self._warm = None
        return self

    @exact
    def table(self) -> tuple[Tensor, Tensor]:
        """float[n, d] item vectors and float[n] biases."""
        vectors, bias = self.items(self.inputs)
        return vectors, bias

    def passes(self, items: Tensor, table: Tensor) -> list[Tensor]:
        """The states after each position of int64[B, L], then each refinement."""
        found: list[Tensor] = self.histories(read_vectors(items, table))
        return found

    def last(self, items: Tensor, at: Tensor, table: Tensor) -> Tensor:
        """float[B, d]: the last pass at positions ``at``, int64[B], without dropout."""
        return self.histories.last(read_vectors(items, table), at)

    def states(self, items: Tensor, table: Tensor) -> Tensor:
        """float[B, L, d]: the last pass."""
        return self.passes(items, table)[-1]

    def beliefs(self, states: Tensor) -> list[Tensor]:
        """Per field float[N, L] for float[N, d] states: log P(label of the next item)."""
        return [F.log_softmax(head(states).float(), dim=-1) for head in self.intents]

    def loss(self, batch: TensorBatch, rng: np.random.Generator) -> BatchLoss:
        """See the class. Items without training interactions are no negatives: nobody could have chosen them."""
        table, bias = self.table()
        warm, place = self._warm_items()
        every = self.passes(batch.items, table)
        asked = batch.targets >= 0
        targets = batch.targets[asked]
        weights = None if batch.weights is None else batch.weights[asked]
        rows, chosen = every[-1][asked], place[targets]
        shown, lift = (table, bias) if len(warm) == len(table) else (table[warm], bias[warm])
        parts = {"next item": self.softmax.loss(rows, shown, lift, chosen, weights)}
        total = parts["next item"]
        if len(self.intents) and self.config.intent_weight:
            parts["intent"] = self._intent_loss(rows, targets, weights)
            total = total + self.config.intent_weight * parts["intent"]
        if len(every) > 1 and self.config.refinement_weight:
            early = [self.softmax.loss(x[asked], shown, lift, chosen, weights) for x in every[:-1]]
            parts["refinement"] = torch.stack(early).mean()
            total = total + self.config.refinement_weight * parts["refinement"]
        return BatchLoss(total, parts)

    def _intent_loss(self, rows: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Mean over the fields of the cross entropy with the target's labels; targets without a label count 0."""
        even = torch.full((len(rows),), 1.0 / max(len(rows), 1), device=rows.device)
        share = even if weights is None else weights / weights.sum()
        losses = []
        for belief, member in zip(self.beliefs(rows), self.inputs.members, strict=True):
            wanted = member.index_select(0, targets).coalesce()
            row, label = wanted.indices()
            losses.append(-(wanted.values() * belief[row, label] * share[row]).sum())
        return torch.stack(losses).mean()

    def _warm_items(self) -> tuple[Tensor, Tensor]:
        """int64[w] items with training interactions, and int64[n] each item's place among them."""
        if self._warm is None:
            warm = (self.inputs.counts > 0).nonzero()[:, 0]
            self._warm = warm
            self._place = torch.full_like(self.inputs.counts, -1, dtype=torch.long)
            self._place[warm] = torch.arange(len(warm), device=warm.device)
        return self._warm, self._place


def read_vectors(items: Tensor, table: Tensor) -> Tensor:
    """float[B, L, d]: the vectors of int64[B, L] items, 0 for padding."""
    return table[items.clamp(min=0)] * (items >= 0).unsqueeze(-1)
