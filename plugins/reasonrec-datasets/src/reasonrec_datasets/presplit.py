"""Parts that come as files: ``train``, ``valid`` (if there is one) and ``test``, with ``items.*`` beside them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from reasonrec_core.components import DataSource, Empty
from reasonrec_core.data import ColumnMatcher
from reasonrec_core.data.raw_tables import PARTS, RawTables, SourceTable
from reasonrec_core.data.tables import find_table, make_raw_tables, read_beside, read_log
from reasonrec_core.errors import DataError
from reasonrec_datasets.places import join_tables

STEMS = {"train": ("train",), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}


class PredefinedSource(DataSource[Empty]):
    """Parts that come as files, with ``items.*`` beside them."""

    order = 10

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a folder with training and test files."""
        return path.is_dir() and all(find_table(path, *STEMS[part]) for part in ("train", "test"))

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The parts, one after the other."""
        files = {part: find_table(path, *STEMS[part]) for part in PARTS}
        for part in ("train", "test"):
            if files[part] is None:
                raise DataError(f"no file {part}.csv (or .csv.gz, .tsv, .parquet)", where=str(path))
        log = join_tables([mark_part(read_log(file, columns), part) for part, file in files.items() if file])
        return make_raw_tables(log, *read_beside(path, columns))


def mark_part(source: SourceTable, part: str) -> SourceTable:
    """The table with every row in ``part``."""
    column = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), source.table.num_rows), [part])
    table = source.table.drop_columns(["part"]) if "part" in source.table.column_names else source.table
    return SourceTable(table.append_column("part", column), source.path, source.place)
