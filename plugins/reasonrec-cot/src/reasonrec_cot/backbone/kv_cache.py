"""Keys and values of what a model has read: buffers that grow in place, and beginnings that are shared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicLayer

from reasonrec_core.types import Int64

ROOM = 64
"""Places added at once, at least: writing a token then copies nothing."""
Layers = tuple[tuple[torch.Tensor, torch.Tensor], ...]


class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Like its base, but written in place: the base copies everything for every token."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append [B, heads, Q, d]; gives all, [B, heads, T, d], as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        if self.room is None or self.room[0].shape[-2] < after:
            self.room = tuple(  # type: ignore[assignment]
                _grown(old if before else None, new, before, after + max(ROOM, after // 4))
                for old, new in ((self.keys, key_states), (self.values, value_states))
            )
        assert self.room is not None
        for buffer, new in zip(self.room, (key_states, value_states), strict=True):
            buffer[..., before:after, :] = new
        self.keys, self.values = (buffer[..., :after, :] for buffer in self.room)
        return self.keys, self.values


def _grown(old: torch.Tensor | None, new: torch.Tensor, filled: int, places: int) -> torch.Tensor:
    buffer = new.new_empty((*new.shape[:-2], places, new.shape[-1]))
    if old is not None:
        buffer[..., :filled, :] = old
    return buffer


def make_cache(layers: int, start: Layers | None = None, rows: int = 1) -> Cache:
    """A cache of so many layers, empty or beginning with ``start`` ([1, heads, T, d] each) in every row.

    ``start`` is read, never written.
    """
    made: list[Any] = [GrowingLayer() for _ in range(layers)]
    for layer, pair in zip(made, start or (), strict=start is not None):
        layer.keys, layer.values = (states.expand(rows, -1, -1, -1) for states in pair)
        layer.dtype, layer.device, layer.is_initialized = pair[0].dtype, pair[0].device, True
    return Cache(layers=made)


def layers_of(cache: Cache, row: int, length: int) -> Layers:
    """The first ``length`` places of one row, as views."""
    found: list[Any] = cache.layers
    return tuple((layer.keys[row : row + 1, :, :length], layer.values[row : row + 1, :, :length]) for layer in found)


def shorten(cache: Cache, length: int) -> None:
    """Forget what was read after the first ``length`` places."""
    layers: list[Any] = cache.layers
    for layer in layers:
        layer.keys, layer.values = layer.keys[..., :length, :], layer.values[..., :length, :]


@dataclass(frozen=True)
class _Entry:
    tokens: Int64
    layers: Layers

    @property
    def bytes(self) -> int:
        return sum(states.numel() * states.element_size() for pair in self.layers for states in pair)


class Beginnings:
    """What was read lately, found by its content: the longest common beginning of a new text is not read again.

    Safe in threads. Least recently used entries go first when ``most`` bytes are passed.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._entries: OrderedDict[tuple[str, bytes], _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._held = 0

    def longest(self, tokens: Int64, source: str) -> tuple[int, Layers | None]:
        """How many of the first ``tokens`` are known, and their states; ``source`` tells soft tokens apart."""
        best, found = 0, None
        with self._lock:
            for key, entry in self._entries.items():
                if key[0] == source:
                    length = common(tokens, entry.tokens)
                    if length > best:
                        best, found = length, key
            if found is None:
                return 0, None
            self._entries.move_to_end(found)
            layers = self._entries[found].layers
        return best, tuple((keys[..., :best, :], values[..., :best, :]) for keys, values in layers)

    def keep(self, tokens: Int64, source: str, layers: Layers) -> None:
        """Remember the states of ``tokens``; entries that it begins with are dropped, it covers them."""
        entry = _Entry(tokens, layers)
        if entry.bytes > self.most:
            return
        with self._lock:
            covered = [
                key
                for key, old in self._entries.items()
                if key[0] == source and common(tokens, old.tokens) == len(old.tokens)
            ]
            for key in covered:
                self._held -= self._entries.pop(key).bytes
            self._entries[source, tokens.tobytes()] = entry
            self._held += entry.bytes
            while self._held > self.most:
                self._held -= self._entries.popitem(last=False)[1].bytes

    def clear(self) -> None:
        """Forget all; needed when the model's weights have changed."""
        with self._lock:
            self._entries.clear()
            self._held = 0


def common(one: Int64, other: Int64) -> int:
    """Length of the common beginning."""
    shortest = min(len(one), len(other))
    different = np.flatnonzero(one[:shortest] != other[:shortest])
    return int(different[0]) if len(different) else shortest
