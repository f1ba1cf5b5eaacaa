"""CSV, TSV and other delimited text as columns of strings, with the place of whatever is wrong.

Arrow parses; Python's slower `csv` looks at a file again only to say where an error or a cell stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable
from reasonrec_datasets.layouts.file_content import find_header, join_blanks, make_undecodable, read_content
from reasonrec_datasets.layouts.headers import (
    UNNAMED,
    drop_headers,
    drop_unnamed,
    find_delimiter,
    find_names,
    name_columns,
)
from reasonrec_datasets.layouts.places import TakenPlace
from reasonrec_datasets.layouts.swallowed_lines import find_swallowed

ID = pa.dictionary(pa.int32(), pa.string())
"""Type of columns with few distinct values: a tenth of the memory of plain strings."""
BLOCK_BYTES = 1 << 23
TOO_LONG = f"a row is longer than {BLOCK_BYTES:,} bytes, or a quote is opened but not closed"
UNIT = "\x1f"
QUOTES: Mapping[str | None, str | None] = {None: '"', "double": '"', "single": "'", "none": None, "backslash": '"'}
"""By what the user says of them (``--quote``)."""


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written.

    Attributes:
        delimiter: between fields; more than one character only without quotes (``::``).
        quote: what surrounds fields that hold delimiters, or None where quotes are ordinary characters.
        escape: what makes a quote within quotes ordinary, where that is not the quote itself.
        encoding: of the text.
        names: of the columns where the file has no header line.
    """

    delimiter: str = ","
    quote: str | None = '"'
    encoding: str = "utf-8"
    names: tuple[str, ...] | None = None
    escape: str | None = None


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
        if given is None:
            before, text = find_names(start, before, text, path)
        dialect = dialect or _guess_dialect(path, text, excel)
        if given is None and len(dialect.delimiter) > 1:
            mark = dialect.delimiter.encode()
            content, start = (pa.py_buffer(t.replace(mark, UNIT.encode())) for t in (content.to_pybytes(), start))
            start, text = start.to_pybytes(), text.replace(dialect.delimiter, UNIT)
        if dialect.delimiter == " " and given is None:
            content, start, text = (
                pa.py_buffer(join_blanks(content.to_pybytes())),
                join_blanks(start),
                join_blanks(text.encode()).decode(),
            )
        reader = _make_reader(iter([text]), dialect.delimiter if len(dialect.delimiter) == 1 else UNIT, dialect)
        rows = DelimitedFile(path, dialect, pa.py_buffer(start), (), before + 1)
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
                    delimiter=self.delimiter,
                    quote_char=self.dialect.quote or False,
                    escape_char=self.dialect.escape or False,
                    newlines_in_values=quotes > 0,
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
        if quotes and (problem := find_swallowed(self, table, encoded)):
            raise problem
        table, rows = drop_headers(table, self)
        kept = [name for name in table.column_names if wanted is None or name in wanted]
        return SourceTable(table.select(kept), self.path, self if rows is None else TakenPlace(self, rows))

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
        headed = self.dialect.names is None
        above = self.skip - headed
        reader = _make_reader(islice(self.lines(), above, None), self.delimiter, self.dialect)
        line = above + 1
        try:
            for record in reader:
                if record and headed:
                    headed = False
                elif record:
                    yield line, record
                line = above + reader.line_num + 1
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
                quoted = self.dialect.quote and len(record) > width
                fix = "Quote fields that contain the delimiter." if quoted else "Correct the row or delete it."
                if self.dialect.escape is None and '\\"' in next(t for n, t in enumerate(self.lines(), 1) if n == line):
                    fix = 'If quotes inside fields are written \\": --quote backslash.'
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


def _guess_dialect(path: Path, header: str, excel: str | None) -> Dialect:
    quote = current_reading().quote
    escape = "\\" if quote == "backslash" else None
    delimiter = find_delimiter(path, header, excel)
    return Dialect(delimiter, QUOTES[quote] if len(delimiter) == 1 else None, escape=escape)


def _make_reader(lines: Iterator[str], delimiter: str, dialect: Dialect) -> Any:
    csv.field_size_limit(BLOCK_BYTES)
    if dialect.quote is None:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    double = dialect.escape is None
    return csv.reader(
        lines, delimiter=delimiter, quotechar=dialect.quote, escapechar=dialect.escape, doublequote=double
    )
