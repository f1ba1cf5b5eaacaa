"""LightGCN's and NGCF's layout: ``train.txt`` and ``test.txt`` (and ``valid.txt``), ``user item item ...`` per line.

Source: the data folders of github.com/gusye1234/LightGCN-PyTorch and of github.com/xiangwang1223/neural_graph_collaborative_filtering
(gowalla, yelp2018, amazon-book, lastfm), KGAT's too. Ids are numbers; a line may have no items. ``item_list.txt`` and
``user_list.txt`` (``org_id remap_id``, KGAT adds ``freebase_id``) say what the numbers were before.
"""  # noqa: E501 - addresses

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import DelimitedFile, Dialect
from reasonrec_datasets.layouts.places import join_tables
from reasonrec_datasets.layouts.presplit import mark_part
from reasonrec_datasets.layouts.s3rec import TokenLines
from reasonrec_datasets.layouts.sniffing import looks_like_numbers, looks_like_ratings
from reasonrec_datasets.layouts.tables import read_beside

FILES: Mapping[str, tuple[str, ...]] = {
    "train": ("train.txt",),
    "valid": ("valid.txt", "val.txt"),
    "test": ("test.txt",),
}


class LightGCNSource(TableSource[TableSettings]):
    """Parts of sequences without an order, as graph recommenders are compared on."""

    order = 35

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a folder whose ``train.txt`` and ``test.txt`` hold nothing but numbers."""
        files = [path / name for name in ("train.txt", "test.txt")]
        return path.is_dir() and all(looks_like_numbers(file) and not looks_like_ratings(file) for file in files)

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The parts, one after the other; there is neither time nor order."""
        found = {part: path / name for part, names in FILES.items() for name in names if (path / name).is_file()}
        for part in ("train", "test"):
            if part not in found:
                raise DataError(f"no file {FILES[part][0]}", where=str(path), fix="Name the folder that holds both.")
        logs = [mark_part(_read_part(file, columns), part) for part, file in found.items()]
        items, users = read_beside(path, columns)
        return make_raw_tables(
            join_tables(logs), items or _read_list(path / "item_list.txt", "item_id"),
            users or _read_list(path / "user_list.txt", "user_id"),
        )  # fmt: skip


def _read_part(file: Path, columns: ColumnMatcher) -> SourceTable:
    lines = TokenLines.open(file)
    if empty := int((lines.lengths == 0).sum()):
        columns.notes.append(f"{file.name}: {empty:,} users have no items in this part")
    return lines.table()


def _read_list(file: Path, key: str) -> SourceTable | None:
    """The ids before they were numbered, as a field ``org_id``; None where the file is not there or is another."""
    if not file.is_file():
        return None
    table = DelimitedFile.open(file, Dialect(" ", None))
    if "remap_id" not in table.names:
        current_reading().note(f"{file.name}: has no column remap_id, so it is not read")
        return None
    return table.read().rename({"remap_id": key})
