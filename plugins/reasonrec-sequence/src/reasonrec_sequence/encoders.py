"""The encoders of histories: attention, latent interests, convolution, recurrence. All but one form are causal."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from reasonrec_torch.dropout import dropout
from reasonrec_torch.history_encoder import HistoryEncoder, pick_positions
from reasonrec_torch.item_encoder import SPREAD
from torch import Tensor, nn

from reasonrec_sequence.config import AttentionConfig, BSARecConfig, ConvFormerConfig, LightSANsConfig, SequenceConfig
from reasonrec_sequence.network import SequenceEncoder

STEEP = 60.0
"""Differences of attention logits beyond this are cut: exp(-60) is 0 beside 1, and 1 / exp(-60) is finite."""


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

    def forward(self, x: Tensor, positions: Tensor, real: Tensor, at: Tensor | None = None) -> Tensor:
        """float[B, L, d] for float[B, L, d], the float[L, d] vectors of positions, and bool[B, L], no padding.

        With int64[B] positions ``at`` float[B, 1, d], what comes out there.
        """
        rows, length, width = x.shape
        asked = pick_positions(x, at)
        weight, bias = self.inward.weight, self.inward.bias
        q = F.linear(asked, weight[:width], bias[:width])
        k, v = F.linear(x, weight[width:], bias[width:]).chunk(2, dim=-1)
        places = torch.arange(length, device=x.device)
        past = real if at is None else real & (places <= at[:, None])
        whole = at is not None or not self.causal
        keys, values = (self._sum_up(of(y), y, past, whole) for of, y in ((self.keys, k), (self.values, v)))
        q, keys, values = self._split(q), self._split(keys), self._split(values)
        scale = (width // self.heads) ** -0.5
        weights = torch.einsum("blhe,blkhe->blhk", q, keys) * scale
        seen = torch.einsum("blhk,blkhe->blhe", weights.softmax(-1), values)
        q, k = (self._split(part) for part in self.where(positions).chunk(2, dim=-1))
        order = torch.einsum("lhe,mhe->lhm", q, k)[places if at is None else at] * scale
        visible = past[:, None, None, :]
        if at is not None:
            order = order.unsqueeze(1)
        elif self.causal:
            visible = visible & torch.ones(length, length, dtype=torch.bool, device=x.device).tril()[:, None]
        order = order.masked_fill(~visible, -torch.inf).softmax(-1).nan_to_num(0.0)
        seen = seen + torch.einsum("blhm,bmhe->blhe", order, self._split(v))
        return self.think(asked, self.outward(seen.reshape(rows, -1, width)))

    def _split(self, x: Tensor) -> Tensor:
        """float[..., heads, d / heads] of float[..., d]."""
        return x.reshape(*x.shape[:-1], self.heads, -1)

    def _sum_up(self, weights: Tensor, x: Tensor, real: Tensor, whole: bool) -> Tensor:
        """float[B, L, k, d]: float[B, L, d] averaged up to each position by the softmax of float[B, L, k].

        ``whole``: float[B, 1, k, d], over all positions at once.
        """
        weights = weights.masked_fill(~real.unsqueeze(-1), -torch.inf)
        top = weights.amax(1, keepdim=True).nan_to_num(neginf=0.0)
        weights = (weights - top).clamp(min=-STEEP).exp() * real.unsqueeze(-1)
        if whole:
            total = weights.sum(1).clamp(min=1e-30)
            return (torch.einsum("blk,bld->bkd", weights, x) / total.unsqueeze(-1)).unsqueeze(1)
        total = weights.cumsum(1).clamp(min=1e-30)
        return (weights.unsqueeze(-1) * x.unsqueeze(2)).cumsum(1) / total.unsqueeze(-1)


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
        out: Tensor = self.layers[-1](x, positions, real, at)[:, 0]
        return out


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
