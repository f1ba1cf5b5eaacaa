"""RecBole's atomic files: ``NAME.inter``, ``NAME.item``, ``NAME.user``, tab-separated with ``name:type`` headers.

Benchmark files ``NAME.train.inter``, ``NAME.valid.inter``, ``NAME.test.inter`` are read as predefined parts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.errors import DataError, did_you_mean
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.column_parsing import parse_numbers
from reasonrec_datasets.importing.raw_tables import PARTS, RawTables
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_fields, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import DelimitedFile, Dialect
from reasonrec_datasets.layouts.places import TakenPlace, join_tables
from reasonrec_datasets.layouts.presplit import mark_part
from reasonrec_datasets.layouts.tables import list_files

TYPES = ("token", "token_seq", "float", "float_seq")
TAB = Dialect(delimiter="\t", quote=None)
WORDS = frozenset({"title", "description", "brand"})
"""``token_seq`` columns that hold running text; in others, blanks separate labels."""


class RecBoleSource(TableSource[TableSettings]):
    """RecBole's atomic files."""

    order = 20

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is an ``.inter`` file or a folder with one."""
        return path.suffix == ".inter" or (path.is_dir() and any(path.glob("*.inter")))

    def files(self, path: Path) -> list[Path]:
        """All in a folder; the interactions, and items and users of the same name."""
        return list_files(path, f"{path.name.removesuffix('.inter')}.")

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The interactions and, under the same name, items and users."""
        logs = _logs(path)
        first = next(iter(logs.values()))
        stem = first.name.removesuffix(".inter")
        stem = stem.removesuffix(f".{next(iter(logs))}")
        read = {part: read_log(AtomicFile.open(file), columns) for part, file in logs.items()}
        log = join_tables([mark_part(source, part) if part else source for part, source in read.items()])
        items, users = (first.parent / f"{stem}.{kind}" for kind in ("item", "user"))
        return make_raw_tables(
            log,
            _read_fields(items, "items", columns) if items.is_file() else None,
            _read_fields(users, "users", columns) if users.is_file() else None,
        )


def _logs(path: Path) -> dict[str, Path]:
    """The interaction files by part; the part is empty where there is only one file."""
    if path.is_file():
        return {"": path}
    files = sorted(path.glob("*.inter"))
    parts = {part: f for part in PARTS for f in files if f.name.endswith(f".{part}.inter")}
    if "train" in parts and len(parts) == len(files):
        return parts
    if len(files) != 1:
        found = ", ".join(f.name for f in files) or "none"
        raise DataError(f"expected one .inter file, found: {found}", where=str(path), fix="Name the file itself.")
    return {"": files[0]}


@dataclass(frozen=True)
class AtomicFile:
    """A file whose header gives every column a type; ``types`` has them in the file's order."""

    file: DelimitedFile
    types: Mapping[str, str]

    @classmethod
    def open(cls, path: Path) -> AtomicFile:
        """Read the header.

        Raises:
            DataError: missing, empty, or a column without a name, a known type, or a name of its own.
        """
        file = DelimitedFile.open(path, TAB)
        types: dict[str, str] = {}
        for position, head in enumerate(file.names):
            name, colon, kind = head.rpartition(":")
            where = f"{path}:1:{sum(len(h) + 1 for h in file.names[:position]) + 1}"
            if not colon or not name:
                fix = "Write name:type, separated by tabs, e.g. user_id:token."
                raise DataError(f"the header field {head!r} has no type", where=where, fix=fix)
            if kind not in TYPES:
                raise DataError(f"unknown type {kind!r} of field {name!r}", where=where, fix=did_you_mean(kind, TYPES))
            if name in types:
                raise DataError(f"two fields are named {name!r}", where=where)
            types[name] = kind
        return cls(file, types)

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.file.path

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without their types."""
        return tuple(self.types)

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        """The columns in ``wanted`` as text; see `DelimitedFile.read`."""
        heads = dict(zip(self.names, self.file.names, strict=True))
        kept = heads if wanted is None else wanted
        source = self.file.read([heads[name] for name in kept], [heads[name] for name in encoded])
        return source.rename({head: name for name, head in heads.items()})


def _read_fields(path: Path, table: str, columns: ColumnMatcher) -> SourceTable:
    """Items or users under our column names, with the types of the header."""
    file = AtomicFile.open(path)
    source = read_fields(file, table, columns)
    result = dict(zip(source.names, source.table.columns, strict=True))
    for (name, column), kind in zip(result.items(), file.types.values(), strict=True):
        if kind == "float":
            result[name] = _floats(column, source, name)
        elif kind == "float_seq" or (kind == "token_seq" and name not in WORDS):
            result[name] = _labels(column)
    return replace(source, table=pa.table(result))


def _floats(column: pa.ChunkedArray, source: SourceTable, name: str) -> pa.Array:
    """float64 with null where the cell is blank or NaN."""
    present = pc.invert(pc.is_null(pc.if_else(pc.match_substring_regex(column, r"(?i)^\s*(nan)?\s*$"), None, column)))
    rows = pc.indices_nonzero(pc.fill_null(present, False))
    place = TakenPlace(source.place, rows)
    parsed = pa.array(parse_numbers(column.take(rows), name, place))
    return parsed.take(pc.index_in(pa.array(np.arange(len(column)), rows.type), rows))


def _labels(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Blank- or comma-separated labels joined with ``|``; quotes and brackets of Python lists are dropped."""
    if pc.any(pc.match_substring(column, ",")).as_py():
        bare = pc.replace_substring_regex(column, r"""^\s*\[|\]\s*$""", "")
        bare = pc.replace_substring_regex(bare, r"""\s*,\s*""", "|")
        bare = pc.replace_substring_regex(bare, r"""(^|\|)['"]""", r"\1")
        return pc.replace_substring_regex(bare, r"""['"](\||$)""", r"\1")
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"\s+", "|")
