"""Trained encoders asked without torch: `HistoryEncoder` and `ItemEncoder` as arrays, by the same equations.

A request is a few products of small matrices, for which torch's calls cost more than its kernels save, and importing it
takes longer than all else that a server loads. Training stays torch's; tests hold the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import erf, expit

from reasonrec_core.types import Float32, Int64
from reasonrec_torch.item_features import TableInputs

Tensors = Mapping[str, Float32]
"""Parameters by their names in the module that was trained."""
EPSILON = np.float32(1e-5)
"""Of torch's layer norm."""
HALF, ROOT = np.float32(0.5), np.float32(math.sqrt(0.5))


@dataclass(frozen=True)
class Linear:
    """``x W + b``, with float32[in, out] W."""

    weight: Float32
    bias: Float32

    @classmethod
    def of(cls, tensors: Tensors, name: str, rows: slice = slice(None)) -> Self:
        """The layer of this name, or some of its outputs."""
        return cls(np.ascontiguousarray(tensors[f"{name}.weight"][rows].T), tensors[f"{name}.bias"][rows])

    def __call__(self, x: Float32) -> Float32:
        """float32[..., out] of float32[..., in]."""
        out = x.reshape(-1, x.shape[-1]) @ self.weight  # one product: numpy takes a stack of matrices one by one
        out += self.bias
        return out.reshape(*x.shape[:-1], out.shape[-1])


@dataclass(frozen=True)
class Norm:
    """Layer norm."""

    weight: Float32
    bias: Float32

    @classmethod
    def of(cls, tensors: Tensors, name: str) -> Self:
        """The norm of this name."""
        return cls(tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def __call__(self, x: Float32) -> Float32:
        """float32[..., d] of the same."""
        out: Float32 = x - x.mean(axis=-1, keepdims=True)
        spread = np.einsum("...d,...d->...", out, out)[..., None]
        spread /= np.float32(x.shape[-1])
        spread += EPSILON
        out /= np.sqrt(spread, out=spread)
        out *= self.weight
        out += self.bias
        return out


@dataclass(frozen=True)
class LayerMasks:
    """What dropout leaves of one layer, the same for every position: factors of its parts' outputs.

    Attributes:
        looked, thought: float32[d].
        hidden: float32[4 d].
    """

    looked: Float32
    hidden: Float32
    thought: Float32


class LayerArrays:
    """One `EncoderLayer`.

    Args:
        tensors: its parameters.
        heads: of the attention.
        share: of the filter.
        filters: float32[L, L], of `make_low_pass`; None without a filter.
    """

    def __init__(self, tensors: Tensors, heads: int, share: float, filters: Float32 | None) -> None:
        self.heads, self.share = heads, np.float32(share)
        self.first, self.second = Norm.of(tensors, "first"), Norm.of(tensors, "second")
        self.widen, self.narrow = Linear.of(tensors, "widen"), Linear.of(tensors, "narrow")
        width = len(self.first.weight)
        if share < 1:
            self.query = Linear.of(tensors, "attention.inward", slice(None, width))
            self.past = Linear.of(tensors, "attention.inward", slice(width, None))
            self.outward = Linear.of(tensors, "attention.outward")
        if filters is not None:
            self.filters, self.rest = filters, tensors["filter.rest"] ** 2

    def __call__(self, x: Float32, at: Int64 | None, masks: LayerMasks | None) -> Float32:
        """float32[B, L, d] for float32[B, L, d]; with int64[B] positions ``at`` float32[B, 1, d], those alone."""
        there = x if at is None else x[np.arange(len(x)), at][:, None]
        looked: Float32 = np.zeros(1, np.float32)
        if self.share < 1:
            seen = self._attend(x, there, at)
            looked = looked + (1 - self.share) * (seen if masks is None else seen * masks.looked)
        if self.share > 0:
            low = self.filters[: x.shape[1], : x.shape[1]]
            low = low @ x if at is None else low[at][:, None] @ x
            seen = low + self.rest * (there - low)
            looked = looked + self.share * (seen if masks is None else seen * masks.looked)
        x = self.first(there + looked)
        hidden = _gelu(self.widen(x))
        thought = self.narrow(hidden if masks is None else hidden * masks.hidden)
        return self.second(x + (thought if masks is None else thought * masks.thought))

    def _attend(self, x: Float32, there: Float32, at: Int64 | None) -> Float32:
        rows, length, width = x.shape
        size = width // self.heads
        q = self.query(there).reshape(rows, -1, self.heads, size).transpose(0, 2, 1, 3)
        k, v = self.past(x).reshape(rows, length, 2, self.heads, size).transpose(2, 0, 3, 1, 4)
        weights = q @ k.transpose(0, 1, 3, 2)
        weights *= np.float32(1 / math.sqrt(size))
        within = np.tri(length, dtype=np.bool_) if at is None else (np.arange(length) <= at[:, None])[:, None, None, :]
        weights = np.where(within, weights, np.float32(-np.inf))
        weights -= weights.max(axis=-1, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=-1, keepdims=True)
        return self.outward((weights @ v).transpose(0, 2, 1, 3).reshape(rows, -1, width))


class HistoryArrays:
    """A `HistoryEncoder`.

    Args:
        tensors: its parameters.
        heads: of the attention.
        layers: how many.
        share: of the filter.
        filters: float32[L, L], of `make_low_pass`; None without a filter.
    """

    def __init__(self, tensors: Tensors, heads: int, layers: int, share: float, filters: Float32 | None) -> None:
        self.positions, self.norm = tensors["positions"], Norm.of(tensors, "norm")
        self.layers = [LayerArrays(take_under(f"layers.{at}.", tensors), heads, share, filters) for at in range(layers)]
        self.passes = tensors["passes"]
        self.masks: tuple[Float32 | None, Sequence[LayerMasks | None]] = (None, [None] * layers)
        """What dropout leaves of the first norm and of each layer; None where nothing is dropped."""

    def last(self, x: Float32, at: Int64) -> Float32:
        """float32[B, d]: what is known after the positions int64[B] of float32[B, L, d]; see `HistoryEncoder.last`."""
        first, masks = self.masks
        x = self.norm(x + self.positions[: x.shape[1]])
        x = x if first is None else x * first
        looks = [(layer, mask, None) for layer, mask in zip(self.layers, masks, strict=True)]
        looks += [(self.layers[-1], masks[-1], which) for which in self.passes]
        for layer, mask, which in looks[:-1]:
            x = layer(x if which is None else x + which, None, mask)
        layer, mask, which = looks[-1]
        return layer(x if which is None else x + which, at, mask)[:, 0]


class ItemArrays:
    """An `ItemEncoder`.

    Args:
        tensors: its parameters.
        use_ids: whether items have vectors of their own.
    """

    def __init__(self, tensors: Tensors, use_ids: bool = True) -> None:
        self.use_ids, self.ids, self.bias = use_ids, tensors["ids"], tensors["bias"]
        self.views, self.labels = _list(tensors, "views"), _list(tensors, "labels")
        self.gates, self.tilt = tensors["gates"], tensors["tilt"]

    def __call__(self, inputs: TableInputs) -> tuple[Float32, Float32]:
        """float32[n, d] vectors and float32[n] biases; see `ItemEncoder.forward`."""
        n, trained = len(inputs.counts), len(self.ids)
        known = (inputs.counts > 0).astype(np.float32) if self.use_ids else np.zeros(n, np.float32)
        shown = [known, *inputs.present]
        content = [view @ weight for view, weight in zip(inputs.views, self.views, strict=True)]
        for member, weight in zip(inputs.members, self.labels, strict=True):
            content.append(np.asarray(member @ weight, np.float32))
            shown.append((content[-1] != 0).any(axis=1).astype(np.float32))
        there = np.stack(shown, axis=1)
        gates = 2 * expit((1 - there) @ self.gates) * there
        table = np.zeros((n, self.ids.shape[1]), np.float32)
        for part, made in enumerate(content, start=1):
            table += gates[:, part : part + 1] * made
        bias = table @ self.tilt
        table[:trained] += gates[:trained, :1] * self.ids
        bias[:trained] += self.bias * known[:trained]
        return table, bias


def take_under(prefix: str, tensors: Tensors) -> dict[str, Float32]:
    """The parameters whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def make_low_pass(length: int, components: int) -> Float32:
    """float32[length, length]: row t gives, at position t, the ``components`` lowest frequencies of positions 0..t.

    The discrete Fourier transform of each prefix, cut and inverted at its end: a causal form of the frequency filter
    of BSARec (Shin et al., AAAI 2024, equation 7), whose transform of the whole row would let a position see what
    follows it.
    """
    filters = np.zeros((length, length))
    for last in range(length):
        n = last + 1
        spectrum = np.fft.fft(np.eye(n), axis=0)
        spectrum[np.minimum(np.arange(n), n - np.arange(n)) >= components] = 0
        filters[last, :n] = np.fft.ifft(spectrum, axis=0).real[-1]
    return filters.astype(np.float32)


def _list(tensors: Tensors, name: str) -> list[Float32]:
    found = take_under(f"{name}.", tensors)
    return [found[str(at)] for at in range(len(found))]


def _gelu(x: Float32) -> Float32:
    out = erf(x * ROOT)
    out += 1
    out *= x
    out *= HALF
    return np.asarray(out, np.float32)
