"""Observe: what is known after each item of a history, by attention, a frequency filter, or both.

Every layer is causal: the state after position t depends on positions up to t alone, so that one pass over a sequence
trains on all of its prefixes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasonrec_torch.dropout import causal_attention, dropout
from reasonrec_torch.encoder_arrays import make_low_pass
from reasonrec_torch.item_encoder import SPREAD


def pick_positions(x: Tensor, at: Tensor | None) -> Tensor:
    """float[B, 1, d]: float[B, L, d] at the positions int64[B]; all of it where there are none."""
    return x if at is None else x[torch.arange(len(x), device=x.device), at].unsqueeze(1)


class FrequencyFilter(nn.Module):
    """The lowest frequencies of each prefix, and a learned share of the rest (BSARec, equation 8)."""

    def __init__(self, dimensions: int, length: int, components: int) -> None:
        super().__init__()
        self.rest = nn.Parameter(torch.full((dimensions,), math.sqrt(0.5)))
        self.register_buffer("filters", torch.from_numpy(make_low_pass(length, components)), persistent=False)

    def forward(self, x: Tensor, at: Tensor | None = None) -> Tensor:
        """float[B, L, d] for float[B, L, d]; with int64[B] positions ``at`` float[B, 1, d], what comes out there."""
        length = x.shape[1]
        filters: Tensor = self.filters[:length, :length]  # type: ignore[index]
        low = filters @ x if at is None else filters[at].unsqueeze(1) @ x
        return low + self.rest**2 * (pick_positions(x, at) - low)


class CausalAttention(nn.Module):
    """Causal self-attention."""

    def __init__(self, dimensions: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.inward = nn.Linear(dimensions, 3 * dimensions)
        self.outward = nn.Linear(dimensions, dimensions)

    def forward(self, x: Tensor, at: Tensor | None = None) -> Tensor:
        """float[B, L, d] for float[B, L, d]; with int64[B] positions ``at`` float[B, 1, d], what comes out there."""
        rows, length, width = x.shape
        rate = self.dropout if self.training else 0.0
        if at is None:
            q, k, v = self._split(self.inward(x), 3)
            mixed = causal_attention(q, k, v, rate)
        else:
            weight, bias = self.inward.weight, self.inward.bias
            (q,) = self._split(F.linear(pick_positions(x, at), weight[:width], bias[:width]), 1)
            k, v = self._split(F.linear(x, weight[width:], bias[width:]), 2)
            past = (torch.arange(length, device=x.device) <= at[:, None])[:, None, None, :]
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=past, dropout_p=rate)
        out: Tensor = self.outward(mixed.transpose(1, 2).reshape(rows, -1, width))
        return out

    def _split(self, x: Tensor, parts: int) -> Tensor:
        """float[parts, B, heads, L, d / heads] of float[B, L, parts * d]."""
        rows, length, width = x.shape
        return x.view(rows, length, parts, self.heads, width // parts // self.heads).permute(2, 0, 3, 1, 4)


class EncoderLayer(nn.Module):
    """Look back over the history, then think about each position; residual connections, norms after them.

    Args:
        dimensions: d.
        heads: of the attention.
        dropout: rate.
        length: longest history.
        components: frequencies that the filter keeps.
        share: of the filter; 0 = attention alone, 1 = filter alone, between = both (BSARec, equation 9).
    """

    def __init__(self, dimensions: int, heads: int, dropout: float, length: int, components: int, share: float) -> None:
        super().__init__()
        self.share, self.rate = share, dropout
        self.attention = CausalAttention(dimensions, heads, dropout) if share < 1 else None
        self.filter = FrequencyFilter(dimensions, length, components) if share > 0 else None
        self.first, self.second = nn.LayerNorm(dimensions), nn.LayerNorm(dimensions)
        self.widen, self.narrow = nn.Linear(dimensions, 4 * dimensions), nn.Linear(4 * dimensions, dimensions)

    def forward(self, x: Tensor, at: Tensor | None = None) -> Tensor:
        """float[B, L, d] for float[B, L, d]; with int64[B] positions ``at`` float[B, 1, d], what comes out there."""
        looked = torch.zeros((), device=x.device)
        if self.attention is not None:
            looked = looked + (1 - self.share) * self.attention(x, at)
        if self.filter is not None:
            looked = looked + self.share * self.filter(x, at)
        x = self.first(pick_positions(x, at) + dropout(looked, self.rate, self.training))
        thought = self.narrow(dropout(F.gelu(self.widen(x)), self.rate, self.training))
        out: Tensor = self.second(x + dropout(thought, self.rate, self.training))
        return out


class HistoryEncoder(nn.Module):
    """States of histories, and refinements of them.

    Refinement: the state after each position goes through the last layer again ``refinements`` times, each time with
    a vector that says which pass it is, so that it is thought about longer without new parameters (ReaRec, Tang et
    al., 2025, section 3.2; there the passes are appended to the sequence, here they run at every position at once).

    Args:
        dimensions, heads, dropout, length, components, share: as of `EncoderLayer`.
        layers: how many.
        refinements: K.
    """

    def __init__(
        self,
        dimensions: int,
        heads: int,
        layers: int,
        dropout: float,
        length: int,
        components: int,
        share: float,
        refinements: int,
    ) -> None:
        super().__init__()
        self.rate = dropout
        self.positions = nn.Parameter(torch.randn(length, dimensions) * SPREAD)
        self.norm = nn.LayerNorm(dimensions)
        self.layers = nn.ModuleList(
            EncoderLayer(dimensions, heads, dropout, length, components, share) for _ in range(layers)
        )
        self.passes = nn.Parameter(torch.randn(refinements, dimensions) * SPREAD)

    def forward(self, x: Tensor) -> list[Tensor]:
        """For float[B, L, d] items 1 + K tensors of that shape: the states, then each refinement, the answer last."""
        x = dropout(self.norm(x + self.positions[: x.shape[1]]), self.rate, self.training)
        for layer in self.layers:
            x = layer(x)
        found = [x]
        for which in self.passes:
            found.append(self.layers[-1](found[-1] + which))
        return found

    def last(self, x: Tensor, at: Tensor) -> Tensor:
        """float[B, d]: the answer at positions ``at``, int64[B], alone: the last look needs no other."""
        x = self.norm(x + self.positions[: x.shape[1]])
        looks = [(layer, None) for layer in self.layers] + [(self.layers[-1], which) for which in self.passes]
        for layer, which in looks[:-1]:
            x = layer(x if which is None else x + which)
        layer, which = looks[-1]
        out: Tensor = layer(x if which is None else x + which, at)[:, 0]
        return out
