"""A trained `Network` as arrays: what answers are made with. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from reasonrec_torch.encoder_arrays import (
    HistoryArrays,
    ItemArrays,
    LayerMasks,
    Linear,
    Tensors,
    make_low_pass,
    take_under,
)
from reasonrec_torch.item_features import TableInputs
from reasonrec_torch.ragged import HistoryBatch, over_histories

from reasonrec_chain.config import NetworkConfig
from reasonrec_core.types import Float32, History


@dataclass(frozen=True)
class NetworkArrays:
    """What a network learned.

    Attributes:
        config: sizes.
        tensors: its parameters, by their names in `Network`.
        masks: what dropout leaves of the encoder of histories, where some is drawn.
    """

    config: NetworkConfig
    tensors: Tensors
    masks: tuple[Float32, tuple[LayerMasks, ...]] | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that are not the settings'.

        Raises:
            ValueError: they are of another network.
        """
        wanted, config = (self.config.max_history, self.config.dimensions), self.config
        if self.tensors["histories.positions"].shape != wanted or len(self.tensors["histories.passes"]) != (
            config.refinements
        ):
            raise ValueError("the network has other sizes than its settings")

    @cached_property
    def items(self) -> ItemArrays:
        """The encoder of items."""
        return ItemArrays(take_under("items.", self.tensors), self.config.ids)

    @cached_property
    def histories(self) -> HistoryArrays:
        """The encoder of histories."""
        config = self.config
        low = make_low_pass(config.max_history, config.frequencies) if config.filter_share > 0 else None
        tensors = take_under("histories.", self.tensors)
        made = HistoryArrays(tensors, config.heads, config.layers, config.filter_share, low)
        if self.masks is not None:
            made.masks = self.masks
        return made

    @cached_property
    def intents(self) -> list[Linear]:
        """A classifier per item field."""
        names = sorted({name.split(".")[1] for name in self.tensors if name.startswith("intents.")}, key=int)
        return [Linear.of(self.tensors, f"intents.{name}") for name in names]

    def table(self, inputs: TableInputs) -> tuple[Float32, Float32]:
        """float32[n, d] item vectors and float32[n] biases."""
        return self.items(inputs)

    def last_states(self, table: Float32, history: History) -> Float32:
        """float32[B, d]: what is known after each history; of an empty one what a row of padding gives."""

        def ask(batch: HistoryBatch) -> Float32:
            read = table[np.maximum(batch.items, 0)]
            read[batch.items < 0] = 0.0
            return self.histories.last(read, batch.ends)

        return over_histories(ask, history.indptr, history.items, max_history=self.config.max_history)

    def beliefs(self, states: Float32) -> list[Float32]:
        """Per field float32[N, L] for float32[N, d] states: P(label of the next item)."""
        found = []
        for head in self.intents:
            out = head(states)
            out -= out.max(axis=1, keepdims=True)
            np.exp(out, out=out)
            out /= out.sum(axis=1, keepdims=True)
            found.append(out)
        return found

    def draw_dropout(self, seed: int, number: int) -> Self:
        """The same network with one drawn mask in every place where training drops units."""
        rng, rate, width = np.random.default_rng([seed, number]), self.config.dropout, self.config.dimensions

        def draw(size: int) -> Float32:
            return (rng.random(size) >= rate).astype(np.float32) / np.float32(1 - rate)

        first = draw(width)
        layers = tuple(LayerMasks(draw(width), draw(4 * width), draw(width)) for _ in range(self.config.layers))
        return replace(self, masks=(first, layers))
