"""The items of the synthetic shop: attributes, and the text that tells some of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.types import Bool, Float32, Int64
from reasonrec_datasets.synth.config import SynthConfig
from reasonrec_datasets.synth.vocabulary import BRANDS, CATEGORIES, MATERIALS, PALETTES, PATTERNS, THEMES

BLOCKS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("pattern", "image", PATTERNS),
    ("palette", "image", PALETTES),
    ("theme", "text", tuple(theme.name for theme in THEMES)),
    ("material", "text", tuple(name for name, _ in MATERIALS)),
    ("category", "both", CATEGORIES),
)
"""Attribute, where it can be seen, values; columns of `Shop.attributes` in this order."""


@dataclass(frozen=True)
class Shop:
    """The items.

    Attributes:
        ids: string ids, in random order of anything that matters.
        values: per attribute int64[n_items] positions in its `BLOCKS` values.
        attributes: float32[n_items, A] one-hot blocks side by side.
        fields: the columns of ``items.csv`` besides the id.
        pictured: bool[n_items] the item has a picture.
    """

    ids: list[str]
    values: dict[str, Int64]
    attributes: Float32
    fields: dict[str, list[str]]
    pictured: Bool


def stock(config: SynthConfig, rng: np.random.Generator) -> Shop:
    """Draw the items; attributes are independent, so that neither text nor picture tells what the other hides."""
    n = config.items
    values = {name: rng.integers(0, len(options), n) for name, _, options in BLOCKS}
    blocks = [np.eye(len(options), dtype=np.float32)[values[name]] for name, _, options in BLOCKS]
    ids = [f"P{number:05d}" for number in rng.choice(90_000, n, replace=False) + 10_000]
    brands = rng.integers(0, len(BRANDS), n)
    prices = np.round(rng.lognormal(3.2, 0.5, n), 2)
    sentence = rng.integers(0, 3, n)
    pictured = rng.random(n) >= config.missing_images
    fields: dict[str, list[str]] = {
        name: [] for name in ("title", "brand", "categories", "price", "description", "image")
    }
    for i in range(n):
        theme, (material, feel) = THEMES[values["theme"][i]], MATERIALS[values["material"][i]]
        category = CATEGORIES[values["category"][i]]
        fields["title"].append(f"{theme.name} {material} {category}")
        fields["brand"].append(BRANDS[brands[i]])
        fields["categories"].append(f"Home|{category}")
        fields["price"].append(f"{prices[i]:.2f}")
        fields["description"].append(f"{theme.sentences[sentence[i]]} {feel}")
        fields["image"].append(f"images/{ids[i]}.jpg" if pictured[i] else "")
    return Shop(ids, values, np.concatenate(blocks, axis=1), fields, pictured)
