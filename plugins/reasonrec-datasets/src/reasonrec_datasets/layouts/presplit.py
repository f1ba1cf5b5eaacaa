"""Parts that come with the data: files ``train``, ``valid`` (if there is one) and ``test``, and the split they make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from reasonrec_core.components import Splitter, SplitterSettings
from reasonrec_core.data import TEST, TRAIN, VALID, Dataset, Division, make_user_cases
from reasonrec_core.data.cases import Index, UInt8, compute_user_bounds
from reasonrec_core.errors import DataError
from reasonrec_core.types import Cases, Float32, History, Interactions, QueryBatch, Task, concatenate_ranges, indptr_of
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import PARTS, RawTables
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.places import join_tables
from reasonrec_datasets.layouts.sniffing import looks_like_ratings, looks_like_table
from reasonrec_datasets.layouts.tables import find_table, open_table, read_beside

STEMS = {"train": ("train",), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}


class PredefinedSource(TableSource[TableSettings]):
    """Parts that come as files, with ``items.*`` beside them."""

    order = 10

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a folder with training and test files."""
        return path.is_dir() and all(_find_part(path, part) for part in ("train", "test"))

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The parts, one after the other."""
        files = {part: _find_part(path, part) for part in PARTS}
        for part in ("train", "test"):
            if files[part] is None:
                raise DataError(f"no file {part}.csv (or .csv.gz, .tsv, .parquet)", where=str(path))
        log = join_tables(
            [mark_part(read_log(open_table(file), columns), part) for part, file in files.items() if file]
        )
        return make_raw_tables(log, *read_beside(path, columns))


def _find_part(folder: Path, part: str) -> Path | None:
    """A table called after the part; text files (``train.txt``) that hold rows of one width too."""
    if (table := find_table(folder, *STEMS[part])) is not None:
        return table
    texts = (folder / f"{stem}{suffix}" for stem in STEMS[part] for suffix in (".txt", ".dat", ".data"))
    return next((f for f in texts if f.is_file() and (looks_like_ratings(f) or looks_like_table(f))), None)


def mark_part(source: SourceTable, part: str) -> SourceTable:
    """The table with every row in ``part``."""
    column = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), source.table.num_rows), [part])
    table = source.table.drop_columns(["part"]) if "part" in source.table.column_names else source.table
    return SourceTable(table.append_column("part", column), source.path, source.place)


class PredefinedSettings(SplitterSettings):
    """Settings of parts that came with the data."""

    task: Task | None = None
    """ "ctr" or "sequential"; by default "ctr" where the values are labels (0 and 1)."""
    valid_share: float = Field(0.0, ge=0, lt=1)
    """Where the data has no validation part: the share of the training rows that becomes it: the last in time, or
    where there are no times some of each user, drawn with the seed."""


class Predefined(Splitter[PredefinedSettings]):
    """Parts as given with the data. With labels every row of validation and test is a click-through case."""

    Config = PredefinedSettings
    reads_labels = True

    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """Use the parts as given."""
        parts = dataset.parts
        if parts is not None and self.config.valid_share and not (parts == VALID).any():
            parts = _take_validation(log, parts, self.config, clock=dataset.has_clock)
        if parts is None:
            fix = "Use another kind of split, or import files named train, valid and test."
            raise DataError("the data has no predefined parts (train, valid, test)", where=dataset.name, fix=fix)
        for code, name in ((TRAIN, "train"), (VALID, "valid"), (TEST, "test")):
            if not (parts == code).any():
                fix = "Take it from the training rows: --split-option valid_share=0.1 (split.valid_share)."
                what = f"the data has no rows for the part {name!r}"
                raise DataError(what, where=dataset.name, fix=fix if code == VALID else None)
        labels = _find_labels(dataset, log, self.config)
        history = dataset.given_history
        if labels is not None or history is not None:
            valid, test = (_make_part(dataset, log, parts, labels, code) for code in (VALID, TEST))
            how = "as the source gives it" if history is not None else "the user's earlier positives, own part included"
            words = f"predefined parts, one query per row, history {how}"
        else:
            n = dataset.n_users
            valid = make_user_cases(log, parts == TRAIN, parts == VALID, n)
            test = make_user_cases(log, (parts == TRAIN) | (parts == VALID), parts == TEST, n)
            words = "predefined parts, one query per user with all targets of the part, history = the earlier parts"
        return Division(parts, valid, test, words + (", click labels" if labels is not None else ""))


def _take_validation(log: Interactions, parts: UInt8, config: PredefinedSettings, *, clock: bool) -> UInt8:
    """The parts, with a share of the training rows in validation.

    With times the last of all, equal times in the file's order; without any (positions in a file are none) that share
    of each user's rows, drawn.
    """
    train, share = np.flatnonzero(parts == TRAIN), config.valid_share
    if clock:
        last = train[np.argsort(log.times[train], kind="stable")][len(train) - round(share * len(train)) :]
    else:
        users = log.users[train]
        order = np.lexsort((np.random.default_rng(config.seed).random(len(train)), users))
        counts = np.bincount(users)
        rank = np.arange(len(train)) - np.repeat(indptr_of(counts)[:-1], counts)
        last = train[order[rank < np.floor(share * counts + 0.5)[users[order]]]]
    taken = parts.copy()
    taken[last] = VALID
    return taken


def _find_labels(dataset: Dataset, log: Interactions, config: PredefinedSettings) -> Float32 | None:
    """float32[N] of 0 and 1, or None for a ranking split."""
    if config.task not in {None, Task.CTR}:
        return None
    if log.values is None:
        if config.task is Task.CTR:
            raise DataError(
                "click prediction needs labels, but the interactions have no value column", where=dataset.name
            )
        return None
    if config.min_value is not None:
        return (log.values >= config.min_value).astype(np.float32)
    binary = bool(np.isin(log.values, (0.0, 1.0)).all())
    if not binary and config.task is Task.CTR:
        what = f"the values ({log.values.min():g} to {log.values.max():g}) are not labels (0 and 1)"
        raise DataError(
            what,
            where=dataset.name,
            fix="Give the smallest value that counts as a click: --min-value N (split.min_value).",
        )
    return log.values if binary else None


def _make_part(dataset: Dataset, log: Interactions, parts: UInt8, labels: Float32 | None, part: int) -> Cases:
    rows: Index = np.flatnonzero(parts == part)
    given = dataset.given_history
    history = _find_earlier(dataset, log, parts, labels, part, rows) if given is None else given.take(rows)
    task = Task.SEQUENTIAL if labels is None else Task.CTR
    return make_row_cases(log, rows, history, None if labels is None else labels[rows], task)


def make_row_cases(log: Interactions, rows: Index, history: History, labels: Float32 | None, task: Task) -> Cases:
    """One query per given interaction, ``history`` holding a row for each; ``labels``: float32[B] for CTR."""
    items = log.items[rows]
    relevant = np.ones(len(rows), np.bool_) if labels is None else labels > 0
    queries = QueryBatch(
        task,
        log.users[rows],
        history,
        candidates=items[:, None] if task is Task.CTR else None,
        times=log.times[rows],
        context=None if log.context is None else log.context[rows],
    )
    given = None if labels is None else labels[:, None]
    return Cases(queries, indptr_of(relevant.astype(np.int64)), items[relevant], given)


def _find_earlier(
    dataset: Dataset, log: Interactions, parts: UInt8, labels: Float32 | None, part: int, rows: Index
) -> History:
    """Per row the user's strictly earlier positives in this part or one before; equal times are not earlier."""
    positive = parts <= part if labels is None else (labels > 0) & (parts <= part)
    before = indptr_of(positive.astype(np.int64))
    starts = compute_user_bounds(log, dataset.n_users)[log.users[rows]]
    new = np.ones(len(log), np.bool_)
    new[1:] = (np.diff(log.times) != 0) | (np.diff(log.users) != 0)
    tie_start = np.maximum.accumulate(np.where(new, np.arange(len(log)), 0))
    indptr, source = concatenate_ranges(before[starts], before[tie_start[rows]])
    past = np.flatnonzero(positive)[source]
    return History(indptr, log.items[past], log.times[past])
