"""Opens data at a path: the installed data sources are asked which of them reads it, and it is imported once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reasonrec_core.components import DataSource, ImportRequest, Kind
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.storage import FORMAT, is_dataset
from reasonrec_core.errors import DataError, PluginError, did_you_mean
from reasonrec_core.io import cache_folder, content_hash, remove, sha256_of, sweep_leftovers, whole_folder
from reasonrec_core.registry import Registry, guard

LOG = logging.getLogger("reasonrec.data")
READERS = "reasonrec-datasets"
"""The distribution that reads files: tables in CSV, Parquet and Arrow, and public layouts."""


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
            logging.getLogger("reasonrec").warning("a data source was skipped: %s", error.message)
    known = ", ".join(list_sources(registry))
    inner = [each.name for each in path.iterdir() if each.is_dir()][:3] if path.is_dir() else []
    hint = f"Name the folder that holds the files ({', '.join(inner)}?). " if inner else ""
    said = f"{hint}Known layouts are {known}; `reasonrec plugins` shows what each reads." if known else ""
    raise DataError("the layout of this data is unknown", where=str(path), fix=f"{said} {_say_more(registry)}".strip())


def list_sources(registry: Registry | None = None) -> list[str]:
    """Names of the installed data sources, in the order in which they are asked; broken ones last."""
    registry = registry or Registry.discover()

    def order(name: str) -> tuple[float, str]:
        try:
            return getattr(registry.load(Kind.DATA_SOURCE, name), "order", DataSource.order), name
        except PluginError:
            return float("inf"), name

    return sorted(registry.names(Kind.DATA_SOURCE), key=order)


@dataclass(frozen=True)
class ChosenSource:
    """A data source that is to read a path, the ``name`` that it is registered under, and by whom."""

    name: str
    source: DataSource[Any]
    registry: Registry

    def guard(self, method: str) -> guard:
        """Name the source in whatever it raises."""
        return self.registry.guard(Kind.DATA_SOURCE, self.name, method)


def choose_source(
    path: Path, format: str = "auto", options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> ChosenSource:
    """The data source called ``format``, or the one that knows ``path`` ("auto"), with its own settings.

    Raises:
        DataError: no such path or source, or none that reads it.
        ConfigError: an option that the source does not have.
    """
    registry = registry or Registry.discover()
    if format == "auto":
        format = find_source(path, registry)
    elif format not in (names := registry.names(Kind.DATA_SOURCE)):
        fix = f"{did_you_mean(format, names)} {_say_more(registry)}".strip()
        raise DataError(f"unknown format {format!r}", where="--format", fix=fix)
    else:
        _require_path(path)
    return ChosenSource(format, _make_source(registry, format, options or {}), registry)


def _make_source(registry: Registry, name: str, options: Mapping[str, Any]) -> DataSource[Any]:
    source = registry.create(Kind.DATA_SOURCE, name, options, where="--option" if options else None)
    assert isinstance(source, DataSource)
    return source


def _say_more(registry: Registry) -> str:
    """What to install where nothing reads files."""
    there = any(each.distribution == READERS for each in registry.components())
    return "" if there else f"To read files: pip install {READERS}."


def _require_path(path: Path) -> None:
    if is_dataset(path):
        fix = "Use it directly, or import what it was made from."
        raise DataError("is already a dataset", where=str(path), fix=fix)
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, beside) if beside and len(beside) < 100 else None
        raise DataError("no such file or folder", where=str(path), fix=hint)
    if path.is_dir() and not any(path.iterdir()):
        raise DataError("the folder is empty", where=str(path))


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

    Args:
        path: a dataset, or what a data source reads.
        cache: the folder ``datasets`` in `reasonrec_core.io.cache_folder` where it is not given.
        format: the name of a data source, or "auto" to ask them all.
        columns: ``{ours: theirs}`` for columns with names of their own; an empty name leaves a column out.
        options: the source's own settings.
        seed: of the order of the indices.
        name: of the dataset; by default the file's or folder's.
        registry: the components that are installed; looked for by default.

    Raises:
        DataError: what is wrong, in which file, line and column, and what to do; see also `Dataset.open`.
    """
    path = Path(path)
    if is_dataset(path):
        return Dataset.open(path)
    chosen = choose_source(path, format, options, registry)
    request = ImportRequest(chosen.name, columns or {}, options or {}, name, seed)
    with chosen.guard("files"):
        files = chosen.source.files(path)
    owner = chosen.registry.spec(Kind.DATA_SOURCE, chosen.name)
    key = _hash_files(files, path, owner.distribution, owner.version, asdict(request))
    folder = (cache or cache_folder() / "datasets") / key[:32]
    sweep_leftovers(folder.parent)
    if (kept := _open_kept(folder)) is not None:
        return kept
    with whole_folder(folder, first_stays=True) as aside, chosen.guard("build"):
        chosen.source.build(path, aside, request)
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
    """Hash of files by content, with the names of the pictures beside them, who reads them and how."""
    pictures = (path if path.is_dir() else path.parent) / "images"
    names = sorted(p.name for p in pictures.iterdir()) if pictures.is_dir() else []
    listed = [(f.name, sha256_of(f)) for f in files]
    return content_hash(FORMAT, str(path.resolve()), listed, names, *settings)
