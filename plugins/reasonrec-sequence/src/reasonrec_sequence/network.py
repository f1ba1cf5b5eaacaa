"""The network that all delegates share: items from ids, features or both, an encoder, a softmax over the catalogue."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from reasonrec_torch.batching import TensorBatch
from reasonrec_torch.devices import exact
from reasonrec_torch.feature_projection import ItemTensors
from reasonrec_torch.item_encoder import ItemEncoder
from reasonrec_torch.losses import Softmax
from reasonrec_torch.model_protocol import BatchLoss
from reasonrec_torch.next_item import NextItemModel, at_targets
from torch import Tensor, nn

from reasonrec_core.io import content_hash
from reasonrec_sequence.config import SequenceConfig


class SequenceEncoder(nn.Module):
    """Reads the vectors of a history."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """float[B, L, d]: what is known after each position of float[B, L, d]; pads are 0, on the right."""

    def last(self, x: Tensor, at: Tensor) -> Tensor:
        """float[B, d]: the states at positions ``at``, int64[B], alone. Override where that is had for less."""
        states: Tensor = self(x)
        return states[torch.arange(len(at), device=at.device), at]


class SequenceNetwork(NextItemModel):
    """Items, an encoder and a softmax.

    Args:
        config: sizes.
        encoder: reads histories.
        inputs: what there is to see of the items.
        softmax: the loss over the catalogue.
    """

    def __init__(
        self, config: SequenceConfig, encoder: SequenceEncoder, inputs: ItemTensors, softmax: Softmax | None = None
    ) -> None:
        super().__init__(softmax)
        self.inputs = inputs
        widths = [view.shape[1] for view in inputs.views]
        hidden = config.hidden_ids if config.items == "both" else 0.0
        self.items = ItemEncoder(len(inputs.counts), widths, [], config.dimensions, hidden, config.items != "features")
        self.encoder, self.temperature = encoder, config.temperature

    @property
    def identity(self) -> str:
        """Of what there is to see of the items."""
        inputs = self.inputs
        return content_hash(*(t.cpu().numpy().tobytes() for t in (inputs.counts, *inputs.views, *inputs.present)))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the inputs along with the parameters."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.inputs = self.inputs.to(self.items.ids.device)
        return self

    @exact
    def table(self) -> tuple[Tensor, Tensor]:
        """float[n, d] item vectors and float[n] biases."""
        vectors, bias = self.items(self.inputs)
        return F.normalize(vectors, dim=-1) if self.temperature else vectors, bias

    def states(self, items: Tensor, table: Tensor) -> Tensor:
        """See `NextItemModel.states`."""
        return self.scale(self.encoder(read_vectors(items, table)))

    def last(self, items: Tensor, at: Tensor, table: Tensor) -> Tensor:
        """See `NextItemModel.last`."""
        return self.scale(self.encoder.last(read_vectors(items, table), at))

    def scale(self, states: Tensor) -> Tensor:
        """float[..., d] states as items are compared with them."""
        return F.normalize(states, dim=-1) / self.temperature if self.temperature else states

    def loss(self, batch: TensorBatch, rng: np.random.Generator) -> BatchLoss:
        """The softmax loss of the next items."""
        table, bias = self.table()
        rows, targets, weights = at_targets(self.states(batch.items, table), batch)
        loss = self.compare(rows, table, bias, targets, weights)
        return BatchLoss(loss, {"next item": loss})

    def compare(
        self, states: Tensor, table: Tensor, bias: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """See `Softmax.loss`; items without training interactions are no negatives."""
        warm = self.inputs.counts > 0
        place = torch.cumsum(warm, 0) - 1
        return self.softmax.loss(states, table[warm], bias[warm], place[targets], weights)


def read_vectors(items: Tensor, table: Tensor) -> Tensor:
    """float[B, L, d]: the vectors of int64[B, L] items, 0 for padding."""
    return table[items.clamp(min=0)] * (items >= 0).unsqueeze(-1)
