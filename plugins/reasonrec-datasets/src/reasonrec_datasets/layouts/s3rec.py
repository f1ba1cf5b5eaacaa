"""S3-Rec's layout: ``sequences.txt``, a user per line, ``user item item ...``, oldest first; ``items.*`` beside it.

Also read: SASRec's layout, one ``user item`` pair per line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.errors import DataError
from reasonrec_core.types import Int64
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import DelimitedFile, Dialect
from reasonrec_datasets.layouts.places import LinePlace
from reasonrec_datasets.layouts.sniffing import looks_like_prose, looks_like_table
from reasonrec_datasets.layouts.tables import list_files, read_beside, read_tables

ONE_COLUMN = Dialect(delimiter="\x1f", quote=None, names=("line",))


class SequencesSource(TableSource[TableSettings]):
    """S3-Rec's and SASRec's text files."""

    order = 40

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a text file of sequences or a folder with ``sequences.txt``."""
        if path.is_dir():
            return (path / "sequences.txt").is_file()
        return path.suffix == ".txt" and not (looks_like_table(path) or looks_like_prose(path))

    def files(self, path: Path) -> list[Path]:
        """All in a folder; the sequences, and ``items.*`` and ``users.*`` beside them."""
        return list_files(path)

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The sequences, and ``items.*`` and ``users.*`` beside them."""
        if current_reading().numbered and path.is_file():
            return read_tables(path, columns)
        file = path / "sequences.txt" if path.is_dir() else path
        return make_raw_tables(read_sequences(file), *read_beside(file.parent, columns))


@dataclass(frozen=True)
class TokenLines:
    """Lines of text, each a user and items.

    Attributes:
        file: where they stand.
        users: text[L].
        lengths: int[L], how many items a line has.
        items: text[N], of all lines.
        numbers: int[L], of the lines in the file.
    """

    file: Path
    users: pa.Array
    lengths: Int64
    items: pa.Array
    numbers: Int64

    @classmethod
    def open(cls, file: Path) -> TokenLines:
        """Read the lines that are not empty."""
        lines = DelimitedFile.open(file, ONE_COLUMN).text().replace("\r\n", "\n").replace("\r", "\n").split("\n")
        texts = pc.utf8_trim_whitespace(pa.array(lines, pa.string()))
        filled = pc.not_equal(texts, "")
        texts, numbers = texts.filter(filled), np.flatnonzero(filled.to_numpy(zero_copy_only=False)) + 1
        tokens = pc.utf8_split_whitespace(texts)
        widths = pc.list_value_length(tokens).to_numpy()
        values, starts = tokens.flatten(), np.concatenate([[0], np.cumsum(widths)[:-1]])
        is_item = np.ones(len(values), dtype=np.bool_)
        is_item[starts] = False
        lengths = widths.astype(np.int64) - 1
        return cls(file, pc.list_element(tokens, 0), lengths, values.filter(pa.array(is_item)), numbers)

    def table(self) -> SourceTable:
        """A row per user and item, in order."""
        rows = np.repeat(np.arange(len(self.users)), self.lengths)
        table = pa.table({"user_id": self.users.take(pa.array(rows)), "item_id": self.items})
        return SourceTable(table, self.file, LinePlace(self.file, self.numbers[rows]))


def read_sequences(file: Path) -> SourceTable:
    """``user_id`` and ``item_id`` in order.

    Raises:
        DataError: a line without items, or a user on two lines.
    """
    lines = TokenLines.open(file)
    users, numbers = lines.users, lines.numbers
    short = np.flatnonzero(lines.lengths < 1)
    if len(short):
        what = f"user {users[int(short[0])].as_py()!r} has no items"
        raise DataError(what, where=f"{file}:{numbers[short[0]]}", fix="Each line is: user item item ...")
    if len(users.unique()) < len(users) and (lines.lengths != 1).any():
        codes = pc.dictionary_encode(users).indices.to_numpy()
        _, first = np.unique(codes, return_index=True)
        row = int(np.flatnonzero(~np.isin(np.arange(len(codes)), first))[0])
        what = f"user {users[row].as_py()!r} already has a line"
        raise DataError(what, where=f"{file}:{numbers[row]}", fix="Put all items of a user on one line.")
    return lines.table()
