"""What the first lines of a text file look like: a table, ratings without a header, sequences, or no data at all."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import zlib
from itertools import islice
from pathlib import Path

from reasonrec_datasets.importing.column_matching import names_ids

LINES = 1000
LINE_BYTES = 1 << 16
NUMBER = re.compile(r"-?\d+(\.\d+)?")
HIGHEST_RATING = 10
EARLIEST_TIME = 10**8
UNIT = "\x1f"
DELIMITERS = f"\t,;|{UNIT}"
"""The last one stands for ``::``."""
MOST_WORDS = 0.2
TEXT = (".txt", ".dat", ".data", ".log", ".tab", ".psv", ".rating", ".base", "")
"""Suffixes that say nothing of what is in the file."""


def read_first_lines(path: Path, most: int = LINES) -> list[str]:
    """Lines that are not empty, from the beginning of a text file (``.gz`` too); none where it holds no text."""
    if not path.is_file():
        return []
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
            lines = [stream.readline(LINE_BYTES) for _ in range(most)]
    except (OSError, EOFError, zlib.error):
        return []
    start = b"".join(lines)
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not wide and b"\0" in start:
        return []
    text = start.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    return [line.strip("\r\n") for line in text.splitlines() if line.strip()]


def has_vague_suffix(path: Path) -> bool:
    """Whether the name does not say what is in the file."""
    return Path(path.name.lower().removesuffix(".gz")).suffix in TEXT


def looks_like_table(path: Path) -> bool:
    """Whether the lines are rows of one width: two columns with a header, or three without, at least.

    Two columns of ids without a header, and rows whose only separator is the blank, are sequences as well.
    """
    lines = read_first_lines(path)
    if len(lines) < 2:
        return False
    if names_ids(lines[0].split()):
        return True
    for delimiter in DELIMITERS:
        try:
            texts = [line.replace("::", delimiter) for line in lines] if delimiter == UNIT else lines
            rows = list(csv.reader(texts, delimiter=delimiter))[: LINES - 1]  # the last one may be cut off
        except csv.Error:
            continue
        width = len(rows[0])
        if width > 1 and all(len(row) == width for row in rows):
            pairs = delimiter != "\t" and not any(" " in cell.strip() for row in rows for cell in row)
            return width > 2 or pairs or names_ids(rows[0])
    return False


def looks_like_ratings(path: Path) -> bool:
    """Whether every line is ``user item rating`` or ``user item rating time``, by the first lines of the file.

    Ratings are numbers up to 10, times seconds after 1973. A file of sequences has lines of many lengths, and its
    items are not all so small.
    """
    rows = [re.split(r"::|[,;\t ]+", line.strip()) for line in read_first_lines(path)]
    widths = {len(row) for row in rows}
    if len(rows) < 2 or len(widths) > 1 or not widths <= {3, 4}:
        return False
    if not all(NUMBER.fullmatch(row[2]) and 0 <= float(row[2]) <= HIGHEST_RATING for row in rows):
        return False
    if widths == {4}:
        return all(NUMBER.fullmatch(row[3]) and float(row[3]) >= EARLIEST_TIME for row in rows)
    return not all(NUMBER.fullmatch(row[1]) and float(row[1]) <= HIGHEST_RATING for row in rows)


def looks_like_numbers(path: Path) -> bool:
    """Whether every line holds whole numbers with blanks between them, as LightGCN's files do."""
    lines = read_first_lines(path)
    return bool(lines) and all(word.isdecimal() for line in lines for word in line.split())


def looks_like_prose(path: Path) -> bool:
    """Whether many lines end as sentences do, or hold marks that ids do not."""
    lines = list(islice(read_first_lines(path), 200))
    marked = sum(bool(re.search(r"[a-z][.,;:!?]( |$)|^#|^\s*[-*] ", line)) for line in lines)
    return not lines or marked > MOST_WORDS * len(lines)
