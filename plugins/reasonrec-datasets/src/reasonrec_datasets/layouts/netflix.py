"""The Netflix Prize: ``combined_data_1.txt`` to ``combined_data_4.txt``, or ``mv_0000001.txt`` and so on.

Source: kaggle.com/datasets/netflix-inc/netflix-prize-data and the README of the training set. A line ``1:`` names a
film; those after it are its ratings, ``customer,rating,date``. ``movie_titles.csv`` (``movie_titles.txt``): number,
year or NULL, title, which may hold commas, in Latin-1.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from reasonrec_core.errors import DataError
from reasonrec_core.types import Int64
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import ID, DelimitedFile, Dialect
from reasonrec_datasets.layouts.file_content import read_content
from reasonrec_datasets.layouts.places import LinePlace, join_tables
from reasonrec_datasets.layouts.sniffing import read_first_lines
from reasonrec_datasets.layouts.tables import read_beside

FILE = re.compile(r"(combined_data_\d+|mv_\d+)\.txt(\.gz)?", re.IGNORECASE)
FILM = re.compile(r"(\d+):\s*")
RATING = re.compile(r"\d+,\d,\d{4}-\d\d-\d\d")
TITLES = ("movie_titles.csv", "movie_titles.txt")
LOG = ("user_id", "item_id", "value", "timestamp")
STEP = 1 << 24
READ = ("user_id", "value", "timestamp")


class NetflixSource(TableSource[TableSettings]):
    """Ratings below the number of their film."""

    order = -3

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a file of ratings, or a folder with such files (or with ``training_set``)."""
        files = _find_files(path)
        return bool(files) and _is_ratings(files[0])

    def files(self, path: Path) -> list[Path]:
        """The ratings and the titles."""
        titles = _find_titles(path)
        return [*_find_files(path), *([titles] if titles else [])]

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """Who rated which film on what day, and the titles where their file is there."""
        files = _find_files(path)
        if not files:
            raise DataError("no combined_data_1.txt or mv_0000001.txt", where=str(path))
        logs = [_read_ratings(file, columns) for file in files]
        titles = _find_titles(path)
        items, users = read_beside(files[0].parent, columns)
        items = items or (_read_titles(titles) if titles else None)
        return make_raw_tables(join_tables(logs) if len(logs) > 1 else logs[0], items, users)


def _find_files(path: Path) -> list[Path]:
    folder = path / "training_set" if (path / "training_set").is_dir() else path
    files = sorted(folder.iterdir()) if folder.is_dir() else [path]
    return [file for file in files if FILE.fullmatch(file.name) and file.is_file()]


def _is_ratings(file: Path) -> bool:
    lines = read_first_lines(file, 3)
    return len(lines) >= 2 and bool(FILM.fullmatch(lines[0])) and bool(RATING.fullmatch(lines[1]))


def _find_titles(path: Path) -> Path | None:
    folders = (path,) if path.is_dir() else (path.parent, path.parent.parent)
    return next((f / name for f in folders for name in TITLES if (f / name).is_file()), None)


def _read_ratings(file: Path, columns: ColumnMatcher) -> SourceTable:
    """The rows of one file, each with the film above it.

    Raises:
        DataError: a line that is neither a film nor a rating, or ratings before the first film; with the line.
    """
    films: list[tuple[int, str]] = []
    wrong: list[tuple[int, str]] = []

    def take_film(row: arrow_csv.InvalidRow) -> str:
        found = FILM.fullmatch(row.text)
        (films if found else wrong).append((row.number, found[1] if found else row.text))
        return "skip"

    content, _ = read_content(file)
    _refuse_other_text(content, file)
    options = arrow_csv.ReadOptions(column_names=list(READ), use_threads=False)
    parsing = arrow_csv.ParseOptions(quote_char=False, invalid_row_handler=take_film)
    types = {"user_id": ID, "value": pa.float32(), "timestamp": ID}
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content), options, parsing, arrow_csv.ConvertOptions(column_types=types)
        )
    except pa.ArrowException as error:
        raise DataError(str(error).splitlines()[0], where=str(file), fix="A line is: customer,rating,date.") from error
    if wrong:
        line, text = wrong[0]
        what = f"{text[:60]!r} is neither a film (12:) nor a rating"
        raise DataError(what, where=f"{file}:{line}", fix="A line is: customer,rating,date.")
    starts = np.array([line for line, _ in films], dtype=np.int64)
    lines = _number_lines(starts, table.num_rows)
    place = np.searchsorted(starts, lines) - 1
    if not len(films) or (len(place) and place[0] < 0):
        raise DataError("a rating stands before the first film", where=f"{file}:1", fix="Write a film's line as 12:")
    names = pa.array([name for _, name in films])
    item = pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32)), names)
    matched = columns.match("interactions", LOG, file)
    table = table.append_column("item_id", item)
    return SourceTable(table.select(list(matched)), file, LinePlace(file, lines)).rename(matched)


def _refuse_other_text(content: pa.Buffer, file: Path) -> None:
    """Ratings are ASCII: what is not has a place, since Arrow gives none."""
    for start in range(0, len(content), STEP):
        block = content[start : min(start + STEP, len(content))].to_pybytes()
        if not block.isascii():
            at = next(place for place, byte in enumerate(block) if byte > 127)
            line = content[: start + at].to_pybytes().count(b"\n") + 1
            what = f"byte 0x{block[at]:02x} is neither a number nor a date"
            raise DataError(what, where=f"{file}:{line}", fix="A line is: customer,rating,date.")


def _number_lines(films: Int64, rows: int) -> Int64:
    """The line of each rating: all but those of films."""
    lines = np.ones(rows + len(films), dtype=np.bool_)
    lines[films - 1] = False
    return np.flatnonzero(lines) + 1


def _read_titles(file: Path) -> SourceTable:
    """Number, year and title of each film; a title may hold commas."""
    encoding = (current_reading().encoding and "utf-8") or "latin-1"  # what is said was read as UTF-8 already
    text = DelimitedFile.open(file, Dialect("\x1f", None, encoding, ("line",))).text()
    numbered = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    cells = [line.split(",", 2) for _, line in numbered]
    for (number, _), row in zip(numbered, cells, strict=True):
        if len(row) != 3:
            raise DataError("a title has number, year and title", where=f"{file}:{number}")
    years = [int(year) if year.strip().isdecimal() else None for _, year, _ in cells]
    table = pa.table(
        {"item_id": [row[0] for row in cells], "title": [row[2] for row in cells], "year": pa.array(years, pa.int64())}
    )
    return SourceTable(table, file, LinePlace(file, [number for number, _ in numbered]))
