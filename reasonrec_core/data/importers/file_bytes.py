"""A text file's bytes: mapped, or decompressed; empty, binary and undecodable files refused with the place."""

from __future__ import annotations

import codecs
from pathlib import Path

import pyarrow as pa

from reasonrec_core.errors import DataError

HEADER_BYTES = 1 << 20
LOOK_FOR_NUL = 4096


def read_content(path: Path) -> tuple[pa.Buffer, bytes]:
    """The content and its beginning.

    Raises:
        DataError: missing, unreadable, broken gzip, empty, or not text in an 8-bit encoding.
    """
    content = _content(path)
    start = content[: min(HEADER_BYTES, len(content))].to_pybytes()
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start[:LOOK_FOR_NUL]:
        what = "the file is not UTF-8 text (UTF-16 or binary)"
        raise DataError(what, where=f"{path}:1", fix="Save the file as UTF-8.")
    if not start.strip():
        raise DataError("the file is empty", where=str(path))
    return content, start


def first_line(start: bytes) -> tuple[int, bytes]:
    """How many empty lines come first, and the line after them."""
    lines = start.removeprefix(codecs.BOM_UTF8).splitlines()
    empty = next(number for number, line in enumerate(lines) if line)
    return empty, lines[empty]


def not_decodable(path: Path, error: UnicodeDecodeError, *, before: int = 0) -> DataError:
    """The error for bytes that are not in the encoding; ``before`` counts lines that are not in the error's bytes."""
    data, at = error.object, error.start
    line = before + data.count(b"\n", 0, at) + 1
    column = at - data.rfind(b"\n", 0, at)
    what = f"byte 0x{data[at]:02x} (at byte {at}) is not {error.encoding.upper()}"
    return DataError(what, where=f"{path}:{line}:{column}", fix="Save the file as UTF-8.")


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
