"""Columns as people name and fill them, for the most part in one form."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from fuzzing.mutations import NUMBERS, TEXTS

COLUMNS = (
    "user_id",
    "item_id",
    "timestamp",
    "rating",
    "label",
    "part",
    "history",
    "review",
    "summary",
    "event",
    "userId",
    "date",
    "x",
)
FIELDS = ("item_id", "title", "categories", "brand", "price", "image", "description", "year", "asin", "x")


FORMS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "time": (
        ("1600000000", "1600000100", "1700000000"), ("2024-01-31", "2020-05-01"), ("1600000000000", "1600000000001"),
        ("2020-05-01T10:00:00Z", "2020-05-01 10:00:01+02"), ("20240131", "20231201"), ("1", "2", "3"), ("01/31/2024",),
        ("1.5e9", "1600000000.25"),
    ),
    "number": (
        ("0", "1"), ("1", "2", "3.5", "5"), ("-1", "1"), ("true", "false"), ("$3.50", "1,299.00", "N/A"),
        ("0.1", "", "7"),
    ),
    "part": (("train", "train", "valid", "test"), ("train", "test")),
    "history": (("", "i1 i2"), ('["i1", "i2"]', "[]"), ("['i3']", "i1")),
    "text": (("A b", "", "C"), ("Food|Fruit", "Food"), ("['Food', 'Fruit']", '["x"]'), ("view", "buy", "cart"), TEXTS),
}  # fmt: skip
KINDS = {
    "timestamp": "time", "date": "time", "rating": "number", "label": "number", "price": "number", "year": "number",
    "part": "part", "history": "history",
}  # fmt: skip


def draw_cells(name: str, rows: int, chance: Random) -> list[str]:
    """What may stand in a column of this name, in one form but for some odd cell."""
    if name in {"user_id", "userId"}:
        cells = [f"u{chance.randrange(5)}" for _ in range(rows)]
    elif name in {"item_id", "asin", "image"}:
        cells = [f"i{n if chance.random() < 0.7 else chance.randrange(6)}" for n in range(rows)]
    else:
        form = chance.choice(FORMS[KINDS.get(name, "text")])
        cells = [chance.choice(form) for _ in range(rows)]
    if rows and chance.random() < 0.06:
        cells[chance.randrange(rows)] = chance.choice((*NUMBERS, *TEXTS))
    return cells


def draw_columns(known: tuple[str, ...], chance: Random) -> list[str]:
    """Names of the two columns that are needed, mostly, and of some others."""
    names = list(known[:2]) if chance.random() < 0.93 else []
    names += [name for name in known[2:] if chance.random() < 0.25]
    if chance.random() < 0.08:
        names.append(chance.choice(TEXTS))
    chance.shuffle(names)
    return names or ["user_id"]
