"""CSV, TSV and other delimited text as columns of strings, with the place of whatever is wrong.

Arrow parses; Python's slower `csv` looks at a file again only to say where an error or a cell stands.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from reasonrec_core.errors import DataError
from reasonrec_core.io import refuse_unreadable
from reasonrec_datasets.importing.source_tables import SourceTable

ID = pa.dictionary(pa.int32(), pa.string())
"""Type of columns with few distinct values: a tenth of the memory of plain strings."""
BLOCK_BYTES = 1 << 23
HEADER_BYTES = 1 << 20
LOOK_FOR_NUL = 4096
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
    names: tuple[str, ...]
    skip: int
    """Lines before the first row: the header, and empty ones above it."""

    @classmethod
    def open(cls, path: Path, dialect: Dialect | None = None) -> DelimitedFile:
        """Read the header; ``dialect`` is guessed from suffix and header if it is not given.

        Raises:
            DataError: missing, empty, broken gzip, or an unusable header.
        """
        content, start = _read_content(path)
        empty, line = _find_header(start)
        if dialect is not None and dialect.names is not None:
            if len(dialect.delimiter) > 1:
                # Arrow splits at one byte; the unit separator does not occur in text that people wrote.
                content = pa.py_buffer(content.to_pybytes().replace(dialect.delimiter.encode(), UNIT.encode()))
            return cls(path, dialect, content, dialect.names, 0)
        try:
            header = line.decode(dialect.encoding if dialect else "utf-8")
        except UnicodeDecodeError as error:
            raise _undecodable(path, error, before=empty) from error
        dialect = dialect or _guess_dialect(path, header)
        names = tuple(name.strip() for name in next(_make_reader(iter([header]), dialect.delimiter, dialect.quote)))
        check_names(names, path)
        return cls(path, dialect, content, names, empty + 1)

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
        types = {name: ID if name in encoded else pa.string() for name in self.names}
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(self.content),
                read_options=arrow_csv.ReadOptions(
                    column_names=list(self.names),
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
            raise self._diagnose() or DataError(str(error), where=str(self.path)) from error
        if (quotes % 2 or table.num_rows == 0) and (problem := self._diagnose()):
            raise problem
        kept = [name for name in self.names if wanted is None or name in wanted]
        return SourceTable(table.select(kept), self.path, self)

    def text(self) -> str:
        """The content as text.

        Raises:
            DataError: not in the file's encoding; with the line and the byte.
        """
        try:
            return str(self.content.to_pybytes(), self.dialect.encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise _undecodable(self.path, error) from error

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
        csv.field_size_limit(max(csv.field_size_limit(), len(self.content)))
        line, headed = 1, self.dialect.names is None
        for record in reader:
            if record and headed:
                headed = False
            elif record:
                yield line, record
            line = reader.line_num + 1

    def _diagnose(self) -> DataError | None:
        """What is wrong with the text, found by reading it slowly."""
        where = str(self.path)
        try:
            self.text()
        except DataError as error:
            return error
        width = len(self.names)
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
        index = self.names.index(column) if column in self.names else None
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
    if quote:
        return csv.reader(lines, delimiter=delimiter, quotechar=quote)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def _guess_dialect(path: Path, header: str) -> Dialect:
    tabs = ".tsv" in path.suffixes
    counts = {d: header.count(d) for d in ("\t", ",", ";", "|")}
    if tabs or counts[","] == 0:
        best = max(counts, key=lambda d: (counts[d], d == "\t" if tabs else d == ","))
        return Dialect(best if counts[best] else "\t" if tabs else ",")
    return Dialect()


def check_names(names: tuple[str, ...], path: Path) -> None:
    """Refuse columns without a name and two of one name."""
    fix = "The first line must name every column once."
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(f"column {number} has no name", where=f"{path}:1", fix=fix)
        if name in names[: number - 1]:
            raise DataError(f"two columns are named {name!r}", where=f"{path}:1", fix=fix)


def _read_content(path: Path) -> tuple[pa.Buffer, bytes]:
    """The content and its beginning.

    Raises:
        DataError: missing, unreadable, broken gzip, empty, or not text in an 8-bit encoding.
    """
    with refuse_unreadable(path):
        content = _read_bytes(path)
    start = content[: min(HEADER_BYTES, len(content))].to_pybytes()
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start[:LOOK_FOR_NUL]:
        what = "the file is not UTF-8 text (UTF-16 or binary)"
        raise DataError(what, where=f"{path}:1", fix="Save the file as UTF-8.")
    if not start.strip():
        raise DataError("the file is empty", where=str(path))
    return content, start


def _find_header(start: bytes) -> tuple[int, bytes]:
    """How many empty lines come first, and the line after them."""
    lines = start.removeprefix(codecs.BOM_UTF8).splitlines()
    empty = next(number for number, line in enumerate(lines) if line)
    return empty, lines[empty]


def _undecodable(path: Path, error: UnicodeDecodeError, *, before: int = 0) -> DataError:
    """The error for bytes that are not in the encoding; ``before`` counts lines that are not in the error's bytes."""
    data, at = error.object, error.start
    line = before + data.count(b"\n", 0, at) + 1
    column = at - data.rfind(b"\n", 0, at)
    what = f"byte 0x{data[at]:02x} (at byte {at}) is not {error.encoding.upper()}"
    return DataError(what, where=f"{path}:{line}:{column}", fix="Save the file as UTF-8.")


def _read_bytes(path: Path) -> pa.Buffer:
    if path.suffix == ".gz":
        with pa.input_stream(str(path), compression="gzip") as stream:
            return stream.read_buffer()
    if path.stat().st_size == 0:
        return pa.py_buffer(b"")
    with pa.memory_map(str(path)) as mapped:
        return mapped.read_buffer()
