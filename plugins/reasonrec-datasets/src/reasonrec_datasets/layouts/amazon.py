"""Amazon reviews, one JSON object per line: the 2014 and 2018 files (``reviewerID``, ``asin``, ``overall``,
``unixReviewTime``) and the 2023 ones (``user_id``, ``parent_asin``, ``rating``, ``timestamp`` in milliseconds).

Item metadata (``meta_*``) in the same folder is read too.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import json as arrow_json

from reasonrec_core.errors import DataError
from reasonrec_core.io import refuse_unreadable
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.number_parsing import convert_numbers
from reasonrec_datasets.importing.raw_tables import REVIEW_COLUMNS, RawTables
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.places import LinePlace
from reasonrec_datasets.layouts.tables import TEXT_FIELDS, list_files, read_beside

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
LINE_BYTES = 1 << 26
SURROGATE = re.compile("[\ud800-\udfff]")
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
    "description": ("description",),
    "price": ("price",),
}


class AmazonSource(TableSource[TableSettings]):
    """Amazon reviews, one JSON object per line, with ``meta_*`` or ``items.*`` beside them."""

    order = 50

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a file of JSON lines or a folder with exactly one that is not metadata."""
        return len(_reviews(path)) == 1 if path.is_dir() else path.name.endswith(SUFFIXES)

    def files(self, path: Path) -> list[Path]:
        """All in a folder; the reviews, and metadata or items beside them."""
        return list_files(path, "meta_")

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """Who reviewed what, when, with how many stars, and what they wrote (``--column review=`` leaves it out)."""
        file = path
        if path.is_dir():
            found = _reviews(path)
            if len(found) != 1:
                names = ", ".join(f.name for f in found) or "none"
                raise DataError(f"one file of reviews is wanted, found: {names}", where=str(path), fix="Name the file.")
            file = found[0]
        items, users = read_beside(file.parent, columns)
        meta = next((f for f in sorted(file.parent.iterdir()) if f.name.startswith("meta_") and _is_lines(f)), None)
        if items is None and meta is not None:
            items = read_meta(meta, columns.notes)
        return make_raw_tables(read_reviews(file, columns), items, users)


def _is_lines(path: Path) -> bool:
    return path.is_file() and path.name.endswith(SUFFIXES)


def _reviews(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if _is_lines(f) and not f.name.startswith(("meta_", "manifest.")))


def read_reviews(file: Path, columns: ColumnMatcher) -> SourceTable:
    """The log under our names; Arrow reads it, and where types are mixed Python does, line by line."""
    _, first = next(read_json_lines(file), (1, None))
    if first is None:
        raise DataError("the file is empty", where=str(file))
    theirs = _chosen(first, columns, file)
    try:
        table = _with_arrow(file, theirs, first)
        lines: Any = range(1, table.num_rows + 1)
        if any(table.column(name).null_count for name in table.column_names if name not in REVIEW_COLUMNS):
            table, lines = _with_python(file, theirs)
    except (pa.ArrowException, OSError):
        table, lines = _with_python(file, theirs)
    return SourceTable(table, file, LinePlace(file, lines))


def _chosen(first: Mapping[str, Any], columns: ColumnMatcher, file: Path) -> dict[str, str]:
    """``{ours: theirs}``; the user's names first, then Amazon's, then the usual aliases."""
    names = list(first)
    amazon = {o: next((t for t in all_ if t in names), None) for o, all_ in FIELDS.items()}
    spare = {t for o, all_ in FIELDS.items() for t in all_ if t != amazon[o]}
    matched = columns.match("interactions", [n for n in names if n not in spare or n in columns.named], file)
    for ours in REVIEW_COLUMNS:  # "text" and "title" (2023) are only here what a user wrote
        theirs = amazon[ours]
        if theirs and theirs not in matched and ours not in {*matched.values(), *columns.left_out}:
            matched[theirs] = ours
    columns.note_unused(names, matched, file)
    return {ours: theirs for theirs, ours in matched.items()}


def _with_arrow(file: Path, theirs: Mapping[str, str], first: Mapping[str, Any]) -> pa.Table:
    """The columns in the types of the first object.

    Raises:
        pa.ArrowException: a line has another type, or is not JSON, or not UTF-8.
    """
    types = {int: pa.int64(), float: pa.float64()}
    kinds = {o: pa.float64() if o == "value" else types.get(type(first[t]), pa.string()) for o, t in theirs.items()}
    schema = pa.schema([(name, kinds[ours]) for ours, name in theirs.items()])
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    with pa.input_stream(str(file), compression="gzip" if file.suffix == ".gz" else None) as stream:
        table = arrow_json.read_json(stream, arrow_json.ReadOptions(block_size=1 << 24), options)
    table.validate(full=True)
    return table.select(list(theirs.values())).rename_columns(list(theirs))


def _with_python(file: Path, theirs: Mapping[str, str]) -> tuple[pa.Table, list[int]]:
    lines: list[int] = []
    columns: dict[str, list[str | None]] = {ours: [] for ours in theirs}
    for line, row in read_json_lines(file):
        lines.append(line)
        for ours, name in theirs.items():
            columns[ours].append(_cell(row.get(name), ours, name, f"{file}:{line}"))
    return pa.table({ours: pa.array(cells, pa.string()) for ours, cells in columns.items()}), lines


def _cell(value: Any, ours: str, name: str, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise DataError(f"{name} is {json.dumps(value)[:60]}, which cannot be {ours}", where=where)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_json_lines(file: Path, *, literals: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of a file; ``literals`` also reads Python's notation (metadata of 2014).

    Raises:
        DataError: not UTF-8, not JSON, not an object; with the line. Broken gzip.
    """
    current_reading().opened.add(file)
    with refuse_unreadable(file), gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        for number, line in enumerate(iter(partial(stream.readline, LINE_BYTES + 1), b""), 1):
            if len(line) > LINE_BYTES:
                raise DataError(f"a line is longer than {LINE_BYTES:,} bytes", where=f"{file}:{number}")
            if line.strip():
                yield number, _object(line, f"{file}:{number}", literals)


def _object(line: bytes, where: str, literals: bool) -> dict[str, Any]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"byte 0x{line[error.start]:02x} is not UTF-8"
        raise DataError(what, where=f"{where}:{error.start + 1}", fix="Save the file as UTF-8.") from error
    try:
        value = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:  # ValueError also: a number of thousands of digits
        value = _literal(text) if literals else None
        if value is None:
            column = getattr(error, "colno", 1)
            what = f"not JSON ({getattr(error, 'msg', error)})"
            raise DataError(what, where=f"{where}:{column}", fix="Every line holds one JSON object.") from error
    if not isinstance(value, dict):
        raise DataError("not a JSON object", where=where, fix="Every line holds one JSON object.")
    if "\\u" in text and _holds_surrogates(value):
        raise DataError("holds half of a surrogate pair, which is no text", where=where, fix="Write it in UTF-8.")
    return value


def _holds_surrogates(value: Any) -> bool:
    try:
        return SURROGATE.search(json.dumps(value, ensure_ascii=False)) is not None
    except (RecursionError, ValueError, TypeError):  # nested without end; no JSON, where it was Python's notation
        return True


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # escapes that Python does not know
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def read_meta(file: Path, notes: list[str]) -> SourceTable:
    """Items from Amazon's metadata: title, brand, category path, description, price."""
    lines: list[int] = []
    seen: set[str] = set()
    columns: dict[str, list[str | None]] = {ours: [] for ours in META}
    for line, row in read_json_lines(file, literals=True):
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
    table = pa.table({ours: pa.array(cells, pa.string()) for ours, cells in columns.items()})
    remarks: list[str] = []
    table = convert_numbers(table, TEXT_FIELDS, remarks)
    notes += [f"{file.name}: {words}" for words in remarks]
    return SourceTable(table, file, LinePlace(file, lines))


def _text(value: Any, ours: str) -> str | None:
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]  # 2014: a list of category paths; the first is the main one
    if isinstance(value, list):
        return ("|" if ours == "categories" else " ").join(str(v).strip() for v in value if v) or None
    if value is None or isinstance(value, dict):
        return None
    return str(value).strip()
