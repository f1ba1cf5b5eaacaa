"""CSV, TSV and other delimited text as columns of strings, with the place of whatever is wrong.

Arrow parses; Python's slower `csv` looks at a file again only to say where an error or a cell stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable
from reasonrec_datasets.layouts.file_content import find_header, join_blanks, make_undecodable, read_content
from reasonrec_datasets.layouts.headers import UNNAMED, drop_unnamed, find_delimiter, name_columns

ID = pa.dictionary(pa.int32(), pa.string())
"""Type of columns with few distinct values: a tenth of the memory of plain strings."""
BLOCK_BYTES = 1 << 23
TOO_LONG = f"a row is longer than {BLOCK_BYTES:,} bytes, or a quote is opened but not closed"
UNIT = "\x1f"
QUOTES: Mapping[str | None, str | None] = {None: '"', "double": '"', "single": "'", "none": None, "backslash": '"'}
"""By what the user says of them (``--quote``)."""
BREAK = r"[\r\n]"
TAB_AND_BREAK = r"[\r\n][^\t]*\t|\t[^\t]*[\r\n]"


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
        dialect = dialect or _guess_dialect(path, text, excel)
        if dialect.delimiter == " " and given is None:
            content, start, text = (
                pa.py_buffer(join_blanks(content.to_pybytes())),
                join_blanks(start),
                join_blanks(text.encode()).decode(),
            )
        reader = _make_reader(iter([text]), dialect.delimiter, dialect)
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

        Ids and parts hold no line breaks; in other columns a line break together with a tab of a TSV betrays it, or
        lines that would be whole rows if the quotes were ordinary characters. Where the user says what quotes are
        (``--quote``), only ids are looked at.
        """
        said = current_reading().quote is not None
        for name in table.column_names:
            values = flatten_column(table.column(name))
            if name in encoded:
                row = _find_break(values)
            else:
                row = -1 if said else self._find_rows_within(values, self.columns.index(name))
            if row >= 0:
                what = f"a quote swallows the end of the line: {name} holds a line break"
                fix = "Close the quote in its line, or double it if it is part of the text. "
                fix += "--quote none: quotes are ordinary characters; --quote double: it is meant so."
                return DataError(what, where=self.where(row, name), fix=fix)
        return None

    def _find_rows_within(self, values: pa.Array, position: int) -> int:
        """The first cell that would be rows, were it not for a quote; -1 where there is none."""
        if self.delimiter == "\t":
            return int(pc.index(pc.match_substring_regex(values, TAB_AND_BREAK), True).as_py())
        mark, width = self.delimiter, len(self.columns)
        broken = pc.fill_null(pc.and_(pc.match_substring(values, "\n"), pc.match_substring(values, mark)), False)
        for row in pc.indices_nonzero(broken).to_pylist():
            first, *middle, last = values[row].as_py().split("\n")
            if first.count(mark) + position + 1 != width or last.count(mark) != position:
                continue
            whole = all(line.count(mark) == width - 1 for line in middle)
            if whole and f"{mark} " not in first + last and " " not in last.split(mark)[0]:
                return int(row)
        return -1

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
        reader = _make_reader(self.lines(), self.delimiter, self.dialect)
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
                if self.dialect.escape is None and '\\"' in next(t for n, t in enumerate(self.lines(), 1) if n == line):
                    fix = 'Quotes within quotes are written \\": say so, --quote backslash.'
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


def _find_break(values: pa.Array) -> int:
    """The first id with a line break, or -1."""
    if not pa.types.is_dictionary(values.type):
        return int(pc.index(pc.match_substring_regex(values, BREAK), True).as_py())
    broken = pc.match_substring_regex(values.dictionary, BREAK)
    return pc.index(values.indices, pc.index(broken, True)).as_py() if pc.any(broken).as_py() else -1


def _guess_dialect(path: Path, header: str, excel: str | None) -> Dialect:
    quote = current_reading().quote
    escape = "\\" if quote == "backslash" else None
    return Dialect(find_delimiter(path, header, excel), QUOTES[quote], escape=escape)


def _make_reader(lines: Iterator[str], delimiter: str, dialect: Dialect) -> Any:
    csv.field_size_limit(BLOCK_BYTES)
    if dialect.quote is None:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    double = dialect.escape is None
    return csv.reader(
        lines, delimiter=delimiter, quotechar=dialect.quote, escapechar=dialect.escape, doublequote=double
    )
