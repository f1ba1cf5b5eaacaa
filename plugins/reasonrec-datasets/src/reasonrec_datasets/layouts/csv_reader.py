"""CSV, TSV and other delimited text as columns of strings, with the place of whatever is wrong.

Arrow parses; Python's slower `csv` looks at a file again only to say where an error or a cell stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.source_tables import SourceTable
from reasonrec_datasets.layouts.file_content import find_header, make_undecodable, read_content
from reasonrec_datasets.layouts.headers import UNNAMED, drop_unnamed, find_delimiter, name_columns

ID = pa.dictionary(pa.int32(), pa.string())
"""Type of columns with few distinct values: a tenth of the memory of plain strings."""
BLOCK_BYTES = 1 << 23
TOO_LONG = f"a row is longer than {BLOCK_BYTES:,} bytes, or a quote is opened but not closed"
UNIT = "\x1f"


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written.

    Attributes:
        delimiter: between fields; more than one character only without quotes (``::``).
        quote: what surrounds fields that hold delimiters, or None where quotes are ordinary characters.
        encoding: of the text.
        names: of the columns where the file has no header line.
    """

    delimiter: str = ","
    quote: str | None = '"'
    encoding: str = "utf-8"
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DelimitedFile:
    """One delimited file: its content in memory (mapped where it is not compressed) and its column names."""

    path: Path
    dialect: Dialect
    content: pa.Buffer
    columns: tuple[str, ...]
    """Of every field; those without a name begin with `headers.UNNAMED`."""
    skip: int
    """Lines before the first row: the header, and empty ones above it."""

    @classmethod
    def open(cls, path: Path, dialect: Dialect | None = None) -> DelimitedFile:
        """Read the header; ``dialect`` is guessed from suffix and header if it is not given.

        Raises:
            DataError: missing, empty, broken gzip, or an unusable header.
        """
        content, start = read_content(path)
        if dialect is not None and dialect.names is not None:
            if len(dialect.delimiter) > 1:
                # Arrow splits at one byte; the unit separator does not occur in text that people wrote.
                content = pa.py_buffer(content.to_pybytes().replace(dialect.delimiter.encode(), UNIT.encode()))
            return cls(path, dialect, content, dialect.names, 0)
        before, line, excel = find_header(start, path)
        try:
            text = line.decode(dialect.encoding if dialect else "utf-8")
        except UnicodeDecodeError as error:
            raise make_undecodable(path, error, before=before) from error
        given = dialect
        dialect = dialect or Dialect(find_delimiter(path, text, excel))
        reader = _make_reader(iter([text]), dialect.delimiter, dialect.quote)
        rows = DelimitedFile(path, dialect, pa.py_buffer(start), (), before)
        header = name_columns(next(reader), rows.first_row(), path, plain=given is None)
        if not header.there:
            return cls(path, replace(dialect, names=header.names), content, header.names, before)
        return cls(path, dialect, content, header.names, before + 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that have one."""
        return tuple(name for name in self.columns if not name.startswith(UNNAMED))

    @property
    def delimiter(self) -> str:
        """What separates fields in ``content``."""
        return self.dialect.delimiter if len(self.dialect.delimiter) == 1 else UNIT

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        """The columns in ``wanted`` (all if None) as strings, blank cells null; ``encoded`` ones as dictionaries.

        Raises:
            DataError: text that is not in the file's encoding, a row with too few or too many fields, an unclosed
                quote, no rows; with the line.
        """
        quotes = self._count_quotes()
        types = {name: ID if name in encoded else pa.string() for name in self.columns}
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(self.content),
                read_options=arrow_csv.ReadOptions(
                    column_names=list(self.columns),
                    skip_rows=self.skip,
                    encoding=self.dialect.encoding,
                    block_size=BLOCK_BYTES,
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.delimiter, quote_char=self.dialect.quote or False, newlines_in_values=quotes > 0
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
                ),
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            if "straddl" in str(error) or "block_size" in str(error):
                raise DataError(TOO_LONG, where=str(self.path)) from error
            raise self._diagnose() or DataError(str(error), where=str(self.path)) from error
        if (quotes % 2 or table.num_rows == 0) and (problem := self._diagnose()):
            raise problem
        table = drop_unnamed(table, self.path, self)
        if quotes and (problem := self._find_swallowed(table, encoded)):
            raise problem
        kept = [name for name in table.column_names if wanted is None or name in wanted]
        return SourceTable(table.select(kept), self.path, self)

    def text(self) -> str:
        """The content as text.

        Raises:
            DataError: not in the file's encoding; with the line and the byte.
        """
        try:
            return str(self.content.to_pybytes(), self.dialect.encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise make_undecodable(self.path, error) from error

    def first_row(self) -> list[str]:
        """The fields of the first row; none where there is none."""
        return next((record for _, record in self.records()), [])

    def _find_swallowed(self, table: pa.Table, encoded: Collection[str]) -> DataError | None:
        """The first cell that holds the end of one line and the beginning of the next, by a quote that was none.

        Ids and parts hold no line breaks; in other columns a line break together with a tab of a TSV betrays it.
        """
        for name in table.column_names:
            column = table.column(name)
            values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
            kind = (
                r"[\r\n]" if name in encoded else r"[\r\n][^\t]*\t|\t[^\t]*[\r\n]" if self.delimiter == "\t" else None
            )
            if kind is None:
                continue
            if pa.types.is_dictionary(values.type):
                broken = pc.match_substring_regex(values.dictionary, kind)
                row = pc.index(values.indices, pc.index(broken, True)).as_py() if pc.any(broken).as_py() else -1
            else:
                row = pc.index(pc.match_substring_regex(values, kind), True).as_py()
            if row >= 0:
                what = f"a quote swallows the end of the line: {name} holds a line break"
                fix = "Close the quote in its line, or double it if it is part of the text."
                return DataError(what, where=self.where(row, name), fix=fix)
        return None

    def _count_quotes(self) -> int:
        if not self.dialect.quote:
            return 0
        mark, view, step = self.dialect.quote.encode(), memoryview(self.content), 1 << 24
        return sum(bytes(view[i : i + step]).count(mark) for i in range(0, len(view), step))

    def lines(self) -> Iterator[str]:
        """The file's lines as text, bytes that cannot be decoded replaced."""
        stream = io.TextIOWrapper(
            io.BytesIO(self.content.to_pybytes()), self.dialect.encoding, errors="replace", newline=""
        )
        for number, line in enumerate(stream):
            yield line.lstrip("\ufeff") if number == 0 else line

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Each data row with the number of the line that it starts on."""
        reader = _make_reader(self.lines(), self.delimiter, self.dialect.quote)
        line, headed = 1, self.dialect.names is None
        try:
            for record in reader:
                if record and headed:
                    headed = False
                elif record:
                    yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(TOO_LONG, where=f"{self.path}:{line}") from error

    def _diagnose(self) -> DataError | None:
        """What is wrong with the text, found by reading it slowly."""
        where = str(self.path)
        try:
            self.text()
        except DataError as error:
            return error
        width = len(self.columns)
        line = 0
        record: list[str] = []
        for line, record in self.records():
            if len(record) != width:
                if any("\n" in field for field in record):
                    break
                what = f"the row has {len(record)} fields, but there are {width} columns"
                fix = "Quote fields that hold the delimiter." if self.dialect.quote else "Correct the row or delete it."
                return DataError(what, where=f"{where}:{line}", fix=fix)
        if not line:
            return DataError("the file has a header but no rows", where=where)
        if any("\n" in field for field in record):
            return DataError("a quote is opened but not closed", where=f"{where}:{line}", fix='Close it with ".')
        return None

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line:column`` of a cell, found by reading the file again."""
        index = self.columns.index(column) if column in self.columns else None
        for number, (line, record) in enumerate(self.records()):
            if number == row:
                if index is None or index >= len(record):
                    return f"{self.path}:{line}"
                text = next(t for n, t in enumerate(self.lines(), 1) if n == line)
                return f"{self.path}:{line}:{self._find_field(text, index)}"
        return f"{self.path}, row {row + 1}"

    def _find_field(self, text: str, index: int) -> int:
        """Column (from 1) of the line at which field ``index`` starts."""
        quoted, position = False, 0
        while index and position < len(text):
            if text[position] == self.dialect.quote:
                quoted = not quoted
            elif text[position] == self.delimiter and not quoted:
                index -= 1
            position += 1
        shift = (len(self.dialect.delimiter) - 1) * text.count(self.delimiter, 0, position)
        return position + shift + 1


def _make_reader(lines: Iterator[str], delimiter: str, quote: str | None) -> Any:
    csv.field_size_limit(BLOCK_BYTES)
    if quote:
        return csv.reader(lines, delimiter=delimiter, quotechar=quote)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
