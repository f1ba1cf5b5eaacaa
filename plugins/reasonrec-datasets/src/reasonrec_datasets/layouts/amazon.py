"""Amazon reviews, one JSON object per line: the 2014 and 2018 files (``reviewerID``, ``asin``, ``overall``,
``unixReviewTime``) and the 2023 ones (``user_id``, ``parent_asin``, ``rating``, ``timestamp`` in milliseconds).

Sources: jmcauley.ucsd.edu/data/amazon (2014), nijianmo.github.io/amazon (2018), amazon-reviews-2023.github.io. Item
metadata (``meta_*``) in the same folder is read too. Other logs in JSON lines are read by the names of their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher, list_names, names_ids
from reasonrec_datasets.importing.number_parsing import convert_numbers
from reasonrec_datasets.importing.raw_tables import REVIEW_COLUMNS, RawTables
from reasonrec_datasets.importing.reading import look_only
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_matched
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.json_lines import SUFFIXES, JsonLines, find_columns
from reasonrec_datasets.layouts.json_objects import read_objects
from reasonrec_datasets.layouts.places import LinePlace
from reasonrec_datasets.layouts.tables import TEXT_FIELDS, list_files, read_beside

FIELDS = {
    "user_id": ("reviewerID", "user_id"),
    "item_id": ("parent_asin", "asin", "item_id"),
    "value": ("overall", "rating"),
    "timestamp": ("unixReviewTime", "timestamp", "sort_timestamp"),
    "review": ("reviewText", "text"),
    "summary": ("summary", "title"),
}
META = {
    "item_id": ("parent_asin", "asin"),
    "title": ("title",),
    "brand": ("brand", "store"),
    "categories": ("categories", "category"),
    "department": ("main_category", "main_cat"),
    "description": ("description",),
    "features": ("features", "feature"),
    "price": ("price",),
}
"""Not read: what knows the ratings that are to be predicted (``average_rating``), links and addresses."""
TRIED = 3


class AmazonSource(TableSource[TableSettings]):
    """Amazon reviews, and other logs of one JSON object per line, with ``meta_*`` or ``items.*`` beside them."""

    order = 50

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a file of JSON lines, or a folder with one that is a log, and no table beside it."""
        if not path.is_dir():
            return _is_lines(path)
        logs = _find_logs(path)
        return len(logs) == 1 and (_is_of_amazon(logs[0]) or len(_find_lines(path)) == 1)

    def files(self, path: Path) -> list[Path]:
        """All in a folder; the reviews, and metadata or items beside them."""
        return list_files(path, "meta_")

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """Who reviewed what, when, with how many stars, and what they wrote (``--column review=`` leaves it out)."""
        file = path
        if path.is_dir():
            with look_only():
                found = _find_logs(path) or _find_lines(path)
            if len(found) != 1:
                names = ", ".join(f.name for f in found) or "none"
                raise DataError(f"expected one file of reviews, found: {names}", where=str(path), fix="Name the file.")
            file = found[0]
        items, users = read_beside(file.parent, columns, log=file)
        if items is None and (meta := _find_meta(file)) is not None:
            items = read_meta(meta, columns.notes)
        return make_raw_tables(read_reviews(file, columns), items, users)


def _is_lines(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def _find_lines(folder: Path) -> list[Path]:
    """Files of JSON lines that may hold reviews."""
    return sorted(f for f in folder.iterdir() if _is_lines(f) and not f.name.startswith(("meta_", "manifest.")))


def _find_logs(folder: Path) -> list[Path]:
    """Those whose first object names a user and an item; of one alone that cannot be read, reading says why."""
    files = _find_lines(folder)
    return [file for file in files if _is_log(file, alone=len(files) == 1)]


def _is_log(file: Path, *, alone: bool) -> bool:
    try:
        _, first = next(read_objects(file), (1, {}))
    except DataError:
        return alone
    names = find_columns(first)
    return (alone and not first) or names_ids(names)


def _is_of_amazon(file: Path) -> bool:
    try:
        _, first = next(read_objects(file), (1, {}))
    except DataError:
        return True  # alone in its folder: reading says what is wrong
    return any(name in first for name in ("asin", "parent_asin"))


def _find_meta(file: Path) -> Path | None:
    """The metadata of a file of reviews: of the same name where there are several."""
    metas = [f for f in sorted(file.parent.iterdir()) if f.name.startswith("meta_") and _is_lines(f)]
    same = [f for f in metas if f.name.split(".")[0] == f"meta_{file.name.split('.')[0].removesuffix('_5')}"]
    return next(iter(same or metas), None)


def read_reviews(file: Path, columns: ColumnMatcher) -> SourceTable:
    """The log under our names; the user's names first, then Amazon's, then the usual aliases."""
    lines = JsonLines.open(file)
    amazon = {ours: next((t for t in named if t in lines.names), None) for ours, named in FIELDS.items()}
    spare = {t for ours, named in FIELDS.items() for t in named if t != amazon[ours]}
    names = [name for name in lines.names if name not in spare or name in columns.named]
    matched = columns.match("interactions", names, file)
    for ours in REVIEW_COLUMNS:  # "text" and "title" (2023) are only here what a user wrote
        theirs = amazon[ours]
        if theirs and theirs not in matched and ours not in {*matched.values(), *columns.left_out}:
            matched[theirs] = ours
    return read_matched(lines, matched, columns)


def read_meta(file: Path, notes: list[str]) -> SourceTable:
    """Items from Amazon's metadata: title, brand, category path, description, features, price."""
    lines: list[int] = []
    seen: set[str] = set()
    columns: dict[str, list[str | None]] = {ours: [] for ours in META}
    for line, row in read_objects(file):
        cells = {o: _text(next((row[t] for t in all_ if row.get(t)), None), o) for o, all_ in META.items()}
        item = cells["item_id"]
        if item in seen:
            continue  # the published files repeat products word for word
        seen.add(item or "")
        lines.append(line)
        for ours, cell in cells.items():
            columns[ours].append(cell)
    if not lines:
        raise DataError("the file is empty", where=str(file))
    filled = {ours: cells for ours, cells in columns.items() if ours in ("item_id", "title") or any(cells)}
    table = pa.table({ours: pa.array(cells, pa.string()) for ours, cells in filled.items()})
    remarks = _name_unread(file)
    table = convert_numbers(table, TEXT_FIELDS | {"features"}, remarks)
    notes += [f"{file.name}: {words}" for words in remarks]
    return SourceTable(table, file, LinePlace(file, lines))


def _name_unread(file: Path) -> list[str]:
    known = {name for names in META.values() for name in names}
    first: Sequence[Any] = [row for _, row in islice(read_objects(file), TRIED)]
    rest = list(dict.fromkeys(name for row in first for name in row if name not in known))
    return [f"not read: {list_names(rest)}"] if rest else []


def _text(value: Any, ours: str) -> str | None:
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]  # 2014: a list of category paths; the first is the main one
    if isinstance(value, list):
        return ("|" if ours == "categories" else " ").join(str(v).strip() for v in value if v) or None
    if value is None or isinstance(value, dict):
        return None
    return str(value).strip()
