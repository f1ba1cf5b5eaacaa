"""MMRec's folders: ``NAME.inter``, whose ``x_label`` says which part a row is in, and features of the items beside it.

Source: github.com/enoche/MMRec (``baby.inter``: userID, itemID, rating, timestamp, x_label, separated by tabs). Items
are the rows of ``image_feat.npy`` and ``text_feat.npy``, which the encoder ``precomputed`` reads.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import PARTS, RawTables
from reasonrec_datasets.importing.reading import look_only
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import DelimitedFile, Dialect
from reasonrec_datasets.layouts.tables import list_files, read_beside

TAB = Dialect(delimiter="\t", quote=None)
PART = "x_label"
NAMES = {str(code): name for code, name in enumerate(PARTS)}
"""What the numbers of `PART` mean: 0 is training, 1 validation, 2 test."""


class MMRecSource(TableSource[TableSettings]):
    """One log with its parts; ``items.*`` and ``users.*`` may stand beside it."""

    order = 19

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is such a log, or a folder with one."""
        return bool(_find_logs(path))

    def files(self, path: Path) -> list[Path]:
        """The log, and ``items.*`` and ``users.*`` beside it: not the features, which are no part of the data set."""
        return [file for log in _find_logs(path) for file in list_files(log)]

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The log, every row with its part."""
        logs = _find_logs(path)
        if len(logs) != 1:
            found = ", ".join(file.name for file in logs) or "none"
            what = f"expected one .inter file with a column {PART}, found: {found}"
            raise DataError(what, where=str(path), fix="Name the file itself.")
        source = _name_parts(DelimitedFile.open(logs[0], TAB).read(encoded=(PART,)))
        return make_raw_tables(read_log(source, columns), *read_beside(logs[0].parent, columns))


def _find_logs(path: Path) -> list[Path]:
    """The logs with a column `PART`; in RecBole's the header says a type after each name."""
    files = sorted(path.glob("*.inter")) if path.is_dir() else [path]
    return [file for file in files if file.suffix == ".inter" and PART in _read_names(file)]


def _read_names(file: Path) -> tuple[str, ...]:
    with look_only(start=True):
        try:
            return DelimitedFile.open(file, TAB).names
        except DataError:
            return ()


def _name_parts(source: SourceTable) -> SourceTable:
    """The table with its parts by name; a number that stands for none is left as it is, for the import to refuse."""
    codes = flatten_column(source.table.column(PART))
    named = pa.array([NAMES.get(code.strip(), code) for code in codes.dictionary.to_pylist()], pa.string())
    column = pa.DictionaryArray.from_arrays(codes.indices, named)
    table = source.table.set_column(source.table.column_names.index(PART), PART, column)
    return SourceTable(table, source.path, source.place).rename({PART: "part"})
