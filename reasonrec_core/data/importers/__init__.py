"""Importers: each reads one layout of files into `RawTables`; the layout is found by looking, or named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pyarrow.compute as pc

from reasonrec_core.data.column_parsing import flat
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.importers.columns import Columns
from reasonrec_core.data.importers.new_items import NewItems, read_new_items
from reasonrec_core.data.importers.pictures import with_pictures
from reasonrec_core.data.raw import LOG_COLUMNS, RawTables
from reasonrec_core.data.storage import FORMAT, MANIFEST, is_dataset
from reasonrec_core.errors import DataError, did_you_mean
from reasonrec_core.io import content_hash, sha256_of

FORMATS = ("tables", "predefined", "recbole", "movielens", "sequences", "amazon")
"""Names of the layouts, in the order in which they are tried."""
MODULES = {"tables": "folder"}
PLAIN_STEMS = frozenset({"interactions", "ratings", "u", "sequences"})
BESIDE = ("items.", "users.", "movies.", "meta_")
"""How the files begin that are read beside a single file."""
DATA_SUFFIXES = frozenset(
    {".parquet", ".csv", ".tsv", ".gz", ".txt", ".json", ".jsonl", ".inter", ".item", ".user", ".dat", ".data"}
)


def importer(name: str) -> ModuleType:
    """The module of a layout: ``NAME``, ``SUMMARY``, ``matches(path)``, ``read(path, columns)``."""
    return import_module(f"{__name__}.{MODULES.get(name, name)}")


def find_format(path: Path) -> str:
    """Which layout ``path`` has.

    Raises:
        DataError: it does not exist, or no layout fits; says what each would need.
    """
    _require_path(path)
    for name in FORMATS:
        if importer(name).matches(path):
            return name
    wanted = "; ".join(f"{name}: {importer(name).SUMMARY}" for name in FORMATS)
    raise DataError("no known layout of data", where=str(path), fix=f"Known layouts are {wanted}.")


def _require_path(path: Path) -> None:
    if is_dataset(path):
        fix = "Use it as it is, or import what it was made from."
        raise DataError("is a dataset already", where=str(path), fix=fix)
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, beside) if beside and len(beside) < 100 else None
        raise DataError("no such file or folder", where=str(path), fix=hint)
    if path.is_dir() and not any(path.iterdir()):
        raise DataError("the folder is empty", where=str(path))


def import_path(
    path: Path, *, format: str = "auto", columns: Mapping[str, str] | None = None, name: str | None = None
) -> RawTables:
    """Read a file or folder in any known layout.

    Args:
        path: what to read.
        format: one of `FORMATS`, or "auto" to look.
        columns: ``{ours: theirs}`` for columns with names of their own; an empty name leaves a column out.
        name: of the dataset; by default the file's or folder's.

    Raises:
        DataError: what is wrong, in which file, line and column, and what to do.
    """
    path = Path(path)
    matching = Columns(columns)
    if format == "auto":
        format = find_format(path)
    elif format not in FORMATS:
        raise DataError(f"unknown format {format!r}", where="--format", fix=did_you_mean(format, FORMATS))
    _require_path(path)
    raw: RawTables = importer(format).read(path, matching)
    matching.finish()
    raw = with_pictures(raw.checked(), path if path.is_dir() else path.parent)
    notes = [*matching.notes, *_about_items(raw)]
    source = {"path": str(path.resolve()), "format": format, "columns": dict(columns or {}), "notes": notes}
    return replace(raw, name=name or _name(path.resolve()), source=source)


def _name(path: Path) -> str:
    """The folder's name, or the file's where that says more than "interactions"."""
    stem = path.name.split(".")[0]
    return path.parent.name if path.is_file() and stem in PLAIN_STEMS else path.name if path.is_dir() else stem


def _about_items(raw: RawTables) -> list[str]:
    """Remarks on how log and item table fit; an item table of wholly other ids is an error."""
    if raw.items is None:
        return ["no item table: items have neither text nor pictures"]
    used = flat(raw.interactions.column("item_id")).unique().dictionary_decode()
    there = raw.items.column("item_id")
    absent = used.filter(pc.invert(pc.is_in(used, value_set=flat(there))))
    if len(absent) == len(used):
        what = f"none of the {len(used)} items of the interactions is in the item table"
        fix = f"Ids must be equal as text: {used[0].as_py()!r} there, {there[0].as_py()!r} here."
        raise DataError(what, fix=fix)
    if len(absent):
        return [f"{len(absent)} of {len(used)} items of the interactions are not in the item table, e.g. {absent[0]}"]
    return []


def open_or_import(
    path: Path,
    cache: Path,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    name: str | None = None,
) -> Dataset:
    """Open a saved dataset, or import ``path`` once into ``cache/<hash of the source>/``.

    Raises:
        DataError: see `import_path` and `Dataset.open`.
    """
    path = Path(path)
    if is_dataset(path):
        return Dataset.open(path)
    if format == "auto":
        format = find_format(path)
    _require_path(path)
    folder = cache / source_hash(path, format, dict(columns or {}), seed, name)[:32]
    if (folder / MANIFEST).is_file():
        return Dataset.open(folder)
    return Dataset.build(import_path(path, format=format, columns=columns, name=name), folder, seed=seed)


def source_hash(path: Path, *settings: object) -> str:
    """Hash of the files that an import may read, by content, with the names of pictures and the settings."""
    folder = path if path.is_dir() else path.parent
    files = sorted(f for f in folder.iterdir() if f.is_file() and f.suffix in DATA_SUFFIXES)
    if path.is_file():
        stem = path.name.split(".")[0]
        files = [path, *(f for f in files if f != path and f.name.startswith((*BESIDE, f"{stem}.")))]
    pictures = folder / "images"
    names = sorted(p.name for p in pictures.iterdir()) if pictures.is_dir() else []
    listed = [(f.name, sha256_of(f)) for f in files]
    return content_hash(FORMAT, LOG_COLUMNS, str(path.resolve()), listed, names, *settings)


__all__ = [
    "FORMATS",
    "NewItems",
    "RawTables",
    "find_format",
    "import_path",
    "importer",
    "open_or_import",
    "read_new_items",
    "source_hash",
]
