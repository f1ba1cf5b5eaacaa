"""MIND, Microsoft's news: ``behaviors.tsv`` and ``news.tsv``, or the folders of its parts (``MINDsmall_train``, ...).

Source: msnews.github.io, github.com/msnews/msnews.github.io/blob/master/assets/doc/introduction.md. Behaviors:
impression, user, time (``11/11/2019 9:05:58 AM``), history (news ids, oldest first), impressions (``N1-1 N2-0``:
shown, and clicked or not; the large test set has no labels). News: id, category, subcategory, title, abstract,
address, entities.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_core.types import indptr_of
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.histories import flatten_shared
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.source_tables import RowPlace, SourceTable, make_raw_tables
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.importing.time_parsing import TimeForm, parse_times
from reasonrec_datasets.layouts.csv_reader import DelimitedFile, Dialect
from reasonrec_datasets.layouts.places import TakenPlace, join_tables
from reasonrec_datasets.layouts.presplit import mark_part
from reasonrec_datasets.layouts.sniffing import read_first_lines

BEHAVIORS, NEWS = "behaviors.tsv", "news.tsv"
BEHAVIOR_COLUMNS = ("impression", "user_id", "timestamp", "history", "shown")
NEWS_COLUMNS = (
    "item_id", "categories", "subcategory", "title", "description", "url", "title_entities", "abstract_entities",
)  # fmt: skip
NEWS_FIELDS = ("item_id", "title", "categories", "description")
LINE = re.compile(r"[^\t]+\t[^\t]+\t\d+/\d+/\d{4} [\d:]+ [AP]M\t[^\t]*\t\S.*")
LOG = ("user_id", "item_id", "timestamp", "value", "history")
TIME = TimeForm("%m/%d/%Y %I:%M:%S %p")
PART_FOLDER = re.compile(r"mind(?:small|large|demo)?_?(train|dev|valid|test)$|^(train|dev|valid|test)$", re.IGNORECASE)
CLICKED = r"-1$"
LABELLED = r"-[01]$"


class MindSettings(TableSettings):
    """Settings of MIND."""

    impressions: Literal["all", "clicked"] = "all"
    """Which news of an impression are rows: all, with labels 1 and 0 for clicked or not; or the clicked alone."""


class MindSource(TableSource[MindSettings]):
    """News that were shown, and which of them were clicked."""

    Config = MindSettings
    order = -4

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a file of behaviors, a folder with it, or a folder of the parts' folders."""
        return bool(_find_files(path))

    def files(self, path: Path) -> list[Path]:
        """Behaviors and news of all parts."""
        files = list(_find_files(path).values())
        news = [file.parent / NEWS for file in files]
        return [*files, *(file for file in news if file.is_file())]

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """A row per news that was shown to somebody."""
        files = _find_files(path)
        if not files:
            raise DataError(f"no {BEHAVIORS}", where=str(path), fix="Name the folder that holds it.")
        only_clicked = self.config.impressions == "clicked"
        read = {part: _read_behaviors(file, columns, only_clicked=only_clicked) for part, file in files.items()}
        logs = {part: log for part, log in read.items() if log is not None}
        if not logs:
            raise DataError("no impression has a label", where=str(path), fix="Labels look like N123-1 and N456-0.")
        if "test" not in logs and {"train", "valid"} <= logs.keys():
            columns.notes.append("dev is used as the test part, because there is no labelled test")
            logs["test"] = logs.pop("valid")
        marked = [mark_part(log, part) if len(logs) > 1 else log for part, log in logs.items()]
        log = join_tables(marked) if len(marked) > 1 else marked[0]
        return make_raw_tables(log, _read_news([file.parent / NEWS for file in files.values()], log))


def _find_files(path: Path) -> Mapping[str, Path]:
    """Behaviors by part; one alone is called after nothing."""
    if not path.is_dir():
        return {"": path} if _is_behaviors(path) else {}
    if _is_behaviors(path / BEHAVIORS):
        return {"": path / BEHAVIORS}
    found: dict[str, Path] = {}
    for folder in sorted(folder for folder in path.iterdir() if folder.is_dir()):
        named = PART_FOLDER.search(folder.name)
        if named and _is_behaviors(folder / BEHAVIORS):
            part = (named[1] or named[2]).lower()
            found["valid" if part == "dev" else part] = folder / BEHAVIORS
    return {part: found[part] for part in ("train", "valid", "test") if part in found}


def _is_behaviors(file: Path) -> bool:
    lines = read_first_lines(file, 5) if file.suffix == ".tsv" else []
    return bool(lines) and all(LINE.fullmatch(line) for line in lines)


def _read_behaviors(file: Path, columns: ColumnMatcher, *, only_clicked: bool) -> SourceTable | None:
    """A row per news shown; None where the impressions have no labels."""
    source = DelimitedFile.open(file, Dialect("\t", None, names=BEHAVIOR_COLUMNS)).read(encoded=("user_id",))
    shown = pc.utf8_split_whitespace(flatten_column(source.table.column("shown")).fill_null(""))
    rows, words = pc.list_parent_indices(shown).to_numpy().astype(np.int32), shown.flatten()
    labelled = pc.match_substring_regex(words, LABELLED).to_numpy(zero_copy_only=False)
    if not labelled.any():
        columns.notes.append(f"{file.parent.name}/{file.name}: the impressions have no labels, so they are not read")
        return None
    bare = np.flatnonzero(~labelled)
    if len(bare):
        what = f"impression {words[int(bare[0])].as_py()!r} has no label"
        where = source.place.where(int(rows[bare[0]]), "shown")
        raise DataError(what, where=where, fix="Labels look like N123-1 and N456-0.")
    clicked = pc.match_substring_regex(words, CLICKED).to_numpy(zero_copy_only=False)
    if only_clicked:
        kept = np.flatnonzero(clicked)
        rows, words, clicked = rows[kept], words.take(pa.array(kept)), clicked[kept]
    times = parse_times(source.table.column("timestamp"), "timestamp", source.place, TIME)
    matched = columns.match("interactions", LOG, file)
    taken = pa.array(rows)
    cells = {
        "user_id": lambda: source.table.column("user_id").take(taken),
        "item_id": lambda: pc.replace_substring_regex(words, LABELLED, "").dictionary_encode(),
        "timestamp": lambda: pa.array(times).take(taken),
        "value": lambda: pa.array(clicked.astype(np.float32)),
        "history": lambda: pa.DictionaryArray.from_arrays(taken, _split_histories(source.table.column("history"))),
    }
    names = [name for name in matched if not (only_clicked and name == "value")]
    table = pa.table({matched[name]: cells[name]() for name in names})
    return SourceTable(table, file, TakenPlace(source.place, taken))


def _split_histories(column: pa.ChunkedArray) -> pa.Array:
    """The ids before each impression; few distinct ones, so they are kept as codes."""
    lists = pc.utf8_split_whitespace(flatten_column(column).fill_null(""))
    values, lengths = lists.flatten(), pc.list_value_length(lists).to_numpy()
    filled = pc.not_equal(values, "").to_numpy(zero_copy_only=False)
    owners = np.repeat(np.arange(len(lengths)), lengths)[filled]
    offsets = indptr_of(np.bincount(owners, minlength=len(lengths)))
    return pa.LargeListArray.from_arrays(pa.array(offsets), values.filter(pa.array(filled)).dictionary_encode())


def _read_news(files: list[Path], log: SourceTable) -> SourceTable | None:
    """The news of all parts, each once, and those that only histories know."""
    found = [
        DelimitedFile.open(file, Dialect("\t", None, names=NEWS_COLUMNS)).read({*NEWS_FIELDS, "subcategory"})
        for file in files
        if file.is_file()
    ]
    if not found:
        past = _read_past(log)
        shown = flatten_column(log.table.column("item_id")).unique().dictionary_decode()
        known = pa.concat_arrays([shown, past.table.column("item_id").combine_chunks()]) if past else shown
        return SourceTable(pa.table({"item_id": known.unique()}), log.path, RowPlace(log.path))
    news = join_tables(found)
    table = news.table
    joined = pc.binary_join_element_wise(table.column("categories"), table.column("subcategory"), "|")
    table = table.set_column(table.column_names.index("categories"), "categories", joined).select(list(NEWS_FIELDS))
    codes = flatten_column(table.column("item_id")).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    rows = pa.array(np.sort(np.unique(codes, return_index=True)[1]))
    table, place = table.take(rows), TakenPlace(news.place, rows)
    if (past := _read_past(log)) is not None:
        known = pc.is_in(past.table.column("item_id"), value_set=flatten_column(table.column("item_id")))
        table = pa.concat_tables([table, past.table.filter(pc.invert(known))], promote_options="default")
    return SourceTable(table, news.path, place)


def _read_past(log: SourceTable) -> SourceTable | None:
    """The ids that stand in histories, as items; None where the log has none."""
    if "history" not in log.names:
        return None
    shared = flatten_shared(log.table.column("history"))
    if shared is None:
        return None
    ids = shared.dictionary.flatten().unique().dictionary_decode()
    return SourceTable(pa.table({"item_id": ids}), log.path, RowPlace(log.path)) if len(ids) else None
