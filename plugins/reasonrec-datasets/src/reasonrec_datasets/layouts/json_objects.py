"""The objects of a JSON file, one after the other: an object a line, as Python prints it too, or one array of objects.

Whatever the size of the file, no more than one object and a few megabytes are in memory.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from reasonrec_core.errors import DataError
from reasonrec_core.io import refuse_unreadable
from reasonrec_datasets.importing.list_parsing import read_literal
from reasonrec_datasets.importing.reading import FileReading, current_reading
from reasonrec_datasets.layouts.file_content import has_wide_mark, read_content, suggest_encoding

LINE_BYTES = 1 << 24
STEP = 1 << 20
ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*(?:[{\]]|$)")
COMMA = re.compile(r"\s*(,|\])\s*")
SURROGATE = re.compile("[\ud800-\udfff]")
ONE_A_LINE = "Write one JSON object per line, or one array of objects."
WRAPPERS = ("$date", "$oid", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal")


class _Unpacked(io.RawIOBase):
    """What is unpacked, given up as soon as it is more than the limit."""

    def __init__(self, packed: IO[bytes] | gzip.GzipFile, path: Path, reading: FileReading) -> None:
        self._packed, self._path, self._reading, self._count = packed, path, reading, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._packed.read(len(buffer))
        buffer[: len(part)] = part
        self._count += len(part)
        self._reading.refuse_bytes(self._count, self._path)
        return len(part)

    def close(self) -> None:
        self._packed.close()
        super().close()


def refuse_large(file: Path) -> None:
    """Refuse what holds more than the limit before any of it is read: unpacking takes a tenth of the time.

    Raises:
        DataError: with the setting that moves the limit.
    """
    if file.suffix.lower() == ".gz":
        with open_bytes(file) as stream:
            while stream.read(STEP):
                pass


def open_bytes(file: Path) -> io.BufferedReader:
    """The file's bytes, unpacked within limits, as UTF-8 where its encoding is known and another."""
    reading = current_reading()
    if reading.encoding or has_wide_mark(file):
        return io.BufferedReader(io.BytesIO(read_content(file)[0].to_pybytes()))
    if file.suffix.lower() == ".gz":
        return io.BufferedReader(_Unpacked(gzip.open(file), file, reading), STEP)
    reading.refuse_bytes(file.stat().st_size, file, packed=False)
    return io.BufferedReader(io.FileIO(file), STEP)


def read_objects(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of a file; the objects of an array are counted instead.

    Raises:
        DataError: not UTF-8, not JSON, not an object; with the line. Broken gzip.
    """
    current_reading().opened.add(file)
    with refuse_unreadable(file), open_bytes(file) as stream:
        if ARRAY.match(stream.peek(1 << 12)):
            yield from _read_array(stream, file)
            return
        for number, line in enumerate(iter(partial(stream.readline, LINE_BYTES + 1), b""), 1):
            if len(line) > LINE_BYTES:
                raise DataError(f"a line is longer than {LINE_BYTES:,} bytes", where=f"{file}:{number}")
            if line.strip():
                yield number, _read_object(line, f"{file}:{number}")


def _read_array(stream: io.BufferedReader, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    text = _Text(stream, file)
    at = re.compile(r"\ufeff?\s*\[\s*").match(text.buffer).end()  # type: ignore[union-attr]
    if text.buffer.startswith("]", at):
        return
    number, ended = 1, False
    while not ended:
        row, at, whole = text.decode(at)
        if not isinstance(row, dict):
            raise DataError(f"element {number} of the array is not an object", where=str(file))
        if not whole:
            raise DataError(f"element {number} contains half of a surrogate pair, which is not text", where=str(file))
        yield number, {name: _unwrap(each) for name, each in row.items()}
        ended, at = text.pass_comma(at)
        number += 1


class _Text:
    """The text of an array, as much of it as one element needs."""

    def __init__(self, stream: io.BufferedReader, file: Path) -> None:
        self._stream, self._file, self._lines = stream, file, 1
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder()
        self.buffer, self._more = "", True
        self._read(0)

    def decode(self, at: int) -> tuple[Any, int, bool]:
        """The element that begins at ``at``, where it ends, and whether it holds no half of a surrogate pair."""
        while True:
            try:
                value, end = self._json.raw_decode(self.buffer, at)
                return value, end, self.buffer.find("\\u", at, end) < 0 or not _holds_surrogates(value)
            except (ValueError, RecursionError) as error:
                if not self._more or not self._is_cut_off(error):
                    raise self._not_json(error) from error
            if len(self.buffer) - at > LINE_BYTES:
                raise DataError(f"an element is longer than {LINE_BYTES:,} bytes", where=f"{self._file}:{self._lines}")
            at = self._read(at)

    def _is_cut_off(self, error: Exception) -> bool:
        """Whether an element may be whole once more of it is read."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith(("Unterminated", "Invalid \\")) or error.pos > len(self.buffer) - len("-Infinity")

    def pass_comma(self, at: int) -> tuple[bool, int]:
        """Whether the array ends at ``at``, and where its next element begins."""
        found = COMMA.match(self.buffer, at)
        while (found is None or found.end() == len(self.buffer)) and self._more:
            at = self._read(at)
            found = COMMA.match(self.buffer, at)
        if found is None or (found[1] == "]" and found.end() < len(self.buffer)):
            what = "a comma or the end of the array is missing" if found is None else "extra data after the array"
            raise self._not_json(json.JSONDecodeError(what, self.buffer, at if found is None else found.end()))
        return found[1] == "]", found.end()

    def _read(self, at: int) -> int:
        """Forget what lies before ``at``, and hold twice as much of what follows: where ``at`` is now."""
        self._lines += self.buffer.count("\n", 0, at)
        part = self._stream.read(max(STEP, len(self.buffer) - at))
        self._more = bool(part)
        try:
            self.buffer = self.buffer[at:] + self._decoder.decode(part, final=not part)
        except UnicodeDecodeError as error:
            raise _not_utf8(error, f"{self._file}") from error
        return 0

    def _not_json(self, error: ValueError | RecursionError) -> DataError:
        line, column = self._lines, 1
        if isinstance(error, json.JSONDecodeError):
            line, column = self._lines + error.lineno - 1, error.colno
        return DataError(f"not JSON ({getattr(error, 'msg', error)})", where=f"{self._file}:{line}:{column}")


def _decode(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _not_utf8(error, f"{where}:{error.start + 1}") from error


def _not_utf8(error: UnicodeDecodeError, where: str) -> DataError:
    what = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
    return DataError(what, where=where, fix=suggest_encoding(error.object, error.start))


def _read_object(line: bytes, where: str) -> dict[str, Any]:
    text = _decode(line, where)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also: a number of thousands of digits
        value = read_literal(text)
        if value is None:
            column = getattr(error, "colno", 1)
            what = f"not JSON ({getattr(error, 'msg', error)})"
            raise DataError(what, where=f"{where}:{column}", fix=ONE_A_LINE) from error
    if not isinstance(value, dict):
        raise DataError("not a JSON object", where=where, fix=ONE_A_LINE)
    if "\\u" in text and _holds_surrogates(value):
        raise DataError("contains half of a surrogate pair, which is not text", where=where, fix="Write it in UTF-8.")
    return {str(name): _unwrap(each) for name, each in value.items()}


def _holds_surrogates(value: Any) -> bool:
    try:
        return SURROGATE.search(json.dumps(value, ensure_ascii=False)) is not None
    except (RecursionError, ValueError, TypeError):  # nested without end; no JSON, where it was Python's notation
        return True


def _unwrap(value: Any) -> Any:
    """What MongoDB's exports wrap: ``{"$date": "2020-01-01T00:00:00Z"}``, ``{"$oid": "..."}``."""
    while isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))) in WRAPPERS:
        value = value[name]
    return value
