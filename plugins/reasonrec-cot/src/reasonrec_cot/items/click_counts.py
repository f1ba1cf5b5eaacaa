"""How often each item was clicked where it was shown: what labelled rows say of an item by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from reasonrec_core.errors import DataError
from reasonrec_core.io import whole_file
from reasonrec_core.types import Float32, Int32, Interactions

RATE, CLICKS = "click rate", "clicks"
"""Names of the two sources."""
STRENGTHS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


@dataclass(frozen=True)
class ClickCounts:
    """Counts of the training part.

    Attributes:
        rate: float32[n_learned] in (0, 1): (clicks + m g) / (rows + m), g the share of clicks among all rows, m the
            strength, of a few, under which each row is likeliest given the others (leave one out).
        share: float32[n_learned] in (0, 1): share of the items with fewer clicks, mid-ranks.
        base: g, said of items that came later; their share is one half.
    """

    rate: Float32
    share: Float32
    base: float

    @classmethod
    def of(cls, train: Interactions, n_items: int) -> ClickCounts:
        """Count labelled rows (``train.values``: above 0 is a click)."""
        assert train.values is not None
        clicked = train.values > 0
        shown = np.bincount(train.items, minlength=n_items).astype(np.float64)
        clicks = np.bincount(train.items[clicked], minlength=n_items).astype(np.float64)
        base = float(np.clip(clicked.mean(), 0.01, 0.99))
        strength = max(STRENGTHS, key=lambda m: _left_out(clicks, shown, base, m))
        order = np.sort(clicks)
        below, upto = np.searchsorted(order, clicks, "left"), np.searchsorted(order, clicks, "right")
        share = ((below + upto) / 2 / max(n_items, 1)).clip(0.5 / max(n_items, 1), 1 - 0.5 / max(n_items, 1))
        rate = (clicks + strength * base) / (shown + strength)
        return cls(rate.astype(np.float32), share.astype(np.float32), base)

    def look_up(self, items: Int32) -> Mapping[str, Float32]:
        """Per source float32 like ``items``; padding (-1) is treated like an item that came later."""
        known = (items >= 0) & (items < len(self.rate))
        at = np.where(known, items, 0)
        rate = np.where(known, self.rate[at], np.float32(self.base))
        return {RATE: rate.astype(np.float32), CLICKS: np.where(known, self.share[at], 0.5).astype(np.float32)}

    def save(self, path: Path) -> None:
        """Write the numbers."""
        with whole_file(path) as aside:
            save_file({"rate": self.rate, "share": self.share, "base": np.array([self.base])}, aside)

    @classmethod
    def load(cls, path: Path) -> ClickCounts:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            stored = load_file(path)
            return cls(stored["rate"], stored["share"], float(stored["base"][0]))
        except (OSError, SafetensorError, KeyError) as error:
            raise DataError(f"the counts cannot be read ({error})", where=str(path), fix="Tune again.") from error


def _left_out(clicks: np.ndarray, shown: np.ndarray, base: float, strength: float) -> float:
    """Log likelihood of all rows, each told by the others of its item."""
    prior = strength * base
    others = np.maximum(shown + strength - 1, 1e-9)
    yes = clicks * np.log(np.maximum((clicks - 1 + prior) / others, 1e-9))
    no = (shown - clicks) * np.log(np.maximum((shown - clicks - 1 + strength - prior) / others, 1e-9))
    return float((np.where(clicks > 0, yes, 0) + np.where(shown > clicks, no, 0)).sum())
