"""Answers by a recommendation head: the text's last hidden state against a table of item vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from reasonrec_core.types import Float32, QueryBatch
from reasonrec_cot.answers.answerer import ItemScores, allowed, softmax
from reasonrec_cot.backbone.kv_cache import Reading

ITEMS_AT_ONCE = 65_536


class RecHead(nn.Module):
    """Scores items by one product per item: s(v) = q(h) . e_v / temperature (R2ec, You et al., 2025).

    h is the state with which the model has read the request (and its own thoughts), so a whole catalogue is ranked
    with one prefill. e_v is a sum of what is known of an item: linear maps of vectors from its content (in R2ec the
    model's own last state of the item's text; features of an encoder), and a learned vector for items of the fit.

    Args:
        width: of h.
        widths: width of each kind of content vector.
        n_learned: items with a learned vector; 0 for a head that judges by content alone.
        dim: of the space of the product; ``width`` with identity maps is R2ec's own form.
        temperature: at the start; it is learned.
        dropout: of states, while it is trained.
    """

    def __init__(
        self,
        width: int,
        widths: Mapping[str, int],
        n_learned: int = 0,
        dim: int = 256,
        temperature: float = 0.07,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.query = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))
        self.dropout = nn.Dropout(dropout)
        self.content = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(d), nn.Linear(d, dim)) for name, d in widths.items()}
        )
        self.learned = nn.Embedding(n_learned, dim) if n_learned else None
        if self.learned is not None:
            nn.init.normal_(self.learned.weight, std=0.0 if widths else 0.02)
        self.log_temperature = nn.Parameter(torch.tensor(float(np.log(temperature))))

    def items(self, vectors: Mapping[str, tuple[torch.Tensor, torch.Tensor]], items: torch.Tensor) -> torch.Tensor:
        """float32[n, dim], unit length: e_v of the items at int64[n].

        Args:
            vectors: per kind float32[n, d] and bool[n], which of them are there.
            items: their dense indices; those beyond the learned ones came after the fit.
        """
        total = self.log_temperature.new_zeros(len(items), self.dim)
        for name, layer in self.content.items():
            values, there = (each.to(total.device) for each in vectors[name])
            total = total + layer(values) * there[:, None]
        if self.learned is not None:
            known = items < self.learned.num_embeddings
            total = total + self.learned(items.clamp_max(self.learned.num_embeddings - 1)) * known[:, None]
        return nn.functional.normalize(total, dim=-1)

    def forward(self, states: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """float32[B, n] for states [B, width] and a table float32[n, dim]."""
        asked = nn.functional.normalize(self.query(self.dropout(states.float())), dim=-1)
        return asked @ table.T * (-self.log_temperature).exp()


class HeadAnswers:
    """Scores the whole catalogue, or listed candidates, from what was read.

    Args:
        head: learned.
        table: float32[n_items, dim], `RecHead.items` of the catalogue.
    """

    def __init__(self, head: RecHead, table: torch.Tensor) -> None:
        self.head, self.table = head.eval(), table

    @torch.inference_mode()
    def answer(self, reading: Reading, batch: QueryBatch) -> ItemScores:
        """Score ``batch``'s candidates, or the whole catalogue."""
        free = allowed(batch, len(self.table))
        every = self._all(reading.states)
        scores = every if batch.candidates is None else np.take_along_axis(every, np.maximum(batch.candidates, 0), 1)
        scores = np.where(free, scores, np.float32(-np.inf))
        return ItemScores(scores, softmax(scores))

    def _all(self, states: torch.Tensor) -> Float32:
        starts = range(0, len(self.table), ITEMS_AT_ONCE)
        tables = (self.table[start : start + ITEMS_AT_ONCE].to(states.device) for start in starts)
        parts = [self.head(states, table).float().cpu() for table in tables]
        return np.asarray(torch.cat(parts, 1).numpy(), dtype=np.float32)


@torch.no_grad()
def item_table(head: RecHead, vectors: Mapping[str, Float32], n_items: int) -> torch.Tensor:
    """float32[n_items, dim]: all items' vectors, a chunk at a time.

    Args:
        head: learned.
        vectors: per kind float32[n_items, d]; rows with NaN are missing.
        n_items: items in the catalogue.
    """
    made = []
    for start in range(0, n_items, ITEMS_AT_ONCE):
        items = np.arange(start, min(start + ITEMS_AT_ONCE, n_items))
        rows = {}
        for name, values in vectors.items():
            taken = np.array(values[items], dtype=np.float32)
            there = np.isfinite(taken).all(axis=1)
            taken[~there] = 0
            rows[name] = torch.from_numpy(taken), torch.from_numpy(there)
        device = head.log_temperature.device
        made.append(head.items(rows, torch.from_numpy(items).to(device)).cpu())
    return torch.cat(made) if made else torch.zeros(0, head.dim)
