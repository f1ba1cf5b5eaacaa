"""Parts that come as files: ``train``, ``valid`` (if there is one) and ``test``, with ``items.*`` beside them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from reasonrec_core.data.importers.columns import Columns
from reasonrec_core.data.importers.source_location import SourceTable, join
from reasonrec_core.data.importers.tables import beside, find_table, raw_tables, read_log
from reasonrec_core.data.raw import PARTS, RawTables
from reasonrec_core.errors import DataError

NAME = "predefined"
SUMMARY = "train.*, valid.* and test.* with a label or rating and perhaps a history per row; items.* beside them"
STEMS = {"train": ("train",), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}


def matches(path: Path) -> bool:
    """Whether ``path`` is a folder with training and test files."""
    return path.is_dir() and all(find_table(path, *STEMS[part]) for part in ("train", "test"))


def read(path: Path, columns: Columns) -> RawTables:
    """The parts, one after the other."""
    files = {part: find_table(path, *STEMS[part]) for part in PARTS}
    for part in ("train", "test"):
        if files[part] is None:
            raise DataError(f"no file {part}.csv (or .csv.gz, .tsv, .parquet)", where=str(path))
    log = join([with_part(read_log(file, columns), part) for part, file in files.items() if file])
    return raw_tables(log, *beside(path, columns))


def with_part(source: SourceTable, part: str) -> SourceTable:
    """The table with every row in ``part``."""
    column = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), source.table.num_rows), [part])
    table = source.table.drop_columns(["part"]) if "part" in source.table.column_names else source.table
    return SourceTable(table.append_column("part", column), source.path, source.place)
