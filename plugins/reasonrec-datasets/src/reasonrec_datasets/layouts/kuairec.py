"""KuaiRec: ``big_matrix.csv``, ``small_matrix.csv``, ``item_categories.csv``, ``user_features.csv``, captions.

Source: kuairec.com, github.com/chongminggao/KuaiRec. Matrices have user_id, video_id, play_duration, video_duration,
time, date, timestamp, watch_ratio; ``item_categories.csv`` has video_id and ``feat``, a Python list of category
numbers; ``kuairec_caption_category.csv`` captions, topics and names of categories. In the small matrix nearly every
user saw nearly every video; some of its rows have no time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_fields, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.places import TakenPlace, join_tables
from reasonrec_datasets.layouts.presplit import mark_part
from reasonrec_datasets.layouts.tables import convert_fields, find_table, open_table

CAPTIONS = {
    "caption": "title",
    "topic_tag": "topics",
    "first_level_category_name": "categories",
    "second_level_category_name": "second_category",
    "third_level_category_name": "third_category",
}


class KuaiRecSettings(TableSettings):
    """Settings of KuaiRec."""

    matrix: Literal["big", "small", "both"] = "big"
    """Which one is read; both: the big one trains, the small one, which misses next to nothing, tests."""


class KuaiRecSource(TableSource[KuaiRecSettings]):
    """Short videos and how much of each was watched."""

    Config = KuaiRecSettings
    order = 24

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is the folder with both matrices, or holds it as ``data``."""
        return path.is_dir() and all(find_table(_data(path), f"{size}_matrix") for size in ("big", "small"))

    def files(self, path: Path) -> list[Path]:
        """All in the folder of the matrices."""
        return super().files(_data(path))

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """Watch ratios as values; categories, and captions where their file is there."""
        folder = _data(path)
        sizes = ("big", "small") if self.config.matrix == "both" else (self.config.matrix,)
        logs = []
        for size in sizes:
            file = find_table(folder, f"{size}_matrix")
            if file is None:
                raise DataError(f"no file {size}_matrix.csv", where=str(path))
            log = _drop_untimed(read_log(open_table(file), columns), columns)
            logs.append(mark_part(log, {"big": "train", "small": "test"}[size]) if len(sizes) > 1 else log)
        users = find_table(folder, "user_features")
        return make_raw_tables(
            join_tables(logs) if len(logs) > 1 else logs[0],
            _read_videos(folder, columns),
            convert_fields(read_fields(open_table(users), "users", columns), columns) if users else None,
        )


def _data(path: Path) -> Path:
    return path / "data" if (path / "data").is_dir() else path


def _drop_untimed(log: SourceTable, columns: ColumnMatcher) -> SourceTable:
    """Rows with a time; the others are counted."""
    if "timestamp" not in log.names:
        return log
    rows = pc.indices_nonzero(pc.is_valid(log.table.column("timestamp")))
    gone = log.table.num_rows - len(rows)
    if not gone:
        return log
    columns.notes.append(f"{log.path.name}: {gone:,} rows without a time are left out (--column timestamp= keeps them)")
    return SourceTable(log.table.take(rows), log.path, TakenPlace(log.place, rows))


def _read_videos(folder: Path, columns: ColumnMatcher) -> SourceTable | None:
    """Categories by number; with the captions' file their names, and captions as titles."""
    file = find_table(folder, "item_categories")
    if file is None:
        return None
    source = read_fields(open_table(file), "items", columns)
    captions = find_table(folder, "kuairec_caption_category")
    if captions is None:
        return source.rename({"feat": "categories"})
    named = read_fields(open_table(captions), "items", columns)
    rows = pc.index_in(source.table.column("item_id"), value_set=flatten_column(named.table.column("item_id")))
    table = source.table
    for theirs, ours in CAPTIONS.items():
        if theirs in named.names:
            cells = named.table.column(theirs)
            cells = pc.if_else(pc.is_in(cells, value_set=pa.array(["UNKNOWN", "[]"])), None, cells)
            table = table.append_column(ours, cells.take(rows))
    return SourceTable(table, source.path, source.place)
