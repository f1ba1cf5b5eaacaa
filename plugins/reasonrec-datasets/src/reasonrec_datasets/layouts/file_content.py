"""The bytes of a text file: unpacked within limits, as UTF-8, with its header line found."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import pyarrow as pa

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import refuse_unreadable
from reasonrec_datasets.importing.reading import FileReading, current_reading
from reasonrec_datasets.layouts.encoding_guess import guess_encoding, show_read

HEADER_BYTES = 1 << 20
START_BYTES = 2 * HEADER_BYTES
"""What is read of a file whose header is looked for."""
LOOK_FOR_NUL = 4096
STEP = 1 << 20
WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
PACKED: Mapping[str, Callable[[Path], IO[bytes]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}  # type: ignore[dict-item]
MARKS = {
    b"\x1f\x8b": ("gzip data", ".gz"),
    b"PK\x03\x04": ("a zip archive or a spreadsheet", ".zip"),
    b"PAR1": ("Parquet", ".parquet"),
    b"ARROW1": ("Arrow", ".arrow"),
    b"<!DOCTYPE": ("a web page", ""),
    b"<html": ("a web page", ""),
    b"SQLite format 3": ("a database", ""),
}
"""How files begin that are no text, what they hold, and the suffix that has them read."""
EXCEL = re.compile(rb'"?sep=(.)"?\s*', re.IGNORECASE)
"""Excel's first line that names the delimiter."""
SAVE_AS = "Save the file as UTF-8, or name its encoding: --encoding latin-1 (cp1252, utf-16, gb18030, ...)."


def read_content(path: Path) -> tuple[pa.Buffer, bytes]:
    """The content as UTF-8 (other encodings that are known are turned into it) and its beginning.

    Raises:
        DataError: missing, unreadable, broken gzip or zip, empty, beyond the limits, or not text.
    """
    reading = current_reading()
    reading.opened.add(path)
    with refuse_unreadable(path):
        content = _read_bytes(path, reading)
    head = content[: min(LOOK_FOR_NUL, len(content))].to_pybytes()
    for mark, (kind, suffix) in MARKS.items():
        if head.startswith(mark):
            fix = f"Give it the suffix {suffix}, or unpack it." if suffix else "Export it again as CSV."
            raise DataError(f"contains {kind}, despite its name", where=str(path), fix=fix)
    if len(content) and content[len(content) - 1 :].to_pybytes() == b"\x1a":
        content = content[: len(content) - 1]  # the end of a file, for DOS
    encoding = reading.encoding or next((name for mark, name in WIDE_MARKS.items() if head.startswith(mark)), None)
    if encoding is not None:
        content = _transcode(content, encoding, path)
    start = content[: min(HEADER_BYTES, len(content))].to_pybytes()
    if b"\0" in start[:LOOK_FOR_NUL]:
        guess = guess_encoding(start)
        likely = f"It is most likely UTF-16 without a byte order mark: --encoding {guess}. " if guess else ""
        raise DataError("the file is not UTF-8 text (UTF-16 or binary)", where=f"{path}:1", fix=likely or SAVE_AS)
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError("the file is empty", where=str(path))
    return content, start


def has_wide_mark(path: Path) -> bool:
    """Whether a file that is not packed begins with the byte-order mark of UTF-16."""
    if path.suffix.lower() in (*PACKED, ".zip", ".zst"):
        return False
    with refuse_unreadable(path), path.open("rb") as stream:
        return stream.read(4).startswith(tuple(WIDE_MARKS))


def find_header(start: bytes, path: Path) -> tuple[int, bytes, str | None]:
    """How many lines come before the header (empty ones, remarks, Excel's), the header, the delimiter of Excel's line.

    Raises:
        DataError: the header line does not end.
    """
    lines = start.removeprefix(codecs.BOM_UTF8).splitlines()
    named = None
    remarks = 0
    for number, line in enumerate(lines):
        if named is None and (excel := EXCEL.fullmatch(line)):
            named = excel.group(1).decode("latin-1")
        elif line.startswith(b"# "):
            remarks += 1
        elif line:
            if len(line) >= HEADER_BYTES - len(codecs.BOM_UTF8):
                raise DataError(f"the first line is longer than {HEADER_BYTES:,} bytes", where=f"{path}:1")
            if remarks:
                what = "1 comment line" if remarks == 1 else f"{remarks} comment lines"
                current_reading().note(f"{path.name}: skipped {what} (#) above the column names")
            return number, line, named
    raise DataError("the file is empty", where=str(path))


def join_blanks(text: bytes) -> bytes:
    """Lines whose fields are separated by any number of blanks, with one between each."""
    return re.sub(rb"(?m)^ +| +$", b"", re.sub(rb" {2,}", b" ", text))


def make_undecodable(path: Path, error: UnicodeDecodeError, *, before: int = 0) -> DataError:
    """The error for bytes that are not in the encoding; ``before`` counts lines that are not in the error's bytes."""
    data, at = error.object, error.start
    line = before + data.count(b"\n", 0, at) + 1
    column = at - data.rfind(b"\n", 0, at)
    what = f"byte 0x{data[at]:02x} (at byte {at}) is not {error.encoding.upper()}"
    return DataError(what, where=f"{path}:{line}:{column}", fix=suggest_encoding(data, at))


def suggest_encoding(data: bytes, at: int) -> str:
    """How to have bytes read that are not in the encoding, with the likeliest other one and what it makes of them."""
    guess = guess_encoding(data)
    if guess is None:
        return SAVE_AS
    likely = f"It is most likely {guess}, which gives {show_read(data, at, guess)!r}: --encoding {guess}."
    return f"{likely} Otherwise name another encoding, or save the file as UTF-8."


def _transcode(content: pa.Buffer, encoding: str, path: Path) -> pa.Buffer:
    try:
        how = "replace" if current_reading().start_only else "strict"  # a letter may be cut in two
        return pa.py_buffer(content.to_pybytes().decode(encoding, how).encode())
    except UnicodeDecodeError as error:
        raise make_undecodable(path, error) from error
    except UnicodeError as error:
        raise DataError(f"is not {encoding} ({error})", where=str(path), fix=SAVE_AS) from error
    except (LookupError, ValueError) as error:
        raise ConfigError(f"unknown encoding {encoding!r}", where="--encoding", fix="E.g. latin-1.") from error


def _read_bytes(path: Path, reading: FileReading) -> pa.Buffer:
    suffix = path.suffix.lower()
    if suffix in PACKED:
        try:
            with PACKED[suffix](path) as packed:
                return read_within(packed, path, reading)
        except lzma.LZMAError as error:
            raise DataError(
                f"cannot be decompressed ({error})", where=str(path), fix="Download or copy the file again."
            ) from error
    if suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as stream:
            return read_within(stream, path, reading)
    if suffix == ".zip":
        return _read_zip(path, reading)
    size = path.stat().st_size
    reading.refuse_bytes(size, path, packed=False)
    if size == 0:
        return pa.py_buffer(b"")
    with pa.memory_map(str(path)) as mapped:
        return mapped.read_buffer(min(size, START_BYTES) if reading.start_only else size)


def read_within(packed: IO[bytes] | gzip.GzipFile | pa.NativeFile, path: Path, reading: FileReading) -> pa.Buffer:
    """All that is unpacked, given up as soon as it is more than the limit."""
    parts = io.BytesIO()
    while (step := packed.read(STEP)) and not (reading.start_only and parts.tell() > START_BYTES):
        parts.write(step)
        reading.refuse_bytes(parts.tell(), path)
    return pa.py_buffer(parts.getbuffer())


def _read_zip(path: Path, reading: FileReading) -> pa.Buffer:
    """The one file in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
            if len(names) != 1:
                what = f"the archive holds {len(names)} files, not one"
                raise DataError(what, where=str(path), fix="Name the archive itself, or unpack it and name the folder.")
            with archive.open(names[0]) as packed:
                return read_within(packed, path, reading)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        fix = "The file is damaged, encrypted or not zip: unpack it yourself."
        raise DataError(f"cannot be unpacked ({error})", where=str(path), fix=fix) from error
