"""One history by itself: `HistoryEncoder.last` without what only batches and training need.

What is read is one matrix rather than a batch, nothing is padded, masked or dropped, and the parameters lie at hand.
The operations are those of `history`, so the state is the same up to rounding; most of the time of one request is
what each operation costs before it has computed anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasonrec_chain.history import Attention, Filter, HistoryEncoder, Layer

Affine = tuple[Tensor, Tensor]
"""Weight and bias."""


@dataclass(frozen=True)
class Look:
    """A `Layer`, its parameters at hand.

    Attributes:
        inward: queries, keys and values of float[L, d]; None without attention.
        query, rest: the rows of ``inward`` for the queries, and for keys and values.
        outward: of the attention.
        heads: of the attention.
        filters, kept: of the frequency filter: float[length, length], and the share of high frequencies, float[d].
        share: of the filter.
        first, second: of the norms.
        widen, narrow: of the thinking.
    """

    inward: Affine | None
    query: Affine | None
    rest: Affine | None
    outward: Affine | None
    heads: int
    filters: Tensor | None
    kept: Tensor | None
    share: float
    first: Affine
    second: Affine
    widen: Affine
    narrow: Affine

    @classmethod
    def of(cls, layer: Layer) -> Self:
        """Without copies, but for the filter's squares."""
        attention, share = layer.attention, layer.share
        inward = query = rest = outward = filters = kept = None
        if isinstance(attention, Attention):
            inward, outward, d = _affine(attention.inward), _affine(attention.outward), attention.outward.in_features
            query, rest = ((inward[0][:d], inward[1][:d]), (inward[0][d:], inward[1][d:]))
        if isinstance(layer.filter, Filter):
            filters, kept = layer.filter.get_buffer("filters"), layer.filter.rest.detach() ** 2
        norms = _affine(layer.first), _affine(layer.second)
        heads = attention.heads if isinstance(attention, Attention) else 1
        thinking = _affine(layer.widen), _affine(layer.narrow)
        return cls(inward, query, rest, outward, heads, filters, kept, share, *norms, *thinking)

    def __call__(self, x: Tensor, last: bool) -> Tensor:
        """float[L, d] for float[L, d]; float[1, d], what comes out at the end, where only the ``last`` is wanted."""
        own, looked = x[-1:] if last else x, None
        if self.inward is not None:
            looked = self._attended(x, own, last)
            looked = looked if self.share == 0 else (1 - self.share) * looked
        if self.filters is not None and self.kept is not None:
            n = len(x)
            low = self.filters[n - 1 if last else 0 : n, :n] @ x
            filtered = self.share * (low + self.kept * (own - low))
            looked = filtered if looked is None else looked + filtered
        seen = _normed(own if looked is None else own + looked, self.first)
        thought = F.linear(F.gelu(F.linear(seen, *self.widen)), *self.narrow)
        return _normed(seen + thought, self.second)

    def _attended(self, x: Tensor, own: Tensor, last: bool) -> Tensor:
        """float[L or 1, d]: what the attention gives."""
        assert self.inward is not None
        assert self.query is not None
        assert self.rest is not None
        assert self.outward is not None
        if last:
            q = self._split(F.linear(own, *self.query), 1)[0]
            k, v = self._split(F.linear(x, *self.rest), 2).unbind()
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            q, k, v = self._split(F.linear(x, *self.inward), 3).unbind()
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.linear(mixed[0].transpose(0, 1).reshape(own.shape), *self.outward)

    def _split(self, x: Tensor, parts: int) -> Tensor:
        """float[parts, 1, heads, L, d / heads] of float[L, parts * d]."""
        return x.view(1, len(x), parts, self.heads, -1).permute(2, 0, 3, 1, 4)


@dataclass(frozen=True)
class Alone:
    """A `HistoryEncoder` that reads one history at a time.

    Attributes:
        positions: float[length, d].
        norm: of what is read.
        looks: in turn, each with the vector that a refinement adds, or None.
    """

    positions: Tensor
    norm: Affine
    looks: tuple[tuple[Look, Tensor | None], ...]

    @classmethod
    def of(cls, encoder: HistoryEncoder) -> Self | None:
        """Made from an encoder in evaluation mode; None where hooks change what its modules give."""
        if any(module._forward_hooks or module._forward_pre_hooks for module in encoder.modules()):
            return None
        layers = [Look.of(layer) for layer in encoder.layers if isinstance(layer, Layer)]
        looks = [*((look, None) for look in layers), *((layers[-1], which) for which in encoder.passes.detach())]
        return cls(encoder.positions.detach(), _affine(encoder.norm), tuple(looks))

    def __call__(self, x: Tensor) -> Tensor:
        """float[d]: the last state of float[L, d] item vectors, oldest first; L is at least 1."""
        x = _normed(x + self.positions[: len(x)], self.norm)
        for number, (look, which) in enumerate(self.looks, 1):
            x = look(x if which is None else x + which, number == len(self.looks))
        return x[0]

    @torch.inference_mode()
    def read(self, items: Tensor, table: Tensor) -> Tensor:
        """float[d] after int64[L] items, L at least 1, whose vectors are in float[n, d]."""
        return self(table.index_select(0, items))


def _affine(module: nn.Module) -> Affine:
    """The weight and bias of a linear map or a norm."""
    return module.get_parameter("weight").detach(), module.get_parameter("bias").detach()


def _normed(x: Tensor, by: Affine) -> Tensor:
    return F.layer_norm(x, by[0].shape, *by)
