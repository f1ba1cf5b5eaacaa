"""S3-Rec's layout: ``sequences.txt``, a user per line, ``user item item ...``, oldest first; ``items.*`` beside it.

Also read: SASRec's layout, one ``user item`` pair per line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import DelimitedFile, Dialect
from reasonrec_datasets.layouts.places import LinePlace
from reasonrec_datasets.layouts.tables import list_files, read_beside

ONE_COLUMN = Dialect(delimiter="\x1f", quote=None, names=("line",))


class SequencesSource(TableSource[TableSettings]):
    """S3-Rec's and SASRec's text files."""

    order = 40

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a text file of sequences or a folder with ``sequences.txt``."""
        return (path / "sequences.txt").is_file() if path.is_dir() else path.suffix == ".txt"

    def files(self, path: Path) -> list[Path]:
        """All in a folder; the sequences, and ``items.*`` and ``users.*`` beside them."""
        return list_files(path)

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The sequences, and ``items.*`` and ``users.*`` beside them."""
        file = path / "sequences.txt" if path.is_dir() else path
        return make_raw_tables(read_sequences(file), *read_beside(file.parent, columns))


def read_sequences(file: Path) -> SourceTable:
    """``user_id`` and ``item_id`` in order.

    Raises:
        DataError: a line without items, or a user on two lines.
    """
    lines = DelimitedFile.open(file, ONE_COLUMN).text().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    texts = pc.utf8_trim_whitespace(pa.array(lines, pa.string()))
    filled = pc.not_equal(texts, "")
    texts, numbers = texts.filter(filled), np.flatnonzero(filled.to_numpy(zero_copy_only=False)) + 1
    tokens = pc.utf8_split_whitespace(texts)
    lengths = pc.list_value_length(tokens).to_numpy()
    users = pc.list_element(tokens, 0)
    short = np.flatnonzero(lengths < 2)
    if len(short):
        what = f"user {users[int(short[0])].as_py()!r} has no items"
        raise DataError(what, where=f"{file}:{numbers[short[0]]}", fix="Each line is: user item item ...")
    if len(users.unique()) < len(users) and (lengths != 2).any():
        codes = pc.dictionary_encode(users).indices.to_numpy()
        _, first = np.unique(codes, return_index=True)
        row = int(np.flatnonzero(~np.isin(np.arange(len(codes)), first))[0])
        what = f"user {users[row].as_py()!r} has a line already"
        raise DataError(what, where=f"{file}:{numbers[row]}", fix="Put all items of a user on one line.")
    values, starts = tokens.flatten(), np.concatenate([[0], np.cumsum(lengths)[:-1]])
    is_item = np.ones(len(values), dtype=np.bool_)
    is_item[starts] = False
    rows = np.repeat(np.arange(len(users)), lengths - 1)
    table = pa.table({"user_id": users.take(pa.array(rows)), "item_id": values.filter(pa.array(is_item))})
    return SourceTable(table, file, LinePlace(file, numbers[rows]))
