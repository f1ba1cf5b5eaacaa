"""Opens data at a path: the installed data sources are asked which of them reads it, and it is imported once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.components import DataSource, Kind
from reasonrec_core.data.column_matching import ColumnMatcher
from reasonrec_core.data.column_parsing import take_column
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.images import find_item_pictures
from reasonrec_core.data.raw_tables import LOG_COLUMNS, RawTables
from reasonrec_core.data.storage import FORMAT, is_dataset
from reasonrec_core.errors import DataError, PluginError, did_you_mean
from reasonrec_core.io import cache_folder, content_hash, remove, sha256_of, sweep_leftovers, whole_folder
from reasonrec_core.registry import Registry

LOG = logging.getLogger("reasonrec.data")
READERS = "reasonrec-datasets"
"""The distribution that reads files: tables in CSV, Parquet and Arrow, and public layouts."""
PLAIN_STEMS = frozenset({"interactions", "ratings", "u", "sequences"})


def find_source(path: Path, registry: Registry | None = None) -> str:
    """The name of the data source that reads ``path``: the first that says so, in the order that they declare.

    Raises:
        DataError: it does not exist, or no source reads it; says what each reads, and what brings more.
    """
    _require_path(path)
    registry = registry or Registry.discover()
    for name in list_sources(registry):
        try:
            with registry.guard(Kind.DATA_SOURCE, name, "matches"):
                if _make_source(registry, name, {}).matches(path):
                    return name
        except PluginError as error:
            logging.getLogger("reasonrec").warning("a data source is not asked: %s", error.message)
    known = "; ".join(f"{n}: {registry.spec(Kind.DATA_SOURCE, n).spec.summary}" for n in list_sources(registry))
    fix = f"{f'Known layouts are {known}.' if known else ''} {_say_more(registry)}".strip()
    raise DataError("no known layout of data", where=str(path), fix=fix)


def list_sources(registry: Registry | None = None) -> list[str]:
    """Names of the installed data sources, in the order in which they are asked; broken ones last."""
    registry = registry or Registry.discover()

    def order(name: str) -> tuple[float, str]:
        try:
            return getattr(registry.load(Kind.DATA_SOURCE, name), "order", DataSource.order), name
        except PluginError:
            return float("inf"), name

    return sorted(registry.names(Kind.DATA_SOURCE), key=order)


def _make_source(registry: Registry, name: str, options: Mapping[str, Any]) -> DataSource[Any]:
    source = registry.create(Kind.DATA_SOURCE, name, options, where="--option" if options else None)
    assert isinstance(source, DataSource)
    return source


def _say_more(registry: Registry) -> str:
    """What to install where nothing reads files."""
    there = any(each.distribution == READERS for each in registry.components())
    return "" if there else f"Files are read by {READERS}: pip install {READERS}."


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
    path: Path,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    registry: Registry | None = None,
) -> RawTables:
    """Read a file or folder that a data source knows.

    Args:
        path: what to read.
        format: the name of a data source, or "auto" to ask them all.
        columns: ``{ours: theirs}`` for columns with names of their own; an empty name leaves a column out.
        options: the source's own settings.
        name: of the dataset; by default the file's or folder's.
        registry: the components that are installed; looked for by default.

    Returns:
        Checked tables.

    Raises:
        DataError: what is wrong, in which file, line and column, and what to do.
    """
    path, registry = Path(path), registry or Registry.discover()
    matcher = ColumnMatcher(columns)
    format = _choose_source(path, format, registry)
    source = _make_source(registry, format, options or {})
    with registry.guard(Kind.DATA_SOURCE, format, "read"):
        raw = source.read(path, matcher)
    matcher.refuse_unmatched()
    raw = _find_pictures(raw.check(), path if path.is_dir() else path.parent)
    about: dict[str, Any] = {"path": str(path.resolve()), "format": format, "columns": dict(columns or {})}
    about |= {"notes": [*matcher.notes, *_compare_items(raw)]} | ({"options": dict(options)} if options else {})
    return replace(raw, name=name or _name_after(path.resolve()), source=about)


def _choose_source(path: Path, format: str, registry: Registry) -> str:
    if format == "auto":
        return find_source(path, registry)
    names = registry.names(Kind.DATA_SOURCE)
    if format not in names:
        fix = f"{did_you_mean(format, names)} {_say_more(registry)}".strip()
        raise DataError(f"unknown format {format!r}", where="--format", fix=fix)
    _require_path(path)
    return format


def _find_pictures(raw: RawTables, folder: Path) -> RawTables:
    """Checked tables with the folder of the pictures that lie beside them, and their paths among the items."""
    if raw.images is not None:
        return raw
    items = raw.items
    if items is None:
        items = pa.table({"item_id": take_column(raw.interactions, "item_id").unique().dictionary_decode()})
    items, images = find_item_pictures(items, folder)
    if images is None:
        return raw
    return replace(raw, items=items, images=images, checked=(raw.interactions, items, raw.users))


def _name_after(path: Path) -> str:
    """The folder's name, or the file's where that says more than "interactions"."""
    stem = path.name.split(".")[0]
    return path.parent.name if path.is_file() and stem in PLAIN_STEMS else path.name if path.is_dir() else stem


def _compare_items(raw: RawTables) -> list[str]:
    """Remarks on how log and item table fit; an item table of wholly other ids is an error."""
    if raw.items is None:
        return ["no item table: items have neither text nor pictures"]
    used = take_column(raw.interactions, "item_id").unique().dictionary_decode()
    there = raw.items.column("item_id")
    absent = used.filter(pc.invert(pc.is_in(used, value_set=take_column(raw.items, "item_id"))))
    if len(absent) == len(used):
        what = f"none of the {len(used)} items of the interactions is in the item table"
        fix = f"Ids must be equal as text: {used[0].as_py()!r} there, {there[0].as_py()!r} here."
        raise DataError(what, fix=fix)
    if len(absent):
        return [f"{len(absent)} of {len(used)} items of the interactions are not in the item table, e.g. {absent[0]}"]
    return []


def open_or_import(
    path: Path,
    cache: Path | None = None,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    name: str | None = None,
    registry: Registry | None = None,
) -> Dataset:
    """Open a saved dataset, or import ``path`` once into ``cache/<hash of its files>/``.

    ``cache`` is the folder ``datasets`` in `reasonrec_core.io.cache_folder` where it is not given.

    Raises:
        DataError: see `import_path` and `Dataset.open`.
    """
    path, registry = Path(path), registry or Registry.discover()
    if is_dataset(path):
        return Dataset.open(path)
    format = _choose_source(path, format, registry)
    settings = (format, dict(columns or {}), seed, name, *([dict(options)] if options else []))
    with registry.guard(Kind.DATA_SOURCE, format, "files"):
        files = _make_source(registry, format, options or {}).files(path)
    folder = (cache or cache_folder() / "datasets") / _hash_files(files, path, *settings)[:32]
    sweep_leftovers(folder.parent)
    if (kept := _open_kept(folder)) is not None:
        return kept
    raw = import_path(path, format=format, columns=columns, options=options, name=name, registry=registry)
    with whole_folder(folder, first_stays=True) as aside:
        Dataset.build(raw, aside, seed=seed)
    return Dataset.open(folder)


def _open_kept(folder: Path) -> Dataset | None:
    """The dataset that was imported before; None where there is none, or it is damaged and was deleted."""
    if not folder.exists():
        return None
    try:
        kept = Dataset.open(folder)
        kept.verify()
    except DataError as error:
        LOG.warning("imported again: %s", error)
        remove(folder)
        return None
    return kept


def _hash_files(files: Sequence[Path], path: Path, *settings: object) -> str:
    """Hash of files by content, with the names of the pictures beside them and the settings of an import."""
    pictures = (path if path.is_dir() else path.parent) / "images"
    names = sorted(p.name for p in pictures.iterdir()) if pictures.is_dir() else []
    listed = [(f.name, sha256_of(f)) for f in files]
    return content_hash(FORMAT, LOG_COLUMNS, str(path.resolve()), listed, names, *settings)
