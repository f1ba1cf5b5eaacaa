"""Which item each row of a file of vectors belongs to."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import read_json

SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".npy", ".parquet")
MMREC = "i_id_mapping.csv"
"""MMRec's map: the columns ``asin`` and ``itemID``; the latter is the row of each item."""
ROWS = "rows"
"""The setting for ids that are the numbers of the rows, counted from 0."""


def find_ids(vectors: Path) -> Path | str:
    """The file beside ``vectors`` that names its rows, or `ROWS` in a folder of MMRec's without a map.

    Raises:
        ConfigError: there is none.
    """
    stem = vectors.name.removesuffix(vectors.suffix)
    names = [f"{stem}{mark}ids{suffix}" for mark in ("_", "-", ".") for suffix in SUFFIXES]
    names += [MMREC, *(f"{name}{suffix}" for name in ("item_ids", "ids") for suffix in SUFFIXES)]
    for name in names:
        if (path := vectors.parent / name).is_file():
            return path
    if any(vectors.parent.glob("*.inter")):
        return ROWS
    fix = f"Put the ids into {stem}_ids.txt, one a line, or set `ids`: a file, or '{ROWS}' for row numbers from 0."
    raise ConfigError("no item ids stand beside the vectors", where=str(vectors), fix=fix)


def read_ids(path: Path, known: Collection[str]) -> list[str]:
    """The id of each row.

    A table may have several columns: the one that names most of the ``known`` items holds the ids, and one that holds
    the numbers from 0 on says which row each line is about.

    Raises:
        DataError: the file cannot be read, or holds no ids.
    """
    columns = _read_columns(path)
    if not columns or not columns[0]:
        raise DataError("holds no ids", where=str(path))
    best = max(columns, key=lambda column: sum(each in known for each in column))
    for column in columns if len(columns) > 1 else ():
        if all(each.isascii() and each.isdigit() for each in column):
            numbers = np.array([int(each) for each in column])
            if np.array_equal(np.sort(numbers), np.arange(len(numbers))):
                return [best[line] for line in np.argsort(numbers)]
    return best


def as_ids(values: npt.NDArray[np.generic] | pa.Array, where: str) -> list[str]:
    """Text or whole numbers as ids.

    Raises:
        DataError: anything else, or a cell without an id.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "USiu":
            what = f"the ids are {values.dtype}{list(values.shape)}, not one row of text or whole numbers"
            raise DataError(what, where=where)
        return [each.decode() if isinstance(each, bytes) else str(each) for each in values.tolist()]
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(f"the ids are of the type {kind}, not text or whole numbers", where=where)
    found = values.to_pylist()
    if None in found:
        raise DataError(f"row {found.index(None) + 1} has no id", where=where)
    return [str(each) for each in found]


def refuse_doubled(ids: Sequence[str], where: str) -> None:
    """An item has one vector at most.

    Raises:
        DataError: an id stands twice.
    """
    first: dict[str, int] = {}
    for row, each in enumerate(ids):
        if (earlier := first.setdefault(each, row)) != row:
            raise DataError(f"item {each!r} has two vectors, in the rows {earlier + 1} and {row + 1}", where=where)


def _read_columns(path: Path) -> list[list[str]]:
    if path.suffix == ".npy":
        return [as_ids(load_array(path), str(path))]
    if path.suffix == ".parquet":
        table = read_parquet(path)
        return [as_ids(table.column(name).combine_chunks(), str(path)) for name in table.column_names]
    if path.suffix == ".json":
        found = read_json(path)
        if not isinstance(found, list) or not all(isinstance(each, str | int) for each in found):
            raise DataError("does not hold a list of ids", where=str(path))
        return [[str(each) for each in found]]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=str(path)) from error
    if path.suffix == ".txt":
        return [[line.strip() for line in text.splitlines() if line.strip()]]
    head = text.partition("\n")[0]
    rows = [row for row in csv.reader(text.splitlines(), delimiter="\t" if "\t" in head else ",") if row]
    if len({len(row) for row in rows}) > 1:
        raise DataError("the lines have different numbers of columns", where=str(path))
    return [[row[column].strip() for row in rows[1:]] for column in range(len(rows[0]) if rows else 0)]


def load_array(path: Path) -> npt.NDArray[np.generic]:
    """The array of an ``.npy`` file, mapped; what holds Python objects would have to be unpickled, and is refused.

    Raises:
        DataError: it cannot be read.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise explain_unreadable(path, error) from error
    if not isinstance(found, np.ndarray):
        raise DataError("is not the array that its name says", where=str(path))
    return found


def explain_unreadable(path: Path, error: Exception) -> DataError:
    """The error for a file of arrays that numpy does not read."""
    if isinstance(error, FileNotFoundError):
        return DataError("no such file", where=str(path))
    if "pickle" in str(error) or "Python objects" in str(error):
        fix = "Save vectors as numbers, np.stack(vectors).astype(np.float32), and ids as text, np.array(ids, str)."
        return DataError("holds pickled Python objects, which are never loaded", where=str(path), fix=fix)
    return DataError(f"is damaged, or not a file of numpy arrays ({error})", where=str(path))


def read_parquet(path: Path) -> pa.Table:
    """A Parquet file as a table.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return pq.ParquetFile(path, memory_map=True).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot be read ({str(error).splitlines()[0]})", where=str(path)) from error
