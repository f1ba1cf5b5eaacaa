"""A folder of tables under names of their own: which file is the log, which one holds the items, which the users.

The last layout that is tried. What is guessed is said, with the setting that says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.catalog import TEXT_ORDER
from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError, did_you_mean
from reasonrec_datasets.importing.column_matching import ColumnMatcher, find_alias, list_names
from reasonrec_datasets.importing.id_parsing import parse_ids
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import look_only
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_fields, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.places import join_tables
from reasonrec_datasets.layouts.presplit import STEMS, mark_part
from reasonrec_datasets.layouts.sniffing import has_vague_suffix, looks_like_table
from reasonrec_datasets.layouts.tables import SPREADSHEETS, TABLES, convert_fields, open_table

Kind = Literal["items", "users"]
KEYS: Mapping[Kind, str] = {"items": "item_id", "users": "user_id"}
HINTS: Mapping[Kind, re.Pattern[str]] = {
    "items": re.compile(r"item|product|movie|book|article|song|track|game|catalog|sku|news|video|place|recipe|shop"),
    "users": re.compile(r"user|customer|client|member|reader|visitor|person|people|profile|buyer"),
}
PART_WORD = re.compile(r"(?:^|[^a-z])(train|training|valid|validation|val|dev|test)(?=[^a-z]|$)")
LEAST_SHARED = 0.5
"""Share of a log's ids that a column holds, where only that says that it is their key."""


class FolderSettings(TableSettings):
    """Settings of a folder of tables."""

    log: str | None = None
    """The file that holds the interactions (several: separated by commas); without it, guessed."""
    items: str | None = None
    """The file that holds the items; empty: none."""
    users: str | None = None
    """The file that holds the users; empty: none."""


@dataclass(frozen=True)
class _File:
    """A table in the folder, with its columns, and the names of those that hold ids."""

    path: Path
    names: tuple[str, ...]
    user: str | None
    item: str | None

    @property
    def is_log(self) -> bool:
        return self.user is not None and self.item is not None


class FolderSource(TableSource[FolderSettings]):
    """Tables in a folder, told by their columns."""

    Config = FolderSettings
    order = 90

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a folder with a table in it."""
        return path.is_dir() and bool(_list_tables(path))

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The log, and the items and users that fit it."""
        files = _open_all(path, columns)
        logs = self._choose_logs(path, files, columns)
        log = _read_logs(logs, columns)
        rest = [file for file in files if file not in logs]
        found: dict[Kind, SourceTable | None] = {}
        for kind in KEYS:
            said = getattr(self.config, kind)
            chosen = None if said == "" else _find_named(path, rest, said) if said else _guess(kind, rest, log)
            found[kind] = _read_fields(chosen, kind, columns, log) if chosen else None
            rest = [file for file in rest if file != chosen]
        _say_guess(logs, found, columns)
        return make_raw_tables(log, found["items"], found["users"])

    def _choose_logs(self, path: Path, files: Sequence[_File], columns: ColumnMatcher) -> list[_File]:
        if self.config.log:
            return [_find_named(path, files, name.strip()) for name in self.config.log.split(",")]
        logs = [file for file in files if file.is_log]
        if not logs:
            raise _ask_for_columns(path, files)
        groups: dict[tuple[str, ...], list[_File]] = {}
        for file in logs:
            stem = PART_WORD.sub("#", file.path.name.lower())
            groups.setdefault((re.sub(r"\d+", "0", stem), *file.names), []).append(file)

        def rank(group: list[_File]) -> tuple[bool, bool, bool, int]:
            named = group[0].path.name.lower().split(".")[0] == "interactions"
            parts, timed = {_part_of(file) for file in group}, find_alias("timestamp", group[0].names) is not None
            return named, {"train", "test"} <= parts, timed, sum(file.path.stat().st_size for file in group)

        return max(groups.values(), key=rank)


def _list_tables(folder: Path) -> list[Path]:
    files = (file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith((".", "_")))
    return [
        f
        for f in files
        if f.name.lower().endswith((*TABLES, *SPREADSHEETS)) or (has_vague_suffix(f) and looks_like_table(f))
    ]


def _open_all(folder: Path, columns: ColumnMatcher) -> list[_File]:
    """Every table that can be opened; one that cannot be is named. That a file was looked at is not that it was read.

    Raises:
        DataError: none can be opened; the first one's reason.
    """
    files: list[_File] = []
    failed: list[DataError] = []
    with look_only(start=True):
        for path in _list_tables(folder):
            try:
                names = open_table(path).names
            except DataError as error:
                failed.append(error)
                continue
            files.append(_File(path, names, columns.find("user_id", names), columns.find("item_id", names)))
    if failed and not any(file.is_log for file in files):
        raise failed[0]
    columns.notes += [f"not read: {error.message}" for error in failed]
    return files


def _find_named(folder: Path, files: Sequence[_File], name: str) -> _File:
    found = next((file for file in files if file.path.name == name), None)
    if found is None:
        there = [file.path.name for file in files]
        fix = f"{did_you_mean(name, there) or ''} There are: {list_names(there)}.".strip()
        raise DataError(f"no table {name!r}", where=str(folder), fix=fix)
    return found


def _part_of(file: _File) -> str | None:
    found = PART_WORD.search(file.path.name.lower())
    word = found[1].replace("training", "train") if found else None
    return next((part for part, stems in STEMS.items() if word in stems), None)


def _read_logs(files: Sequence[_File], columns: ColumnMatcher) -> SourceTable:
    """The log, its files one after the other; those called after parts are the parts."""
    parts = {file.path: _part_of(file) for file in files}
    split = {"train", "test"} <= set(parts.values())
    tables = [(parts[file.path], read_log(open_table(file.path), columns)) for file in files]
    logs = [mark_part(table, part) if split and part else table for part, table in tables]
    return join_tables(logs) if len(logs) > 1 else logs[0]


def _guess(kind: Kind, files: Sequence[_File], log: SourceTable) -> _File | None:
    """The table whose key holds most ids of the log, each once; where its names do not say the key, its cells do."""
    ids = _read_ids(log, KEYS[kind])
    best: tuple[float, bool, int] = (0.0, False, 0)
    chosen = None
    for file in files:
        named = file.item if kind == "items" else file.user
        other = file.user if kind == "items" else file.item
        hinted = bool(HINTS[kind].search(file.path.name.lower()))
        if other is not None or (named is None and any(HINTS[k].search(file.path.name.lower()) for k in KEYS) > hinted):
            continue
        with look_only():
            shares = _share_ids(file, [named] if named else file.names, ids)
        if kind == "users" and not named and not hinted and find_alias("title", file.names):
            continue
        share, column = max(shares, default=(0.0, ""))
        score = (share, hinted, len(set(TEXT_ORDER) & {*file.names}))
        if share and (named or share >= LEAST_SHARED) and score > best:
            best = score
            chosen = replace(file, item=column) if kind == "items" else replace(file, user=column)
    return chosen


def _share_ids(file: _File, names: Sequence[str], ids: pa.Array) -> list[tuple[float, str]]:
    """For each column that holds different ids: what share of ``ids`` it holds."""
    shares = []
    table = open_table(file.path).read(names).table
    for name in table.column_names:
        try:
            cells = parse_ids(table.column(name), name)
        except DataError:
            continue
        if len(cells.dictionary) == len(cells):
            shares.append((float(pc.mean(pc.is_in(ids, value_set=cells.dictionary).cast(pa.float64())).as_py()), name))
    return shares


def _read_ids(table: SourceTable, key: str) -> pa.Array:
    cells = flatten_column(table.table.column(key)).drop_null()
    return parse_ids(cells, key).dictionary if len(cells) else pa.array([], pa.string())


def _read_fields(file: _File, kind: Kind, columns: ColumnMatcher, log: SourceTable) -> SourceTable:
    """Items or users; their key is the column that is named, or that was found."""
    key = KEYS[kind]
    column = file.item if kind == "items" else file.user
    if column is None:
        with look_only():
            column = max(_share_ids(file, file.names, _read_ids(log, key)), default=(0.0, None))[1]
    opened = open_table(file.path)
    if column is not None and columns.find(key, file.names) != column:
        columns.notes.append(
            f"{file.path.name}: column {column!r} is read as {key}, because it holds the ids in the log"
        )
        opened = opened.read().rename({column: key})
    return convert_fields(read_fields(opened, kind, columns), columns)


def _say_guess(logs: Sequence[_File], found: Mapping[Kind, SourceTable | None], columns: ColumnMatcher) -> None:
    names = list_names([file.path.name for file in logs])
    tables = [
        f"{table.path.name} has the {kind}" if table else f"no table has the {kind}" for kind, table in found.items()
    ]
    fix = "If that is wrong: --option log=FILE, --option items=FILE, --option users=FILE (empty: none)."
    columns.notes.insert(0, f"guessed: {names} {'is' if len(logs) == 1 else 'are'} the log, {', '.join(tables)}. {fix}")


def _ask_for_columns(folder: Path, files: Sequence[_File]) -> DataError:
    """What to say where no file has both ids: the columns of each, and which one may be meant."""
    shown = "; ".join(f"{file.path.name}: {list_names(file.names, 12)}" for file in files[:8])
    largest = max(files, key=lambda file: file.path.stat().st_size)
    missing = [ours for ours, theirs in (("user_id", largest.user), ("item_id", largest.item)) if theirs is None]
    asked = " ".join(f"--column {ours}=COLUMN" for ours in missing or ["user_id", "item_id"])
    what = f"no table has recognisable columns of users and items. The columns are: {shown}"
    fix = f"Name them: {asked}. To name the log, too: --option log={largest.path.name}"
    return DataError(what, where=str(folder), fix=fix)
