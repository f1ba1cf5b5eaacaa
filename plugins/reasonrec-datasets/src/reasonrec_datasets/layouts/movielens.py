"""MovieLens as GroupLens publishes it: ``u.data`` (100K), ``ratings.dat`` (1M, 10M), ``ratings.csv`` (later ones)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, indptr_of
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.number_parsing import convert_numbers
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import DelimitedFile, Dialect
from reasonrec_datasets.layouts.tables import TABLES, TEXT_FIELDS, list_files, open_table, read_beside, read_fields_file

RATING = ("user_id", "item_id", "value", "timestamp")
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The flag columns of ``u.item``, in the order of its README."""
MOVIE = ("item_id", "title", "release_date", "video_release_date", "imdb_url")
NO_GENRES = "(no genres listed)"
OLD = {
    "u.data": (
        "\t",
        ("u.item", "|", (*MOVIE, *GENRES)),
        ("u.user", "|", ("user_id", "age", "gender", "occupation", "zip_code")),
    ),
    "ratings.dat": (
        "::",
        ("movies.dat", "::", ("item_id", "title", "categories")),
        ("users.dat", "::", ("user_id", "gender", "age", "occupation", "zip_code")),
    ),
}
"""The editions without header lines: delimiter of the ratings; name, delimiter and columns of items and users."""
KNOWN = ("ratings.", "movies.", "tags.", "links.", "genome-", "items.", "users.")
FILES = ("u.data", "ratings.dat", "ratings.csv")


class MovieLensSource(TableSource[TableSettings]):
    """MovieLens folders as GroupLens publishes them."""

    order = 30

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is one of the three rating files or a folder with one."""
        if not path.is_dir():
            return path.name in FILES
        if any((path / name).is_file() for name in OLD):
            return True
        return (path / "ratings.csv").is_file() and ((path / "movies.csv").is_file() or not _has_other_tables(path))

    def files(self, path: Path) -> list[Path]:
        """All in a folder; the ratings, and movies and users beside them."""
        return list_files(path, "movies.", "u.item", "u.user")

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The ratings, and movies and users where their files are there."""
        folder = path if path.is_dir() else path.parent
        name = path.name if path.is_file() else next((n for n in FILES if (path / n).is_file()), None)
        if name == "ratings.csv":
            movies = folder / "movies.csv"
            items = read_fields_file(movies, "items", columns) if movies.is_file() else None
            if items:
                items = SourceTable(_categories(items.table), items.path, items.place)
            beside, users = read_beside(folder, columns)
            return make_raw_tables(read_log(open_table(folder / name), columns), items or beside, users)
        if name not in OLD:
            raise DataError(f"no {', '.join(FILES)}", where=str(path), fix="Name the folder that holds the ratings.")
        delimiter, (items_name, items_delimiter, item_names), (users_name, users_delimiter, user_names) = OLD[name]
        matched = columns.match("interactions", RATING, folder / name)
        log = _headless(folder / name, RATING, delimiter)
        return make_raw_tables(
            SourceTable(log.table.select(list(matched)), log.path, log.place).rename(matched),
            _optional(folder / items_name, item_names, items_delimiter),
            _optional(folder / users_name, user_names, users_delimiter),
        )


def _has_other_tables(folder: Path) -> bool:
    """Whether there are tables that no edition has: then it is somebody else's ratings."""
    names = [file.name.lower() for file in folder.iterdir() if file.is_file() and file.name.lower().endswith(TABLES)]
    return any(not name.startswith(KNOWN) for name in names)


def _headless(path: Path, names: Sequence[str], delimiter: str) -> SourceTable:
    """A file without a header line. Titles of the older files are Latin-1, those of the newer ones UTF-8."""
    source = DelimitedFile.open(path, Dialect(delimiter, None, "utf-8", tuple(names)))
    if names is RATING:
        return source.read(encoded=("user_id", "item_id"))
    try:
        source.text()
    except DataError:
        source = DelimitedFile.open(path, Dialect(delimiter, None, "latin-1", tuple(names)))
    return source.read()


def _optional(path: Path, names: Sequence[str], delimiter: str) -> SourceTable | None:
    if not path.is_file():
        return None
    source = _headless(path, names, delimiter)
    table = _categories(source.table)
    return SourceTable(convert_numbers(table, TEXT_FIELDS | {"zip_code"}), source.path, source.place)


def _flag(column: pa.ChunkedArray) -> Bool:
    flags: Bool = pc.equal(flatten_column(column), "1").fill_null(False).to_numpy(zero_copy_only=False)
    return flags


def _categories(table: pa.Table) -> pa.Table:
    """Genre flags as labels joined with ``|``; the word for no genre becomes null."""
    if set(GENRES) <= set(table.column_names):
        flags = np.stack([_flag(table.column(g)) for g in GENRES[1:]], 1)
        offsets = indptr_of(flags.sum(axis=1))
        named = pa.array(GENRES[1:]).take(pa.array(np.nonzero(flags)[1]))
        joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), named), "|")
        table = table.drop_columns(list(GENRES)).append_column("categories", joined)
    if "categories" in table.column_names:
        position = table.column_names.index("categories")
        column = table.column(position)
        blank = pc.or_(pc.equal(column, NO_GENRES), pc.equal(column, ""))
        table = table.set_column(position, "categories", pc.if_else(blank, pa.scalar(None, pa.string()), column))
    return table
