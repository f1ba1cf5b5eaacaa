"""CSV, TSV and other delimited text as columns of strings, with the place of whatever is wrong.

Arrow parses; Python's slower `csv` looks at a file again only to say where an error or a cell stands.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv

from reasonrec_core.data.importers.source import SourceTable
from reasonrec_core.errors import DataError

ID = pa.dictionary(pa.int32(), pa.string())
"""Type of columns with few distinct values: a tenth of the memory of plain strings."""
HEADER_BYTES = 1 << 20


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
    header: tuple[str, ...]
    """The names as they stand in the file, blanks around them included."""

    @classmethod
    def open(cls, path: Path, dialect: Dialect | None = None) -> DelimitedFile:
        """Read the header; ``dialect`` is guessed from suffix and header if it is not given.

        Raises:
            DataError: missing, empty, broken gzip, or an unusable header.
        """
        content = _content(path)
        start = content[: min(HEADER_BYTES, len(content))].to_pybytes()
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start[:4096]:
            fix = "Save the file as UTF-8."
            raise DataError("the file is not UTF-8 text (UTF-16 or binary)", where=f"{path}:1", fix=fix)
        if not start.strip():
            raise DataError("the file is empty", where=str(path))
        line = start.removeprefix(codecs.BOM_UTF8).splitlines()[0].decode(errors="replace")
        dialect = dialect or _guess(path, line)
        if dialect.names is None:
            header = tuple(next(csv.reader([line], delimiter=dialect.delimiter)))
            names = tuple(name.strip() for name in header)
            _check_names(names, path)
            return cls(path, dialect, content, names, header)
        if len(dialect.delimiter) > 1:
            # Arrow splits at one byte; the unit separator does not occur in text that people wrote.
            content = pa.py_buffer(content.to_pybytes().replace(dialect.delimiter.encode(), b"\x1f"))
        return cls(path, dialect, content, dialect.names, dialect.names)

    def read(self, wanted: Collection[str] | None = None, encoded: Collection[str] = ()) -> SourceTable:
        """The columns in ``wanted`` (all if None) as strings, blank cells null; ``encoded`` ones as dictionaries.

        Raises:
            DataError: text that is not in the file's encoding, a row with too few or too many fields, an unclosed
                quote, no rows; with the line.
        """
        delimiter = self.dialect.delimiter if len(self.dialect.delimiter) == 1 else "\x1f"
        quotes = self._quotes()
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(self.content),
                read_options=arrow_csv.ReadOptions(
                    column_names=list(self.names), skip_rows=0, encoding=self.dialect.encoding, block_size=1 << 23
                )
                if self.dialect.names
                else arrow_csv.ReadOptions(encoding=self.dialect.encoding, block_size=1 << 23),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=delimiter, quote_char=self.dialect.quote or False, newlines_in_values=quotes > 0
                ),
                convert_options=self._types(encoded),
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise self._diagnosis() or DataError(str(error), where=str(self.path)) from error
        if quotes % 2 and (problem := self._diagnosis()):
            raise problem
        if table.num_rows == 0:
            raise DataError("the file has a header but no rows", where=str(self.path))
        table = table.rename_columns(list(self.names))
        kept = [name for name in self.names if wanted is None or name in wanted]
        return SourceTable(table.select(kept), self.path, DelimitedPlace(self))

    def _types(self, encoded: Collection[str]) -> arrow_csv.ConvertOptions:
        pairs = zip(self.names, self.header, strict=True)
        types = {there: ID if name in encoded else pa.string() for name, there in pairs}
        return arrow_csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
        )

    def _quotes(self) -> int:
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
        delimiter = self.dialect.delimiter if len(self.dialect.delimiter) == 1 else "\x1f"
        if self.dialect.quote:
            reader = csv.reader(self.lines(), delimiter=delimiter, quotechar=self.dialect.quote)
        else:
            reader = csv.reader(self.lines(), delimiter=delimiter, quoting=csv.QUOTE_NONE)
        csv.field_size_limit(max(csv.field_size_limit(), len(self.content)))
        line, headed = 1, self.dialect.names is None
        for record in reader:
            if record and headed:
                headed = False
            elif record:
                yield line, record
            line = reader.line_num + 1

    def _diagnosis(self) -> DataError | None:
        """What is wrong with the text, found by reading it slowly."""
        where, text = str(self.path), self.content.to_pybytes()
        try:
            text.decode(self.dialect.encoding)
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            column = error.start - text.rfind(b"\n", 0, error.start)
            what = f"byte 0x{text[error.start]:02x} (at byte {error.start}) is not {self.dialect.encoding.upper()}"
            return DataError(what, where=f"{where}:{line}:{column}", fix="Save the file as UTF-8.")
        width = len(self.names)
        start = 1
        record: list[str] = []
        for start, record in self.records():
            if len(record) != width:
                if any("\n" in field for field in record):
                    break
                what = f"the row has {len(record)} fields, but there are {width} columns"
                fix = "Quote fields that hold the delimiter." if self.dialect.quote else "Correct the row or delete it."
                return DataError(what, where=f"{where}:{start}", fix=fix)
        if any("\n" in field for field in record):
            return DataError("a quote is opened but not closed", where=f"{where}:{start}", fix='Close it with ".')
        return None


@dataclass(frozen=True)
class DelimitedPlace:
    """Finds a cell's line and column by reading the file again."""

    file: DelimitedFile

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line:column``."""
        names = self.file.names
        index = names.index(column) if column in names else None
        for number, (line, record) in enumerate(self.file.records()):
            if number == row:
                if index is None or index >= len(record):
                    return f"{self.file.path}:{line}"
                text = next(t for n, t in enumerate(self.file.lines(), 1) if n == line)
                return f"{self.file.path}:{line}:{self._offset(text, index)}"
        return f"{self.file.path}, row {row + 1}"

    def _offset(self, text: str, index: int) -> int:
        """Column (from 1) of the line at which field ``index`` starts."""
        dialect = self.file.dialect
        delimiter = dialect.delimiter if len(dialect.delimiter) == 1 else "\x1f"
        quoted, position = False, 0
        while index and position < len(text):
            if text[position] == dialect.quote:
                quoted = not quoted
            elif text[position] == delimiter and not quoted:
                index -= 1
            position += 1
        shift = (len(dialect.delimiter) - 1) * text.count(delimiter, 0, position)
        return position + shift + 1


def _content(path: Path) -> pa.Buffer:
    try:
        if path.suffix == ".gz":
            with pa.input_stream(str(path), compression="gzip") as stream:
                return stream.read_buffer()
        if path.stat().st_size == 0:
            return pa.py_buffer(b"")
        with pa.memory_map(str(path)) as mapped:
            return mapped.read_buffer()
    except FileNotFoundError as error:
        raise DataError("the file does not exist", where=str(path)) from error
    except OSError as error:
        if path.suffix == ".gz":
            fix = "The file is damaged or not gzip: get it again."
            raise DataError(f"cannot be decompressed ({error})", where=str(path), fix=fix) from error
        raise DataError(f"cannot be read ({error.strerror or error})", where=str(path)) from error


def _guess(path: Path, header: str) -> Dialect:
    tabs = ".tsv" in path.suffixes
    counts = {d: header.count(d) for d in ("\t", ",", ";", "|")}
    if tabs or counts[","] == 0:
        best = max(counts, key=lambda d: (counts[d], d == "\t" if tabs else d == ","))
        return Dialect(best if counts[best] else "\t" if tabs else ",")
    return Dialect()


def _check_names(names: tuple[str, ...], path: Path) -> None:
    fix = "The first line must name every column once."
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(f"column {number} has no name", where=f"{path}:1", fix=fix)
        if name in names[: number - 1]:
            raise DataError(f"two columns are named {name!r}", where=f"{path}:1", fix=fix)


def without_quotes(dialect: Dialect) -> Dialect:
    """The same dialect with quotes as ordinary characters."""
    return replace(dialect, quote=None)
