"""JSON lines as a table: an object per line (also as Python prints it, in single quotes), or one array of objects."""

from __future__ import annotations

import ast
import gzip
import io
import json
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import json as arrow_json

from reasonrec_core.errors import DataError
from reasonrec_core.io import refuse_unreadable
from reasonrec_datasets.importing.column_matching import find_alias
from reasonrec_datasets.importing.list_parsing import join_elements
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable
from reasonrec_datasets.layouts.file_content import has_wide_mark, read_content, suggest_encoding

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
LINE_BYTES = 1 << 26
SURROGATE = re.compile("[\ud800-\udfff]")
FIRST = 100
ONE_A_LINE = "Every line holds one JSON object, or the file one array of objects."
WRAPPERS = ("$date", "$oid", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal")
SCALARS = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


@dataclass(frozen=True)
class JsonLines:
    """A file of objects; an `OpenTable`.

    Attributes:
        path: the file.
        names: keys of the first objects, in their order.
        kinds: the type of each key's values among them, where it is one that Arrow reads; None: several, or nested.
        unfolded: a key whose values are lists of objects, each of which is a row (Steam's ``items`` of a user).
    """

    path: Path
    names: tuple[str, ...]
    kinds: Mapping[str, pa.DataType | None]
    unfolded: str | None = None

    @classmethod
    def open(cls, path: Path) -> JsonLines:
        """Read the first objects.

        Raises:
            DataError: empty, not UTF-8, or not an object in a line.
        """
        first = [row for _, row in islice(read_objects(path), FIRST)]
        if not first:
            raise DataError("the file is empty", where=str(path))
        unfolded = _find_unfolded(first[0])
        if unfolded is not None:
            first = [inner for row in first for inner in _unfold(row, unfolded)]
            current_reading().note(f"{path.name}: each object in {unfolded!r} is a row")
        names = tuple(dict.fromkeys(name for row in first for name in row))
        kinds = {name: _find_kind([row.get(name) for row in first]) for name in names}
        current_reading().refuse_columns(len(names), path)
        return cls(path, names, kinds, unfolded)

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        """The columns in ``wanted`` (all if None); a column of several types is text, one of objects is left out.

        Raises:
            DataError: not JSON, or an id (``encoded``) that is a list or an object; with the line.
        """
        names = [name for name in self.names if wanted is None or name in wanted]
        try:
            return SourceTable(self._read_with_arrow(names), self.path, _ObjectPlace(self))
        except (pa.ArrowException, OSError):
            return self._read_with_python(names, frozenset(encoded), wanted is not None)

    def _read_with_arrow(self, names: list[str]) -> pa.Table:
        """The columns in the types of the first objects.

        Raises:
            pa.ArrowException: a line has another type, or is not JSON, or not UTF-8.
        """
        kinds = {name: self.kinds[name] for name in names}
        if self.unfolded or not names or current_reading().encoding or any(kind is None for kind in kinds.values()):
            raise pa.ArrowInvalid("types that only Python reads")
        options = arrow_json.ParseOptions(
            explicit_schema=pa.schema(list(kinds.items())), unexpected_field_behavior="ignore"
        )
        with pa.input_stream(str(self.path), compression="gzip" if self.path.suffix == ".gz" else None) as stream:
            table = arrow_json.read_json(stream, arrow_json.ReadOptions(block_size=1 << 24), options)
        table.validate(full=True)
        return table.select(names)

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line numbers and rows."""
        for line, row in read_objects(self.path):
            if self.unfolded is None:
                yield line, row
            else:
                yield from ((line, inner) for inner in _unfold(row, self.unfolded))

    def _read_with_python(self, names: list[str], ids: frozenset[str], of_log: bool) -> SourceTable:
        lines: list[int] = []
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for line, row in self.rows():
            lines.append(line)
            for name in names:
                value = row.get(name)
                if name in ids and isinstance(value, (bool, list, dict)):
                    what = f"{name} is {json.dumps(value)[:60]}, which cannot be an id"
                    raise DataError(what, where=f"{self.path}:{line}")
                columns[name].append(value)
        arrays = {name: _make_column(cells) for name, cells in columns.items()}
        left = [name for name, column in arrays.items() if column is None]
        if left and of_log:
            at = next(number for number, cell in enumerate(columns[left[0]]) if isinstance(cell, dict))
            what = f"{left[0]} is an object: {json.dumps(columns[left[0]][at])[:60]}"
            fix = "Write its text or number in its place, or leave the column out: --column NAME= (our name)."
            raise DataError(what, where=f"{self.path}:{lines[at]}", fix=fix)
        if left:
            current_reading().note(f"{self.path.name}: objects are not read: {', '.join(left)}")
        table = pa.table({name: column for name, column in arrays.items() if column is not None})
        return SourceTable(table, self.path, _ObjectPlace(self, lines))


@dataclass(frozen=True)
class _ObjectPlace:
    """Finds the line of a row; without ``lines`` by reading the file again."""

    file: JsonLines
    lines: list[int] | None = None

    def where(self, row: int, column: str | None = None) -> str:
        if self.lines is not None:
            return f"{self.file.path}:{self.lines[row]}"
        line = next((line for line, _ in islice(self.file.rows(), row, None)), row + 1)
        return f"{self.file.path}:{line}"


def _find_kind(values: list[Any]) -> pa.DataType | None:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pa.float64()
    return SCALARS.get(kinds.pop()) if len(kinds) == 1 else None


def _find_unfolded(row: Mapping[str, Any]) -> str | None:
    """The key of a user's list of objects with items, where the object itself names no item."""
    if find_alias("item_id", list(row)) is not None or find_alias("user_id", list(row)) is None:
        return None
    lists = [name for name, value in row.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    named = [name for name in lists if find_alias("item_id", list(row[name][0])) is not None]
    return named[0] if len(named) == 1 else None


def find_columns(row: Mapping[str, Any]) -> list[str]:
    """The columns of the rows that an object makes."""
    unfolded = _find_unfolded(row)
    return list(row) if unfolded is None else [*row, *row[unfolded][0]]


def _unfold(row: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    outer = {key: value for key, value in row.items() if key != name and not isinstance(value, (list, dict))}
    inner = row.get(name)
    yield from ({**outer, **each} for each in (inner if isinstance(inner, list) else ()) if isinstance(each, dict))


def _make_column(cells: list[Any]) -> pa.Array | None:
    """A column of the values' type, of text where they have several; lists of texts stay lists; None for objects."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if dict in kinds:
        return None
    if kinds == {list}:
        return pa.array([None if cell is None else join_elements(cell) for cell in cells], pa.list_(pa.string()))
    if kinds <= {int, float} and kinds:
        try:
            return pa.array(cells, pa.float64() if float in kinds else pa.int64())
        except (pa.ArrowException, OverflowError):
            pass
    return pa.array([cell if cell is None or isinstance(cell, str) else _write(cell) for cell in cells], pa.string())


def _write(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return json.dumps(cell) if isinstance(cell, (list, bool)) else str(cell)


def read_objects(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of a file.

    Raises:
        DataError: not UTF-8, not JSON, not an object; with the line. Broken gzip.
    """
    reading = current_reading()
    reading.opened.add(file)
    with refuse_unreadable(file), _open_lines(file) as stream:
        for number, line in enumerate(iter(partial(stream.readline, LINE_BYTES + 1), b""), 1):
            if len(line) > LINE_BYTES:
                raise DataError(f"a line is longer than {LINE_BYTES:,} bytes", where=f"{file}:{number}")
            if number == 1 and re.match(rb"\s*\[\s*(\{|$)", line):
                yield from _read_array(file)
                return
            if line.strip():
                yield number, _read_object(line, f"{file}:{number}")


def _open_lines(file: Path) -> IO[bytes] | gzip.GzipFile:
    """The file's bytes, as UTF-8 where its encoding is known and another."""
    if current_reading().encoding or has_wide_mark(file):
        return io.BytesIO(read_content(file)[0].to_pybytes())
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


def _read_array(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file that is one array; they are counted instead of their lines."""
    text = _decode(read_content(file)[0].to_pybytes(), str(file))
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"{file}:{getattr(error, 'lineno', 1)}:{getattr(error, 'colno', 1)}"
        raise DataError(f"not JSON ({getattr(error, 'msg', error)})", where=where) from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(f"element {number} of the array is not an object", where=str(file))
        if "\\u" in text and _holds_surrogates(row):
            raise DataError(f"element {number} holds half of a surrogate pair, which is no text", where=str(file))
        yield number, {name: _unwrap(each) for name, each in row.items()}


def _decode(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        what = f"byte 0x{line[error.start]:02x} is not UTF-8"
        raise DataError(what, where=f"{where}:{error.start + 1}", fix=suggest_encoding(line, error.start)) from error


def _read_object(line: bytes, where: str) -> dict[str, Any]:
    text = _decode(line, where)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also: a number of thousands of digits
        value = _read_literal(text)
        if value is None:
            column = getattr(error, "colno", 1)
            what = f"not JSON ({getattr(error, 'msg', error)})"
            raise DataError(what, where=f"{where}:{column}", fix=ONE_A_LINE) from error
    if not isinstance(value, dict):
        raise DataError("not a JSON object", where=where, fix=ONE_A_LINE)
    if "\\u" in text and _holds_surrogates(value):
        raise DataError("holds half of a surrogate pair, which is no text", where=where, fix="Write it in UTF-8.")
    return {str(name): _unwrap(each) for name, each in value.items()}


def _holds_surrogates(value: Any) -> bool:
    try:
        return SURROGATE.search(json.dumps(value, ensure_ascii=False)) is not None
    except (RecursionError, ValueError, TypeError):  # nested without end; no JSON, where it was Python's notation
        return True


def _unwrap(value: Any) -> Any:
    """What MongoDB's exports wrap: ``{"$date": "2020-01-01T00:00:00Z"}``, ``{"$oid": "..."}``."""
    while isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))) in WRAPPERS:
        value = value[name]
    return value


def _read_literal(text: str) -> Any:
    """What Python prints of an object, as in the dumps of Amazon (2014) and Steam."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # escapes that Python does not know
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
