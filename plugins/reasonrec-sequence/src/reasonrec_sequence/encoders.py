"""The encoders of histories: attention, latent interests, convolution, recurrence. All but one form are causal."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from reasonrec_torch.dropout import dropout
from reasonrec_torch.history_encoder import HistoryEncoder, pick_positions
from reasonrec_torch.item_encoder import SPREAD
from torch import Tensor, nn

from reasonrec_sequence.config import AttentionConfig, BSARecConfig, ConvFormerConfig, LightSANsConfig, SequenceConfig
from reasonrec_sequence.network import SequenceEncoder

STEEP = 40.0
"""Differences of attention logits beyond this are cut: exp(-40) is 0 beside 1, and its inverse squared is finite."""


class AttentionEncoder(SequenceEncoder):
    """Causal self-attention (SASRec, Kang and McAuley, 2018), perhaps with a frequency filter (BSARec, 2024)."""

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__()
        share, frequencies = (config.filter_share, config.frequencies) if isinstance(config, BSARecConfig) else (0.0, 1)
        self.histories = HistoryEncoder(
            config.dimensions, config.heads, config.layers, config.dropout, config.max_history, frequencies, share, 0
        )

    def forward(self, x: Tensor) -> Tensor:
        """See `SequenceEncoder.forward`."""
        states: Tensor = self.histories(x)[-1]
        return states

    def last(self, x: Tensor, at: Tensor) -> Tensor:
        """See `SequenceEncoder.last`."""
        return self.histories.last(x, at)


class ThinkingLayer(nn.Module):
    """A mixer of positions, then a feed-forward network at each; residual connections, norms after them.

    Args:
        dimensions: d.
        dropout: rate.
    """

    def __init__(self, dimensions: int, dropout: float) -> None:
        super().__init__()
        self.rate = dropout
        self.first, self.second = nn.LayerNorm(dimensions), nn.LayerNorm(dimensions)
        self.widen, self.narrow = nn.Linear(dimensions, 4 * dimensions), nn.Linear(4 * dimensions, dimensions)

    def think(self, x: Tensor, mixed: Tensor) -> Tensor:
        """float[B, L, d] for the layer's input and what its mixer made of it."""
        x = self.first(x + dropout(mixed, self.rate, self.training))
        thought = self.narrow(dropout(F.gelu(self.widen(x)), self.rate, self.training))
        out: Tensor = self.second(x + dropout(thought, self.rate, self.training))
        return out


class InterestLayer(ThinkingLayer):
    """Attention to k latent interests, and to positions apart from items (LightSANs, Fan et al., SIGIR 2021).

    The keys are summed up to k: ``K' = softmax_over_positions(K theta)^T K``, the values likewise with a map of their
    own (equations 3 to 5); ``softmax(Q K'^T / sqrt d) V' + softmax(Qp Kp^T / sqrt d) V`` is what a position sees
    (equations 6 to 8). Causal (ours): position t sums up positions 0..t, by running sums, so that one pass trains on
    all prefixes; the whole row, as published, is what the last position then sees.
    """

    def __init__(self, config: LightSANsConfig) -> None:
        d, k = config.dimensions, config.interests
        super().__init__(d, config.dropout)
        self.heads, self.causal = config.heads, config.causal
        self.inward, self.outward = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.keys, self.values = nn.Linear(d, k, bias=False), nn.Linear(d, k, bias=False)
        self.where = nn.Linear(d, 2 * d)

    def forward(self, x: Tensor, positions: Tensor, real: Tensor) -> Tensor:
        """float[B, L, d] for float[B, L, d], the float[L, d] vectors of positions, and bool[B, L], no padding.

        What is summed up for a position is never made: with weights w and their running sums, its logits are
        ``tril(Q K^T) w / sums``, and what it sees is a float[L, L] matrix times V, to which that of the order is added.
        """
        q, k, v = self.inward(x).chunk(3, dim=-1)
        of_keys, of_values = (self._weigh(logits, real) for logits in (self.keys(k), self.values(v)))
        q, k, v = (self._split(part) for part in (q, k, v))
        logits = self._earlier(q @ k.mT * self._scale) @ of_keys[0] / of_keys[1]
        shares = self._earlier((logits.softmax(-1) / of_values[1]) @ of_values[0].mT)
        q, k = (self._split(part) for part in self.where(positions).chunk(2, dim=-1))
        visible = self._earlier(real[:, None, None, :].expand(-1, 1, x.shape[1], -1))
        order = (q @ k.mT * self._scale).masked_fill(~visible, -torch.inf).softmax(-1).nan_to_num(0.0)
        return self.think(x, self.outward(((shares + order) @ v).transpose(1, 2).flatten(2)))

    def last(self, x: Tensor, positions: Tensor, real: Tensor, at: Tensor) -> Tensor:
        """float[B, 1, d]: what comes out at the int64[B] positions ``at``, for the rest as of `forward`.

        Sums of maps are maps of sums, so that keys and values are made of the k + heads sums alone.
        """
        rows, width, count = len(x), x.shape[2], self.keys.out_features
        asked, past = pick_positions(x, at), real & (torch.arange(x.shape[1], device=x.device) <= at[:, None])
        (to_q, to_k, to_v), (add_q, add_k, add_v) = self.inward.weight.chunk(3), self.inward.bias.chunk(3)
        to_ask, to_find = self.where.weight.chunk(2)
        ask = F.linear(positions[at], to_ask, self.where.bias[:width]).view(rows, self.heads, 1, -1)
        order = (ask @ to_find.view(self.heads, -1, width)).squeeze(2) @ positions.T * self._scale
        summing = torch.cat([self.keys.weight @ to_k, self.values.weight @ to_v])
        logits = torch.cat([summing @ x.mT, order], 1).masked_fill(~past[:, None, :], -torch.inf)
        sums = logits.softmax(-1).nan_to_num(0.0) @ x
        some = past.any(1)[:, None, None]
        keys = self._split(F.linear(sums[:, :count], to_k) + add_k * some)
        values = self._split(F.linear(sums[:, count:], to_v) + add_v * some)
        weights = self._split(F.linear(asked, to_q, add_q)) @ keys.mT * self._scale
        ordered = values[:, :, count:].diagonal(dim1=1, dim2=2).mT.flatten(1).unsqueeze(1)
        seen = (weights.softmax(-1) @ values[:, :, :count]).transpose(1, 2).flatten(2) + ordered
        return self.think(asked, self.outward(seen))

    @property
    def _scale(self) -> float:
        return float((self.inward.in_features // self.heads) ** -0.5)

    def _split(self, x: Tensor) -> Tensor:
        """float[..., heads, L, d / heads] of float[..., L, d]."""
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(-3, -2)

    def _earlier(self, x: Tensor) -> Tensor:
        """float[..., L, L]: only what is not after each position; all of it where the whole row is seen."""
        return x.tril() if self.causal else x

    def _weigh(self, logits: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """float[B, 1, L, k] weights of positions in a sum, and their sums, up to each position or float[B, 1, 1, k]."""
        logits = logits.masked_fill(~real.unsqueeze(-1), -torch.inf)
        top = logits.amax(1, keepdim=True).nan_to_num(neginf=0.0)
        weights = (logits - top).clamp(min=-STEEP).exp() * real.unsqueeze(-1)
        sums = weights.cumsum(1) if self.causal else weights.sum(1, keepdim=True)
        return weights.unsqueeze(1), sums.clamp(min=1e-30).unsqueeze(1)


class InterestEncoder(SequenceEncoder):
    """`InterestLayer`s over items and positions that are kept apart."""

    def __init__(self, config: LightSANsConfig) -> None:
        super().__init__()
        self.rate = config.dropout
        self.positions = nn.Parameter(torch.randn(config.max_history, config.dimensions) * SPREAD)
        self.norm = nn.LayerNorm(config.dimensions)
        self.layers = nn.ModuleList(InterestLayer(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """See `SequenceEncoder.forward`. Not causal: only the last position of each row is a prediction."""
        positions, real = self.positions[: x.shape[1]], (x != 0).any(-1)
        x = dropout(self.norm(x), self.rate, self.training)
        for layer in self.layers:
            x = layer(x, positions, real)
        return x

    def last(self, x: Tensor, at: Tensor) -> Tensor:
        """See `SequenceEncoder.last`: the last layer sums up once, not for each position."""
        positions, real = self.positions[: x.shape[1]], (x != 0).any(-1)
        x = self.norm(x)
        for layer in self.layers[:-1]:
            x = layer(x, positions, real)
        return cast(InterestLayer, self.layers[-1]).last(x, positions, real, at)[:, 0]


class ConvolutionLayer(ThinkingLayer):
    """A depth-wise causal convolution (after ConvFormer, Wang et al., 2024: there the row wraps around at its start).

    A channel's output at t is ``sum over j < kernel of w_j x_(t-j)``, computed by a Fourier transform.
    """

    def __init__(self, config: ConvFormerConfig) -> None:
        super().__init__(config.dimensions, config.dropout)
        kernel = min(config.kernel, config.max_history)
        self.weight = nn.Parameter(torch.randn(kernel, config.dimensions) * 0.005)
        self.bias = nn.Parameter(torch.zeros(config.dimensions))

    def forward(self, x: Tensor) -> Tensor:
        """float[B, L, d] for float[B, L, d]."""
        length = x.shape[1]
        size = length + len(self.weight) - 1
        with torch.autocast(x.device.type, enabled=False):
            spectrum = torch.fft.rfft(x.float(), size, dim=1) * torch.fft.rfft(self.weight.float(), size, dim=0)
            mixed = torch.fft.irfft(spectrum, size, dim=1)[:, :length] + self.bias
        return self.think(x, mixed.to(x.dtype))

    def last(self, x: Tensor, at: Tensor) -> Tensor:
        """float[B, 1, d]: what comes out at the int64[B] positions ``at``, from as many positions as the kernel has."""
        places = at[:, None] - torch.arange(len(self.weight), device=x.device)
        near = x[torch.arange(len(x), device=x.device)[:, None], places.clamp(min=0)] * (places >= 0).unsqueeze(-1)
        mixed = (near * self.weight).sum(1, keepdim=True) + self.bias
        return self.think(pick_positions(x, at), mixed)


class ConvolutionEncoder(SequenceEncoder):
    """`ConvolutionLayer`s."""

    def __init__(self, config: ConvFormerConfig) -> None:
        super().__init__()
        self.rate, self.norm = config.dropout, nn.LayerNorm(config.dimensions)
        self.layers = nn.ModuleList(ConvolutionLayer(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """See `SequenceEncoder.forward`."""
        x = dropout(self.norm(x), self.rate, self.training)
        for layer in self.layers:
            x = layer(x)
        return x

    def last(self, x: Tensor, at: Tensor) -> Tensor:
        """See `SequenceEncoder.last`: the last layer reads what its kernel reaches."""
        x = self.norm(x)
        for layer in self.layers[:-1]:
            x = layer(x)
        return cast(ConvolutionLayer, self.layers[-1]).last(x, at)[:, 0]


class RecurrentEncoder(SequenceEncoder):
    """Gated recurrent units (GRU4Rec, Hidasi et al., 2016, with the softmax of the others)."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        d = config.dimensions
        rate = config.dropout if config.layers > 1 else 0.0
        self.rate = config.dropout
        self.reader = nn.GRU(d, d, num_layers=config.layers, batch_first=True, dropout=rate)
        self.outward = nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        """See `SequenceEncoder.forward`."""
        states: Tensor = self.outward(self.reader(dropout(x, self.rate, self.training))[0])
        return states
