"""What a model has read: keys and values in transformers' cache, what reading cost, and beginnings that are shared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicLayer

from reasonrec_core.types import Int64

Layers = tuple[tuple[torch.Tensor, torch.Tensor], ...]


def make_cache(layers: int, start: Layers | None = None, rows: int = 1) -> Cache:
    """A cache of so many layers, empty or beginning with ``start`` ([1, heads, T, d] each) in every row.

    ``start`` is read, never written.
    """
    layer_class: Any = DynamicLayer  # transformers leaves its constructor untyped
    made: list[Any] = [layer_class() for _ in range(layers)]
    for layer, pair in zip(made, start or (), strict=start is not None):
        layer.keys, layer.values = (states.expand(rows, -1, -1, -1) for states in pair)
        layer.dtype, layer.device, layer.is_initialized = pair[0].dtype, pair[0].device, True
    return Cache(layers=made)


def view_layers(cache: Cache, row: int, length: int) -> Layers:
    """The first ``length`` places of one row, as views."""
    found: list[Any] = cache.layers
    return tuple((layer.keys[row : row + 1, :, :length], layer.values[row : row + 1, :, :length]) for layer in found)


def shorten(cache: Cache, length: int) -> None:
    """Forget what was read after the first ``length`` places."""
    layers: list[Any] = cache.layers
    for layer in layers:
        layer.keys, layer.values = layer.keys[..., :length, :], layer.values[..., :length, :]


@dataclass
class Usage:
    """Tokens that went through the model, and tokens that did not because their states were kept."""

    read: int = 0
    written: int = 0
    reused: int = 0

    @property
    def tokens(self) -> int:
        """What is paid for: read and written."""
        return self.read + self.written

    def add(self, other: Usage) -> None:
        """Sum up."""
        self.read += other.read
        self.written += other.written
        self.reused += other.reused


@dataclass
class Reading:
    """B texts, read up to where something is to be said; `Backbone.advance` reads on in place.

    Attributes:
        cache: keys and values, T places.
        seen: bool[B, T]: which places of a row are its text; the others are padding.
        lengths: int64[B]: tokens of each text, padding left out; the next token's position.
        states: [B, d]: the model's last hidden state at each text's end.
        texts: each text's tokens.
        usage: what reading has cost so far.
    """

    cache: Cache
    seen: torch.Tensor
    lengths: torch.Tensor
    states: torch.Tensor
    texts: list[list[int]]
    usage: Usage = field(default_factory=Usage)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def places(self) -> int:
        """T."""
        return int(self.seen.shape[1])

    def rewind(self, places: int) -> None:
        """Forget what was read after the first ``places``; `lengths` and `states` are the caller's to restore."""
        shorten(self.cache, places)
        self.seen = self.seen[:, :places]


@dataclass(frozen=True)
class _Prefix:
    tokens: Int64
    layers: Layers

    @property
    def bytes(self) -> int:
        return sum(states.numel() * states.element_size() for pair in self.layers for states in pair)


class PrefixCache:
    """What was read lately, found by its content: the longest common beginning of a new text is not read again.

    Safe in threads. Least recently used entries go first when ``most`` bytes are passed. None comes in while ``grows``
    is False.
    """

    def __init__(self, most: int) -> None:
        self.most, self.grows = most, True
        self._entries: OrderedDict[tuple[str, bytes], _Prefix] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes_kept = 0

    def find_longest(self, tokens: Int64, source: str) -> tuple[int, Layers | None]:
        """How many of the first ``tokens`` are known, and their states; ``source`` tells soft tokens apart."""
        best, found = 0, None
        with self._lock:
            for key, entry in self._entries.items():
                if key[0] == source:
                    length = count_common(tokens, entry.tokens)
                    if length > best:
                        best, found = length, key
            if found is None:
                return 0, None
            self._entries.move_to_end(found)
            layers = self._entries[found].layers
        return best, tuple((keys[..., :best, :], values[..., :best, :]) for keys, values in layers)

    def keep(self, tokens: Int64, source: str, layers: Layers) -> None:
        """Remember the states of ``tokens``; entries that it begins with are dropped, it covers them."""
        entry = _Prefix(tokens, layers)
        if entry.bytes > self.most or not self.grows:
            return
        with self._lock:
            covered = [
                key
                for key, old in self._entries.items()
                if key[0] == source and count_common(tokens, old.tokens) == len(old.tokens)
            ]
            for key in covered:
                self._bytes_kept -= self._entries.pop(key).bytes
            self._entries[source, tokens.tobytes()] = entry
            self._bytes_kept += entry.bytes
            while self._bytes_kept > self.most:
                self._bytes_kept -= self._entries.popitem(last=False)[1].bytes

    def clear(self) -> None:
        """Forget all; needed when the model's weights have changed."""
        with self._lock:
            self._entries.clear()
            self._bytes_kept = 0


def count_common(one: Int64, other: Int64) -> int:
    """Length of the common beginning."""
    shortest = min(len(one), len(other))
    different = np.flatnonzero(one[:shortest] != other[:shortest])
    return int(different[0]) if len(different) else shortest
