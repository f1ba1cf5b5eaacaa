"""What goes wrong with files: bytes flipped, cut, doubled, swapped, in another encoding, wrongly packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable
from random import Random

NUMBERS = (
    "0", "-0", "-1", "1e999", "-1e999", "nan", "NaN", "inf", "-Infinity", "1e-400", "1e308", "9" * 40, "9" * 400,
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "2147483648", "0x10",
    "1_000", "1.", ".5", "1e5", "4294967296", "1.23457E+12", "007", "1,5", "1.299,00", "\u0661\u0662", "\uff11\uff12",
    "1970-01-01", "0001-01-01", "9999-12-31T23:59:60Z", "10000-01-01", "2024-02-30", "20240131", "253402300800",
    "99999999999999999", "1600000000000", "-62135596801", "true", "None",
)  # fmt: skip
"""Numbers, times and what looks like them."""
TEXTS = (
    "", " ", "\t", "\n", "\r", "\r\n", "\0", "\x1b[31m", "\x1b]0;x\x07", "\x1b[2J", "\x9b31m", "\x85", "\u2028",
    "\u202e", "\u2066",
    "\ufeff", "\u200b", "\u00a0", "e\u0301" * 30, "\U0001f9d9\u200d\u2642\ufe0f", "\ufffe", "\uffff", "[red]x[/red]",
    "[/", "{{x}}",
    "=1+1", "@SUM(A1)", "<script>", "'; drop", "../../etc/passwd", "/etc/passwd", "C:\\x", "~", "%s%n", "${HOME}",
    "a" * 300,
    '"', '""', "'", "\\", "|", ",", ";", "::", "[]", "{}", "[", "{", "]", "null", "-", "--out", "\u0130", "\u00df",
    "train", "a b",
)  # fmt: skip
RAW = (
    b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x80",
    b"\0\0\0\0",
    b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"ARROW1", b"\x93NUMPY", b"\x89PNG",
)  # fmt: skip
"""Bytes that are no text, and magic numbers."""
SEPARATORS = re.compile(rb"([,\t;| ])")
DIGITS = re.compile(rb"-?\d+(?:\.\d+)?")


def draw_piece(chance: Random) -> bytes:
    """A few bytes that mean trouble."""
    kind = chance.randrange(3)
    if kind == 0:
        return chance.choice(RAW)
    return chance.choice(NUMBERS if kind == 1 else TEXTS).encode()


def damage(data: bytes, chance: Random) -> bytes:
    """``data`` with one to four things wrong."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = chance.choice(DAMAGES)(data, chance)
    return data


def _span(data: bytes, chance: Random, most: int = 64) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.randrange(most))


def _flip(data: bytes, chance: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _delete(data: bytes, chance: Random) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + data[end:]


def _repeat(data: bytes, chance: Random) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + data[start:end] * chance.choice((2, 3, 50, 2000)) + data[end:]


def _insert(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + draw_piece(chance) * chance.choice((1, 1, 1, 5)) + data[at:]


def _overwrite(data: bytes, chance: Random) -> bytes:
    start, end = _span(data, chance, 12)
    return data[:start] + draw_piece(chance) + data[end:]


def _swap_spans(data: bytes, chance: Random) -> bytes:
    a, b = sorted((chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)))
    size = min(b - a, len(data) - b, 1 + chance.randrange(40))
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def _swap_fields(data: bytes, chance: Random) -> bytes:
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    parts = SEPARATORS.split(lines[at])
    i, j = (2 * chance.randrange((len(parts) + 1) // 2) for _ in range(2))
    parts[i], parts[j] = parts[j], parts[i]
    lines[at] = b"".join(parts)
    return b"\n".join(lines)


def _swap_lines(data: bytes, chance: Random) -> bytes:
    lines = data.split(b"\n")
    i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def _replace_number(data: bytes, chance: Random) -> bytes:
    found = [*DIGITS.finditer(data)]
    if not found:
        return _insert(data, chance)
    where = chance.choice(found)
    return data[: where.start()] + chance.choice(NUMBERS).encode() + data[where.end() :]


def _recode(data: bytes, chance: Random) -> bytes:
    text = data.decode("utf-8", "replace")
    coded = text.encode(
        chance.choice(("utf-16", "utf-16-le", "utf-8-sig", "latin-1", "utf-7", "utf-32", "cp037")), "replace"
    )
    at = chance.choice((0, len(coded), chance.randrange(len(coded) + 1)))
    return coded[:at] + data[at:] if chance.random() < 0.5 else coded


def _line_ends(data: bytes, chance: Random) -> bytes:
    return data.replace(b"\n", chance.choice((b"\r", b"\r\n", b"\n\n", b"\x0b", b"\xe2\x80\xa8", b"\xc2\x85", b"")))


def _nest(data: bytes, chance: Random) -> bytes:
    at, depth = chance.randrange(len(data) + 1), chance.choice((10, 1000, 50_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"), (b"- ", b"")))
    return data[:at] + opening * depth + closing * chance.choice((0, depth)) + data[at:]


DAMAGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip, _delete, _repeat, _insert, _overwrite, _swap_spans, _swap_fields, _swap_lines, _replace_number, _recode,
    _line_ends,
    _nest, lambda data, chance: data[: chance.randrange(len(data) + 1)],
)  # fmt: skip


def pack_wrongly(data: bytes, chance: Random) -> bytes:
    """Packed by another program than the name says, twice, or not to the end."""
    kind = chance.randrange(7)
    if kind == 0:
        return bz2.compress(data)
    if kind == 1:
        return lzma.compress(data)
    if kind == 2:
        return zip_files({"a.csv": data, **({"b.csv": data} if chance.random() < 0.5 else {})})
    packed = gzip.compress(data, mtime=0)
    if kind == 3:
        return gzip.compress(packed, mtime=0)
    if kind == 4:
        return packed[: chance.randrange(len(packed))]
    return _flip(packed, chance) if kind == 5 else packed + packed


def zip_files(files: dict[str, bytes]) -> bytes:
    """An archive of files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
