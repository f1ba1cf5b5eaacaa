"""How files are to be read, for as long as one source reads: encoding, delimiter, limits; and what was met meanwhile.

A source opens files by their path alone; what the user said of all of them stands here while it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path

from reasonrec_core.errors import DataError

MAX_BYTES = 1 << 30
"""That a packed file unpacks to, where nothing is said."""
MAX_COLUMNS = 10_000
CELL_BYTES = 8
"""What a cell of a columnar file takes in memory at least, however well equal ones are packed."""
TABULAR = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".arrow", ".dat", ".gz", ".zip", ".xlsx")
"""Suffixes of files that hold data: in a folder those that nobody opened are named."""


@dataclass(frozen=True)
class FileReading:
    """What was said of the files, and what they showed.

    Attributes:
        encoding: of text files; None: UTF-8, or what a byte-order mark says.
        delimiter: between fields; None: guessed from the header.
        quote: what surrounds fields: double, single, backslash, none; None: double, and a stray one is refused.
        max_bytes: most that one file may hold, unpacked; None: `MAX_BYTES` of a packed one, any of another.
        max_columns: most columns of one file.
        label_separator: between labels of ``categories``, besides ``|``.
        numbered: the user names columns by their numbers: the files have no header line.
        start_only: no more than the beginning of text is read: the header is looked for.
        notes: sentences for the user.
        opened: the files that were read.
    """

    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    max_bytes: int | None = None
    max_columns: int = MAX_COLUMNS
    label_separator: str | None = None
    numbered: bool = False
    start_only: bool = False
    notes: list[str] = field(default_factory=list)
    opened: set[Path] = field(default_factory=set)

    def note(self, remark: str) -> None:
        """Keep a remark, once."""
        if remark not in self.notes:
            self.notes.append(remark)

    def refuse_bytes(self, size: int, path: Path, *, packed: bool = True) -> None:
        """Refuse what holds more than the limit; ``packed``: what is not seen of the file itself.

        Raises:
            DataError: with the setting that moves the limit.
        """
        most = self.max_bytes or (MAX_BYTES if packed else size)
        if size > most:
            what = f"{'unpacks to' if packed else 'holds'} more than {most:,} bytes"
            raise DataError(what, where=str(path), fix="If this is intended, raise the limit: --max-bytes N.")

    def refuse_columns(self, count: int, path: Path) -> None:
        """Refuse a table of more columns than the limit.

        Raises:
            DataError: with the setting that moves the limit.
        """
        if count > self.max_columns:
            what = f"has {count:,} columns; the limit is {self.max_columns:,}"
            raise DataError(what, where=str(path), fix="If this is intended, raise the limit: --max-columns N.")

    def name_unread(self, folder: Path) -> list[str]:
        """One sentence with the files of data in ``folder`` that nobody opened; none where no opening was seen."""
        if not self.opened or not folder.is_dir():
            return []
        opened = {file.resolve() for file in self.opened}
        rest = [
            file.name
            for file in sorted(folder.iterdir())
            if file.is_file() and file.name.lower().endswith(TABULAR) and file.resolve() not in opened
        ]
        return [f"other files that were not read: {_list_some(rest)}"] if rest else []


def _list_some(names: Sequence[str], most: int = 20) -> str:
    words = [name if name.isprintable() else repr(name) for name in names[:most]]
    return ", ".join([*words, f"and {len(names) - most} more"] if len(names) > most else words)


_NOW: ContextVar[FileReading | None] = ContextVar("reading", default=None)


def current_reading() -> FileReading:
    """What was said of the files that are read now; nothing, outside an import."""
    return _NOW.get() or FileReading()


@contextmanager
def read_with(reading: FileReading) -> Iterator[FileReading]:
    """Files opened in the block are read as ``reading`` says."""
    token = _NOW.set(reading)
    try:
        yield reading
    finally:
        _NOW.reset(token)


@contextmanager
def look_only(*, start: bool = False) -> Iterator[None]:
    """Files opened in the block are looked at, to see what they are: they do not count as read.

    ``start``: at their headers; of text the beginning is read.
    """
    with read_with(replace(current_reading(), opened=set(), notes=[], start_only=start)):
        yield
