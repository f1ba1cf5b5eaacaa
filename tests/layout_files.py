"""Files of a layout, written and imported, for the tests of data sources."""

from __future__ import annotations

import gzip
from pathlib import Path

from reasonrec_datasets import build_dataset, import_path

from reasonrec_core.data import Dataset


def write(folder: Path, **files: str | bytes) -> Path:
    """Files by name; ``__`` in a keyword stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return folder


def load(path: Path, out: Path, **options: object) -> Dataset:
    return build_dataset(import_path(path, **options), out / "dataset")  # type: ignore[arg-type]


def log_of(dataset: Dataset) -> dict[str, list[str]]:
    """Each user's items in order, as ids."""
    users, ids = dataset.users.column("user_id").to_pylist(), dataset.catalog.ids
    log = dataset.interactions
    found: dict[str, list[str]] = {}
    for user, item in zip(log.users.tolist(), log.items.tolist(), strict=True):
        found.setdefault(users[user], []).append(ids[item])
    return found


def fields_of(dataset: Dataset, item: str) -> dict[str, str | None]:
    index = dataset.catalog.index[item]
    return {name: dataset.catalog.column(name)[index] for name in dataset.catalog.fields}
