"""A small catalogue for tests of text: films with two fields, some of them hostile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Interactions

TITLES = (
    "Night Train (1994)", "Blue Harbour (1995)", "The Quiet Hour (1996)", "Copper Kettle (1990)", "Paper Boat (1991)",
    "Garden Spade (1992)", "Tin Drum (1993)", "Silver Pen (1997)", "Oak Chair (1998)", "Red Bicycle (1999)",
)  # fmt: skip
GENRES = (
    "Drama|Crime", "Drama|Romance", "Drama", "Comedy", "Comedy|Romance", "Crime|Thriller", "Drama|War", "Comedy",
    "Thriller|Crime", "Comedy|Drama",
)  # fmt: skip
DIRECTORS = ("Ames", "Ames", "Berg", "Berg", "Cole", "Cole", "Ames", "Dunn", None, "Dunn")


def shop(titles: Sequence[str] = TITLES) -> Catalog:
    rows = range(len(titles))
    return Catalog(
        pa.table({
            "item_id": [f"i{n}" for n in rows],
            "title": list(titles),
            "categories": [GENRES[n % len(GENRES)] for n in rows],
            "director": [DIRECTORS[n % len(DIRECTORS)] for n in rows],
        })
    )  # fmt: skip


def log(rows: Sequence[Sequence[int]]) -> Interactions:
    lengths = [len(row) for row in rows]
    items = np.array([item for row in rows for item in row], np.int32)
    times = np.concatenate([np.arange(length) for length in lengths]).astype(np.int64)
    return Interactions(np.repeat(np.arange(len(rows), dtype=np.int32), lengths), items, times)
