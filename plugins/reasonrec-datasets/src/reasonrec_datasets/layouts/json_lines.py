"""JSON lines as a table: an object per line (also as Python prints it, in single quotes), or one array of objects."""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import json as arrow_json

from reasonrec_core.errors import DataError
from reasonrec_core.io import refuse_unreadable
from reasonrec_datasets.importing.column_matching import find_alias
from reasonrec_datasets.importing.list_parsing import join_elements
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable
from reasonrec_datasets.layouts.json_objects import read_objects, refuse_large

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
FIRST = 100
ROWS = 100_000
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
        with refuse_unreadable(self.path):
            refuse_large(self.path)
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
        lines = array("q")
        chunks: dict[str, list[pa.Array | None]] = {name: [] for name in names}
        columns: dict[str, list[Any]] = {name: [] for name in names}
        objects: dict[str, tuple[int, Any]] = {}

        def turn() -> None:  # Python's values take ten times the memory of Arrow's
            for name, cells in columns.items():
                chunks[name].append(_make_column(cells))
                cells.clear()

        for line, row in self.rows():
            lines.append(line)
            for name in names:
                value = row.get(name)
                if name in ids and isinstance(value, (bool, list, dict)):
                    what = f"{name} is {json.dumps(value)[:60]}, which cannot be an id"
                    raise DataError(what, where=f"{self.path}:{line}")
                if isinstance(value, dict):
                    objects.setdefault(name, (line, value))
                columns[name].append(value)
            if len(lines) % ROWS == 0:
                turn()
        turn()
        left = [name for name in names if name in objects]
        if left and of_log:
            line, value = objects[left[0]]
            what = f"{left[0]} is an object: {json.dumps(value)[:60]}"
            fix = "Replace it with its text or number, or ignore the column: --column NAME= (our name for it)."
            raise DataError(what, where=f"{self.path}:{line}", fix=fix)
        if left:
            current_reading().note(f"{self.path.name}: columns of objects are not read: {', '.join(left)}")
        table = pa.table({name: _join_columns(parts) for name, parts in chunks.items() if name not in objects})
        return SourceTable(table, self.path, _ObjectPlace(self, lines))


@dataclass(frozen=True)
class _ObjectPlace:
    """Finds the line of a row; without ``lines`` by reading the file again."""

    file: JsonLines
    lines: Sequence[int] | None = None

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
    return pa.array([_write_cell(cell) for cell in cells], pa.string())


def _join_columns(parts: Sequence[pa.Array | None]) -> pa.ChunkedArray:
    """One column of the parts' type; of text where they have several."""
    arrays = [part for part in parts if part is not None]
    kinds = {part.type for part in arrays if part.null_count < len(part)} or {pa.string()}
    if kinds == {pa.int64(), pa.float64()}:
        try:
            return pa.chunked_array([part.cast(pa.float64()) for part in arrays])
        except pa.ArrowException:
            pass  # whole numbers that no float64 holds
    if len(kinds) == 1:
        kind = kinds.pop()
        return pa.chunked_array([part if part.type == kind else pa.nulls(len(part), kind) for part in arrays])
    return pa.chunked_array(
        [pa.array([_write_cell(cell) for cell in part.to_pylist()], pa.string()) for part in arrays]
    )


def _write_cell(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else _write(cell)


def _write(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return json.dumps(cell) if isinstance(cell, (list, bool)) else str(cell)
