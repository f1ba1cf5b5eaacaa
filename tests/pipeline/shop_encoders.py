"""Two small encoders that see what the synthetic shop shows, registered for tests; they count what they encode."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from reasonrec_core.components import Encoder, Kind, Settings
from reasonrec_core.hookspecs import ComponentSpec
from reasonrec_core.plugins import Installed, Registered, discover
from reasonrec_core.registry import Registry

WIDTH = 128
ENCODED: Counter[str] = Counter()
"""How many inputs each encoder was given, over all tests of this process."""


class WordsConfig(Settings):
    """Which fields to read."""

    fields: tuple[str, ...] | None = None


class Words(Encoder[WordsConfig]):
    """Words, hashed to columns."""

    Config = WordsConfig
    salt: ClassVar[str] = ""

    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        """float32[n, 128]."""
        ENCODED["words"] += len(inputs)
        out = np.zeros((len(inputs), WIDTH), np.float32)
        for row, text in enumerate(inputs):
            for word in str(text).lower().replace(",", " ").replace(".", " ").split():
                out[row, zlib.crc32(word.encode()) % WIDTH] += 1
        return out

    def fingerprint(self) -> str:
        """The settings."""
        return self.salt + self.config.model_dump_json()


class Colours(Encoder[Settings]):
    """The picture, in eight by eight pixels."""

    Config = Settings
    modality = "image"

    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        """float32[n, 192]."""
        ENCODED["colours"] += len(inputs)
        return np.stack([np.asarray(p.resize((8, 8)), np.float32).ravel() / 255 for p in inputs])

    def fingerprint(self) -> str:
        """Never changes."""
        return "colours"


def registry(*more: Registered) -> Registry:
    """All that is installed, and these two as ``words`` and ``colours``."""

    def offer(name: str, target: str) -> Registered:
        return Registered(Kind.ENCODER, ComponentSpec(name, f"{__name__}:{target}", "x"), "tests", "1")

    offers = (offer("words", "Words"), offer("colours", "Colours"))
    return Registry(Installed((*discover().components, *offers, *more), (), ()))
