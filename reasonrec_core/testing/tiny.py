"""A small, deterministic dataset with everything in it: text, pictures, gaps, order, clicks.

Forty items in four categories; forty-eight users who each love one category and walk through its items in a
fixed direction, with noise. So popularity, order, text and pictures all carry signal, and a component that
looks at the wrong row shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.data import Dataset
from reasonrec_core.data.storage import IndexedTables, write_dataset
from reasonrec_core.registry import Registry
from reasonrec_core.types import (
    Bool,
    Cases,
    Float32,
    History,
    Int32,
    Int64,
    Interactions,
    Observation,
    QueryBatch,
    Task,
    indptr_of,
)

N_ITEMS, N_USERS = 40, 48
CATEGORIES = ("Lamps", "Mugs", "Kites", "Boots")
BRANDS = ("Acorn", "Birch", "Cedar")
COLOURS = ((220, 40, 40), (40, 200, 60), (50, 60, 220), (220, 200, 40))
WITHOUT_TEXT, WITHOUT_IMAGE, NEVER_SEEN = 7, (11, 12, 13), 39
"""Numbers of the items that lack text, lack an image, and occur in no interaction."""


@dataclass(frozen=True)
class Tiny:
    """A dataset, divided.

    Attributes:
        dataset: saved in the folder it was made in.
        fit: what a component may learn from.
        test: queries with targets; histories hold the training and validation parts.
    """

    dataset: Dataset
    fit: FitData
    test: Cases

    def observation(self, batch: QueryBatch) -> Observation:
        """What a component may look at when it answers ``batch``."""
        return replace(self.fit.observation, horizon=horizon(batch))


def horizon(batch: QueryBatch) -> Float32:
    """float32[B]: 1 for an empty history, falling with its length."""
    return np.asarray(1.0 / (1.0 + batch.history.lengths / 4.0), dtype=np.float32)


def item_id(number: int) -> str:
    """The string id of an item."""
    return f"item-{number:02d}"


class TinyTables(NamedTuple):
    """The data before it is stored: string ids, ``timestamp`` in seconds; ``images`` is the folder of the pictures."""

    log: pa.Table
    items: pa.Table
    users: pa.Table
    images: Path


def tiny_tables(folder: Path, *, clicks: bool = False, seed: int = 0) -> TinyTables:
    """The tables: ``item_id, title, brand, categories, price, description, image`` and a log with a clock."""
    random = np.random.default_rng(seed)
    rows = [_item(number, random) for number in range(N_ITEMS)]
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        if row["image"]:
            _picture(number, random).save(images / str(row["image"]))
    cities = [("Oslo", "Lima", None)[u % 3] for u in range(N_USERS)]
    users = pa.table({"user_id": [f"user-{u:02d}" for u in range(N_USERS)], "city": cities})
    return TinyTables(_log(random, clicks), pa.Table.from_pylist(rows), users, images)


def tiny_dataset(folder: Path, *, clicks: bool = False, seed: int = 0) -> Dataset:
    """The dataset, saved in ``folder / "dataset"``. ``clicks`` adds labels 0/1 (`Task.CTR`)."""
    tables = tiny_tables(folder, clicks=clicks, seed=seed)
    source = {"made by": "reasonrec_core.testing.tiny", "seed": seed}
    about = {"name": "tiny", "seed": seed, "images": str(tables.images.resolve()), "source": source}
    return store_tables(tables.log, tables.items, tables.users, folder / "dataset", about)


def store_tables(
    log: pa.Table, items: pa.Table, users: pa.Table, folder: Path, about: Mapping[str, Any] | None = None
) -> Dataset:
    """Store tables as a dataset, unchecked: they are right.

    Args:
        log: ``user_id``, ``item_id``, ``timestamp`` (int64) and perhaps ``value`` (float32).
        items: ``item_id`` and fields; all of the log's items, sorted.
        users: ``user_id`` and fields, likewise.
        folder: where the dataset is saved.
        about: ``name``, ``seed`` (of the order of the indices), ``images`` and ``source``.
    """
    about = {"name": "little", "seed": 0, "images": None, "source": {}, **(about or {})}
    users = users.take(pa.array(np.random.default_rng(about["seed"]).permutation(len(users))))
    items = items.take(pa.array(np.random.default_rng(about["seed"] + 1).permutation(len(items))))
    columns = {
        "user": pc.index_in(log["user_id"], users["user_id"]),
        "item": pc.index_in(log["item_id"], items["item_id"]),
        "time": log["timestamp"],
        **({"value": log["value"]} if "value" in log.column_names else {}),
    }
    stored = pa.table(columns, metadata={"clock": "1"}).sort_by([("user", "ascending"), ("time", "ascending")])
    write_dataset(folder, IndexedTables(stored.combine_chunks(), items, users), about)
    return Dataset.open(folder)


def tiny_fit_data(folder: Path, *, task: Task = Task.SEQUENTIAL, seed: int = 0) -> FitData:
    """What a component may learn from: `tiny`'s ``fit``."""
    return tiny(folder, task=task, seed=seed).fit


def tiny(folder: Path, *, task: Task = Task.SEQUENTIAL, seed: int = 0) -> Tiny:
    """The dataset divided for ``task``: each user's last interaction is test, the one before it validation."""
    dataset = tiny_dataset(folder, clicks=task is Task.CTR, seed=seed)
    log = dataset.interactions
    counts = np.bincount(log.users, minlength=dataset.n_users)
    ages = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(len(log))
    train = log.take(ages > 1)
    cases = [_cases(dataset, log, ages, age, task, seed) for age in (1, 0)]
    features, present = item_features(dataset)
    fit = FitData(
        catalog=dataset.catalog,
        n_users=dataset.n_users,
        train=train,
        valid=cases[0],
        observation=Observation(features, present, horizon(cases[0].queries)),
        task=task,
        seed=seed,
        delegate=_delegates(),
        horizon=horizon,
        user_fields=dataset.user_fields,
    )
    return Tiny(dataset, fit, cases[1])


def _delegates() -> Callable[[str], Delegate[Any]]:
    registry = Registry.discover()

    def make(name: str) -> Delegate[Any]:
        component = registry.create("delegate", name, {})
        assert isinstance(component, Delegate)
        return component

    return make


def _item(number: int, random: np.random.Generator) -> dict[str, object]:
    category, brand = CATEGORIES[number % 4], BRANDS[number % 3]
    text = number != WITHOUT_TEXT
    return {
        "item_id": item_id(number),
        "title": f"{brand} {category[:-1]} no. {number}" if text else None,
        "brand": brand if text else None,
        "categories": f"Goods|{category}" if text else None,
        "price": round(float(random.uniform(5, 50)), 2) if number % 5 else None,
        "description": f"A {category[:-1].lower()} <b>made</b> by {brand}." if text and number % 2 else None,
        "image": None if number in WITHOUT_IMAGE else f"{number:02d}.png",
    }


def _picture(number: int, random: np.random.Generator) -> Any:
    from PIL import Image

    pixels = np.array(COLOURS[number % 4]) + random.integers(-30, 31, (24, 16 + number % 5, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def _log(random: np.random.Generator, clicks: bool) -> pa.Table:
    users: list[str] = []
    items: list[str] = []
    times: list[int] = []
    labels: list[float] = []
    for user in range(N_USERS):
        clock, place = 1_700_000_000 + int(random.integers(0, 86_400)), int(random.integers(0, 9))
        seen: set[int] = set()
        while len(seen) < 5 + user % 7:
            loved = random.random() < (0.4 if clicks else 0.8)
            number = int(4 * (place % 10) + user % 4) if loved else int(random.integers(0, NEVER_SEEN))
            place += 1
            if number in seen or number == NEVER_SEEN:
                continue
            seen.add(number)
            clock += int(random.integers(60, 7200))
            users.append(f"user-{user:02d}")
            items.append(item_id(number))
            times.append(clock)
            labels.append(float(number % 4 == user % 4) if random.random() < 0.9 else 1.0)
    columns = {"user_id": users, "item_id": items, "timestamp": pa.array(times, pa.int64())}
    if clicks:
        columns["value"] = pa.array(labels, pa.float32())
    return pa.table(columns)


def _cases(dataset: Dataset, log: Interactions, ages: Int64, age: int, task: Task, seed: int) -> Cases:
    """One query per user: history = what is older than the interaction of that age (positives only, for clicks)."""
    target = np.flatnonzero(ages == age)
    past = np.flatnonzero((ages > age) if log.values is None else (ages > age) & (log.values > 0.5))
    lengths = np.bincount(log.users[past], minlength=dataset.n_users)[log.users[target]]
    indptr = indptr_of(lengths)
    history = History(indptr, log.items[past], log.times[past])
    queries = QueryBatch(task, log.users[target], history, k=10, times=log.times[target])
    bounds = np.arange(len(target) + 1, dtype=np.int64)
    if task is Task.CTR:
        assert log.values is not None
        queries = replace(queries, candidates=log.items[target][:, None])
        return Cases(queries, bounds, log.items[target], log.values[target][:, None])
    if task is Task.DIRECT:
        queries = replace(queries, candidates=_candidates(dataset, log, log.items[target], seed + age))
    return Cases(queries, bounds, log.items[target])


def _candidates(dataset: Dataset, log: Interactions, targets: Int32, seed: int) -> Int32:
    """int32[B, 10]: the target and nine items that the user never touched, in random order."""
    random = np.random.default_rng(seed)
    touched = np.zeros((dataset.n_users, dataset.n_items), np.bool_)
    touched[dataset.interactions.users, dataset.interactions.items] = True
    rows = [
        random.permutation(np.append(random.choice(np.flatnonzero(~touched[u]), 9, replace=False), targets[u]))
        for u in range(dataset.n_users)
    ]
    return np.array(rows, dtype=np.int32)


def item_features(dataset: Dataset) -> tuple[dict[str, Float32], dict[str, Bool]]:
    """Modalities "text" (words hashed to 12 columns) and "image" (mean colour), read-only as memory maps are."""
    catalog = dataset.catalog
    text = np.full((len(catalog), 12), np.nan, dtype=np.float32)
    image = np.full((len(catalog), 3), np.nan, dtype=np.float32)
    for row, words in enumerate(catalog.texts(("title", "brand", "categories"))):
        if words:
            text[row] = _words(words.split())
    for row, path in enumerate(catalog.image_paths):
        if path and catalog.images:
            image[row] = _mean_colour(catalog.images / path)
    features = {"text": text, "image": image}
    present: dict[str, Bool] = {name: np.asarray(np.isfinite(values).all(axis=1)) for name, values in features.items()}
    for values in features.values():
        values.setflags(write=False)
    return features, present


def _words(words: Sequence[str]) -> Float32:
    vector = np.zeros(12, dtype=np.float32)
    for word in words:
        vector[sum(word.encode()) % 12] += 1
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def _mean_colour(path: Path) -> Float32:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(np.asarray(picture, dtype=np.float32).mean(axis=(0, 1)) / 255, dtype=np.float32)
