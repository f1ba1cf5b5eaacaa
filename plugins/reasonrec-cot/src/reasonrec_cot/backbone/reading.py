"""What a model has read of a batch of texts, and what each reading cost."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from transformers.cache_utils import Cache

from reasonrec_cot.backbone.kv_cache import shorten


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
