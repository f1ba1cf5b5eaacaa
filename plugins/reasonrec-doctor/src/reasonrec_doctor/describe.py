"""What is in a dataset, in numbers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
from reasonrec_datasets import PARTS, find_implausible_times

from reasonrec_core.data.cases import make_pair_keys
from reasonrec_core.data.dataset import Dataset

QUANTILES = {"min": 0.0, "p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "max": 1.0}
TOP = 10
FEW_VALUES = 12


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """JSON-able facts about a dataset; shares are in [0, 1], times ISO 8601 in UTC."""
    log = dataset.interactions
    per_user = np.bincount(log.users, minlength=dataset.n_users)
    per_item = np.bincount(log.items, minlength=dataset.n_items)
    facts = {
        "name": dataset.name,
        "hash": dataset.hash,
        "format": dataset.manifest["source"].get("format"),
        "users": dataset.n_users,
        "items": dataset.n_items,
        "interactions": len(log),
        "density": len(log) / max(dataset.n_users * dataset.n_items, 1),
        "history_length": _quantiles(per_user[per_user > 0]),
        "item_interactions": _quantiles(per_item),
        "users_without_interactions": int((per_user == 0).sum()),
        "cold_items": int((per_item == 0).sum()),
        "repeated_pairs": _repeated_pairs(dataset),
        "time": _time(dataset),
        "values": _values(log.values),
        "parts": _parts(dataset),
        "reviews": _reviews(dataset),
        "fields": _fields(dataset),
        "user_fields": [name for name in dataset.users.column_names if name != "user_id"],
        "text": float(np.mean([text is not None for text in dataset.catalog.texts()])),
        "image": float(dataset.catalog.has_image.mean()),
        "images_folder": str(dataset.catalog.images) if dataset.catalog.images else None,
        "images_folder_exists": bool(dataset.catalog.images and dataset.catalog.images.is_dir()),
        "top_categories": _top_categories(dataset, per_item),
        "notes": dataset.notes,
    }
    return facts


def _quantiles(values: np.ndarray[Any, Any]) -> dict[str, float]:
    found = np.quantile(values, list(QUANTILES.values())) if len(values) else np.zeros(len(QUANTILES))
    mean = float(values.mean()) if len(values) else 0.0
    return {**dict(zip(QUANTILES, map(float, found), strict=True)), "mean": mean}


def _repeated_pairs(dataset: Dataset) -> int:
    """Interactions of a user with an item that the same user already had."""
    log = dataset.interactions
    pairs = make_pair_keys(log.users, log.items, dataset.n_items)
    return len(pairs) - len(np.unique(pairs))


def _time(dataset: Dataset) -> dict[str, Any]:
    """Range, and how many interactions share their time with the user's one before."""
    log = dataset.interactions
    same = (np.diff(log.users) == 0) & (np.diff(log.times) == 0)
    last = np.flatnonzero(np.append(np.diff(log.users) != 0, True))[:-1] if len(log) else np.zeros(0, np.int64)
    last = np.append(last, len(log) - 1)
    long = last[(last > 0)]
    tied_last = int(same[long - 1].sum()) if len(long) else 0
    facts: dict[str, Any] = {
        "clock": dataset.has_clock,
        "ties": int(same.sum()),
        "users_with_tied_last": tied_last,
    }
    if dataset.has_clock and len(log):
        facts["implausible"] = int(find_implausible_times(log.times).sum())
        facts["first"], facts["last"] = _iso(int(log.times.min())), _iso(int(log.times.max()))
    return facts


def _iso(seconds: int) -> str | int:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return seconds


def _values(values: np.ndarray[Any, Any] | None) -> dict[str, Any] | None:
    """Mean and quantiles; the counts of each value where there are few."""
    if values is None:
        return None
    distinct, counts = np.unique(values, return_counts=True)
    facts: dict[str, Any] = dict(_quantiles(values.astype(np.float64)))
    if len(distinct) <= FEW_VALUES:
        facts["counts"] = {f"{value:g}": int(count) for value, count in zip(distinct, counts, strict=True)}
    return facts


def _parts(dataset: Dataset) -> dict[str, int] | None:
    if dataset.parts is None:
        return None
    counts = np.bincount(dataset.parts, minlength=len(PARTS))
    return {part: int(count) for part, count in zip(PARTS, counts, strict=True)}


def _reviews(dataset: Dataset) -> dict[str, Any] | None:
    """How many interactions have a review and a headline, and how many words reviews have."""
    reviews = dataset.reviews
    if reviews is None:
        return None
    words = np.fromiter((len(text.split()) for text in reviews.texts), np.int64, len(reviews))
    headed = sum(map(bool, reviews.summaries.tolist()))
    return {
        "count": len(reviews),
        "share": len(reviews) / max(len(dataset), 1),
        "summaries": headed,
        "words": _quantiles(words),
    }


def _fields(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Per item field its type and the share of items that have it."""
    catalog = dataset.catalog
    return {
        name: {
            "type": "text" if name in catalog.text_fields else str(catalog.table.schema.field(name).type),
            "share": sum(v is not None for v in catalog.column(name)) / max(len(catalog), 1),
        }
        for name in catalog.fields
    }


def _top_categories(dataset: Dataset, per_item: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """The most frequent labels of ``categories``, by items, with their interactions."""
    if "categories" not in dataset.catalog.fields:
        return []
    items: Counter[str] = Counter()
    interactions: Counter[str] = Counter()
    for labels, count in zip(dataset.catalog.labels("categories"), per_item.tolist(), strict=True):
        for label in set(labels):
            items[label] += 1
            interactions[label] += count
    best = sorted(items, key=lambda label: (-items[label], label))[:TOP]
    return [{"label": label, "items": items[label], "interactions": interactions[label]} for label in best]
