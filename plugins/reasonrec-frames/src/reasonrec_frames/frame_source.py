"""A stored dataset of data frames, by the rules that hold for files."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from reasonrec_datasets import (
    ColumnMatcher,
    RawTables,
    SourceTable,
    TableSettings,
    TableSource,
    make_raw_tables,
    read_fields,
    read_log,
)

from reasonrec_core.components import ImportRequest
from reasonrec_core.config_errors import validated
from reasonrec_core.data import Dataset, is_dataset
from reasonrec_core.errors import ConfigError, DataError, did_you_mean
from reasonrec_core.io import cache_folder, content_hash, remove, sweep_leftovers, whole_folder
from reasonrec_frames.native_frames import FramePlace, read_frame
from reasonrec_frames.wording import python_words

RULES = 1
"""Enters the key of what is kept; another number when the rules of this file change."""
OF_FILES = frozenset({"encoding", "delimiter", "quote", "max_bytes", "max_columns"})
"""Settings of sources that only files have."""
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"})


LOOK_AT = 20
"""Paths that are tried to see whether pictures are there."""


class FrameSource(TableSource[TableSettings]):
    """Tables that are in memory; not registered, for there is no path that it reads."""

    tables: Mapping[str, pa.Table]
    images: Path | None = None

    def matches(self, path: Path) -> bool:
        """Never: frames are handed over."""
        return False

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The frames under our column names."""
        given = {name: SourceTable(table, Path(name), FramePlace(name)) for name, table in self.tables.items()}
        log = read_log(given["log"], columns)
        items, users = (read_fields(given[n], n, columns) if n in given else None for n in ("items", "users"))
        if self.images is not None:
            items = _name_pictures(
                items or SourceTable(log.table.select(["item_id"]), log.path, log.place), self.images
            )
        raw = make_raw_tables(log, items, users)
        if items is None or "image" not in items.names:
            return raw
        return RawTables(raw.interactions, raw.items, raw.users, self.images or Path(), places=raw.places)


def import_frames(
    log: Any,
    items: Any = None,
    users: Any = None,
    *,
    columns: Mapping[str, str] | None = None,
    images: str | os.PathLike[str] | None = None,
    name: str = "frames",
    seed: int = 0,
    **options: Any,
) -> Dataset:
    """A dataset of frames, stored in the cache under the hash of their content and of all arguments.

    Args:
        log: a row per interaction: ``user_id``, ``item_id`` and, where it is known, ``timestamp``, ``value`` and more.
        items: a row per item: ``item_id``, ``title`` and other fields, ``image`` with paths.
        users: a row per user.
        columns: ``{ours: theirs}`` for columns with names of their own; ``""`` leaves a column out.
        images: the folder that the paths of ``image`` are relative to (by default the working folder); without that
            column, its pictures are named after item ids.
        name: of the dataset.
        seed: of the order of the indices.
        options: as for files: ``time_format``, ``time_unit``, ``dedupe``, ``min_value``, ``k_core``, ``event_weights``.

    Raises:
        DataError: what is wrong, in which frame, row and column.
        ConfigError: an option that there is not.
    """
    with python_words():
        tables = {
            title: read_frame(frame, title)
            for title, frame in (("log", log), ("items", items), ("users", users))
            if frame is not None
        }
        source = _make_source(options)
        source.tables, source.images = tables, None if images is None else _find_folder(images)
        request = ImportRequest("frames", dict(columns or {}), options, name, seed)
        pictures = [] if source.images is None else sorted(each.name for each in source.images.iterdir())
        where = str((source.images or Path()).resolve())
        key = content_hash(RULES, *map(_hash_table, tables.values()), [*tables], asdict(request), where, pictures)
        folder = cache_folder() / "datasets" / key[:32]
        sweep_leftovers(folder.parent)
        if not _is_sound(folder):
            with whole_folder(folder, first_stays=True) as aside:
                _build(source, aside, request, folder)
        return Dataset.open(folder)


def _build(source: FrameSource, aside: Path, request: ImportRequest, folder: Path) -> None:
    """Store the dataset; what is wrong with no frame in particular is wrong with all of them."""
    nowhere = folder / "frames"  # there are no pictures beside it
    try:
        source.build(nowhere, aside, request)
    except DataError as error:
        if error.where != str(nowhere):
            raise
        raise DataError(error.what, where="log and items", fix=error.fix) from error


def _make_source(options: Mapping[str, Any]) -> FrameSource:
    known = TableSettings.model_fields.keys() - OF_FILES
    for option in options.keys() - known:
        raise ConfigError(f"there is no option {option!r}", where="from_frames", fix=did_you_mean(option, known))
    return FrameSource(validated(TableSettings, options, where="from_frames"))


def _is_sound(folder: Path) -> bool:
    """Whether the dataset is there and whole; a damaged one is removed."""
    if not is_dataset(folder):
        return False
    try:
        Dataset.open(folder).verify()
    except DataError:
        remove(folder)
        return False
    return True


def _find_folder(images: str | os.PathLike[str]) -> Path:
    folder = Path(images)
    if not folder.is_dir():
        raise DataError("there is no such folder", where=f"images={os.fspath(images)!r}")
    return folder


class _Digest(io.RawIOBase):
    """A stream that keeps a hash of what is written to it, and nothing else."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return len(data)


def _hash_table(table: pa.Table) -> str:
    """A hash of a table's content, however it is cut into pieces."""
    digest = _Digest()
    with pa.ipc.new_stream(digest, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return digest.sha256.hexdigest()


def _name_pictures(items: SourceTable, folder: Path) -> SourceTable:
    """The items with the files of ``folder`` that are named after their ids, unless they name pictures themselves."""
    if "image" in items.names:
        _refuse_absent(items, folder)
        return items
    files = {path.stem: path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES}
    ids = items.table.column("item_id").combine_chunks()
    ids = ids.dictionary_decode() if pa.types.is_dictionary(ids.type) else ids
    rows = pc.index_in(ids.cast(pa.string()), pa.array([*files], pa.string()))
    found = pa.array([*files.values()], pa.string()).take(rows)
    if found.null_count == len(found):
        raise DataError(
            "no picture is named after an item id",
            where=str(folder),
            fix="Name them ID.jpg, or give their names in a column image.",
        )
    return SourceTable(items.table.append_column("image", found), items.path, items.place)


def _refuse_absent(items: SourceTable, folder: Path) -> None:
    """Refuse a folder that holds none of the first pictures that are named."""
    paths = [str(path) for path in items.table.column("image").drop_null()[:LOOK_AT].to_pylist()]
    if paths and not any((folder / path).is_file() for path in paths):
        fix = "The paths in the column image are relative to images=."
        raise DataError(f"none of the pictures exists; the first would be {paths[0]!r}", where=str(folder), fix=fix)
