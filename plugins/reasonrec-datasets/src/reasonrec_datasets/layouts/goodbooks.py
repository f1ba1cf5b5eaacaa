"""goodbooks-10k: ``ratings.csv``, ``books.csv``, ``book_tags.csv`` with ``tags.csv``, ``to_read.csv``.

Source: github.com/zygmuntz/goodbooks-10k. Ratings are in the order of time, whose moments were not published. Books
have ``book_id`` (the ratings' own) and ``goodreads_book_id`` (the tags').
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.tables import (
    convert_fields,
    find_table,
    open_table,
    read_beside,
    read_columns,
    read_header,
)

GOODREADS = "goodreads_book_id"
KNOWS_RATINGS = frozenset({"average_rating", "ratings_count", "work_ratings_count", "work_text_reviews_count"})
"""Fields that know the ratings that are to be predicted: left out, as are ``ratings_1`` to ``ratings_5``."""
ADDRESSES = frozenset({"image_url", "small_image_url"})


class GoodbooksSettings(TableSettings):
    """Settings of goodbooks."""

    tags: int = Field(5, ge=0)
    """How many of a book's tags, the most given first, become its categories; 0: none."""


class GoodbooksSource(TableSource[GoodbooksSettings]):
    """Books and their ratings."""

    Config = GoodbooksSettings
    order = 25

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a folder with ``ratings.csv`` and ``books.csv`` of Goodreads."""
        if not path.is_dir() or not (books := find_table(path, "books")) or not find_table(path, "ratings"):
            return False
        return {"book_id", GOODREADS} <= {*read_header(books)}

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The ratings in their order, and the books with authors and tags."""
        ratings, books = find_table(path, "ratings"), find_table(path, "books")
        if ratings is None or books is None:
            raise DataError("no ratings.csv and books.csv", where=str(path), fix="Name the folder that holds both.")
        return make_raw_tables(
            read_log(open_table(ratings), columns), self._read_books(books, columns), read_beside(path, columns)[1]
        )

    def _read_books(self, file: Path, columns: ColumnMatcher) -> SourceTable:
        source = open_table(file).read()
        left = [n for n in source.names if n in KNOWS_RATINGS | ADDRESSES or n.startswith("ratings_")]
        columns.notes.append(f"{file.name}: not read (averages of all ratings, and web addresses): {', '.join(left)}")
        table = source.table.drop_columns(left).rename_columns(
            ["item_id" if name == "book_id" else name for name in source.names if name not in left]
        )
        tags, names = (find_table(file.parent, stem) for stem in ("book_tags", "tags"))
        if tags and names and self.config.tags:
            table = table.append_column(
                "categories", _read_tags(tags, names, table.column(GOODREADS), self.config.tags)
            )
        return convert_fields(SourceTable(table, source.path, source.place).rename({"book_id": "item_id"}), columns)


def _read_tags(tags: Path, names: Path, books: pa.ChunkedArray, most: int) -> pa.Array:
    """Each book's most given tags, joined with ``|``."""
    given = read_columns(tags, (GOODREADS, "tag_id", "count")).table
    named = read_columns(names, ("tag_id", "tag_name")).table
    words = named.column("tag_name").take(
        pc.index_in(given.column("tag_id"), value_set=flatten_column(named["tag_id"]))
    )
    book = pc.index_in(given.column(GOODREADS), value_set=flatten_column(books)).fill_null(-1).to_numpy()
    counts = given.column("count").cast(pa.int64()).to_numpy()
    order = np.lexsort((-counts, book))
    book = book[order]
    rank = np.arange(len(book)) - np.searchsorted(book, book, side="left")
    kept = order[(book >= 0) & (rank < most)]
    lengths = np.bincount(book[(book >= 0) & (rank < most)], minlength=len(books))
    offsets = pa.array(np.append(0, np.cumsum(lengths)), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, flatten_column(words).take(pa.array(kept)))
    joined = pc.binary_join(lists, "|")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)
