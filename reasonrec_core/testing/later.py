"""The tiny dataset with items that came after the fit, and queries that name them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reasonrec_core.testing.queries import SOME, edge_queries
from reasonrec_core.testing.tiny import COLOURS, Tiny, item_features
from reasonrec_core.types import History, Observation, QueryBatch, Task

NEW_ITEMS: tuple[dict[str, Any], ...] = (
    {"item_id": "new-a", "title": "Acorn Lamp no. 90", "brand": "Acorn", "categories": "Goods|Lamps", "price": 12.5,
     "description": "A lamp.", "image": "new-a.png"},
    {"item_id": "new-b", "title": "Dune Drum", "brand": "Dune", "categories": "Goods|Drums", "price": 1e6},
    {"item_id": "new-c", "image": "new-c.png"},
    {"item_id": "new-d"},
)  # fmt: skip
"""One like others, one of labels that nothing had, one with a picture alone, one with nothing."""


def with_new_items(data: Tiny, folder: Path) -> Tiny:
    """The same log and queries, and a catalogue that has grown by `NEW_ITEMS` at its end; saved in ``folder``."""
    from PIL import Image

    images = data.dataset.catalog.images
    assert images is not None
    for number, item in enumerate(NEW_ITEMS):
        if "image" in item:
            Image.new("RGB", (20, 20), COLOURS[number]).save(images / str(item["image"]))
    rows = pa.Table.from_pylist(list(NEW_ITEMS), schema=data.dataset.catalog.table.schema)
    seed = int(data.dataset.manifest["seed"]) + data.dataset.n_items
    order = np.random.default_rng(seed).permutation(len(rows))
    dataset = data.dataset.append_items(rows.take(pa.array(order)), folder)
    features, present = item_features(dataset)
    observation = replace(data.fit.observation, features=features, present=present)
    return Tiny(dataset, replace(data.fit, catalog=dataset.catalog, observation=observation), data.test)


def later_queries(data: Tiny, first_new: int) -> Iterator[tuple[str, QueryBatch, Observation]]:
    """Queries to a catalogue whose items from ``first_new`` on are new, each with a name for the failure message."""
    batch, new = data.test.queries, list(range(first_new, len(data.dataset.catalog)))
    yield "the queries of the test", batch, data.observation(batch)
    batch = batch.take(np.arange(min(len(batch), SOME)))
    rows = len(batch)
    variants = {
        "histories of new items": replace(batch, history=History.of([new] * rows)),
        "histories of old items and a new one": replace(batch, history=History.of([[0, new[0], 3, 2]] * rows)),
        "a history of an item with nothing known": replace(batch, history=History.of([new[-1:]] * rows)),
        "k beyond the catalogue": replace(batch, k=len(data.dataset.catalog) + 5),
    }
    if batch.candidates is not None:
        listed = np.tile(np.array(new, np.int32), (rows, 1))
        both = np.concatenate([listed, batch.candidates], axis=1)
        variants["new items among the candidates"] = replace(batch, candidates=both, k=both.shape[1])
        variants["candidates that are all new"] = replace(batch, candidates=listed)
    for name, variant in variants.items():
        yield name, variant, data.observation(variant)
    if batch.task is not Task.CTR:
        yield from edge_queries(data, batch)
