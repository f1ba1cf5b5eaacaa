"""Files of vectors: ``.npy`` (mapped), ``.npz`` and Parquet."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.errors import ConfigError, DataError, did_you_mean
from reasonrec_precomputed.row_ids import (
    ROWS,
    as_ids,
    explain_unreadable,
    find_ids,
    load_array,
    read_ids,
    read_parquet,
    refuse_doubled,
)

ID_NAMES = ("item_id", "ids", "id", "item_ids", "item")


@dataclass(frozen=True)
class VectorFile:
    """Vectors and the items that they belong to.

    Attributes:
        path: of the file.
        rows: numbers[n, d] of any type, mapped where the file allows it.
        ids: of the n rows, each once.
    """

    path: Path
    rows: npt.NDArray[Any]
    ids: list[str]


def open_vectors(path: Path, known: Collection[str], *, ids: str | None, vectors: str | None) -> VectorFile:
    """Open the file at ``path``.

    Args:
        path: of the file.
        known: ids of the items, for files that name their rows in several ways.
        ids: the array or column of ids, `ROWS`, or a file beside ``path``; found where it is None.
        vectors: the array or column of vectors; found where it is None.

    Raises:
        DataError: a file that cannot be read, vectors of a wrong shape or type, ids that do not fit them.
        ConfigError: a setting that names what is not there, or that is missing.
    """
    readers = {".npy": _read_npy, ".npz": _read_npz, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise ConfigError(f"unknown kind of file {path.suffix!r}", where=str(path), fix=f"Use {', '.join(readers)}.")
    inside, rows = readers[path.suffix](path, ids, vectors)
    if rows.ndim != 2 or 0 in rows.shape:
        shown = ", ".join(map(str, rows.shape))
        raise DataError(f"the vectors have the shape ({shown}), not (items, dimensions)", where=str(path))
    if rows.dtype.kind not in "fiu":
        raise DataError(f"the vectors are {rows.dtype}, not numbers", where=str(path))
    if inside is not None:
        names, source = inside, path
    else:
        named = path.parent / ids if ids and ids != ROWS else ids or find_ids(path)
        names = [str(row) for row in range(len(rows))] if isinstance(named, str) else read_ids(named, known)
        source = path if isinstance(named, str) else named
    if len(names) != len(rows):
        raise DataError(f"{len(names):,} ids for the {len(rows):,} vectors of {path.name}", where=str(source))
    refuse_doubled(names, str(source))
    return VectorFile(path, rows, names)


def _read_npy(path: Path, ids: str | None, vectors: str | None) -> tuple[list[str] | None, npt.NDArray[Any]]:
    return None, load_array(path)


def _read_npz(path: Path, ids: str | None, vectors: str | None) -> tuple[list[str] | None, npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise explain_unreadable(path, error) from error
    named = _find_ids(ids, [*arrays], path)
    tables = [name for name, array in arrays.items() if array.ndim == 2]
    rows = arrays[_find_vectors(vectors, tables, [*arrays], path)]
    return (as_ids(arrays[named], f"{path}: {named}") if named else None), rows


def _read_parquet(path: Path, ids: str | None, vectors: str | None) -> tuple[list[str] | None, npt.NDArray[Any]]:
    table = read_parquet(path)
    named = _find_ids(ids, table.column_names, path)
    lists = [name for name in table.column_names if _is_list(table.schema.field(name).type)]
    if vectors is None and not lists:  # a column a dimension
        wide = [name for name in table.column_names if pa.types.is_floating(table.schema.field(name).type)]
        if not wide:
            raise DataError("holds no vectors: neither lists of numbers nor a column a dimension", where=str(path))
        rows = np.stack([table.column(name).to_numpy() for name in wide], axis=1)
    else:
        table, rows = _flatten(table, _find_vectors(vectors, lists, table.column_names, path), path)
    return (as_ids(table.column(named).combine_chunks(), f"{path}: {named}") if named else None), rows


def _flatten(table: pa.Table, name: str, path: Path) -> tuple[pa.Table, npt.NDArray[Any]]:
    """The rows of the table that have a vector, and their vectors as one array."""
    if not _is_list(table.schema.field(name).type):
        raise DataError(f"column {name!r} is {table.schema.field(name).type}, not lists of numbers", where=str(path))
    table = table.filter(table.column(name).is_valid())
    lists = table.column(name).combine_chunks()
    lengths = np.asarray(pc.list_value_length(lists), np.int64)
    if len(lengths) and (odd := np.flatnonzero(lengths != lengths[0])).size:
        what = f"vector {int(odd[0]) + 1} has {lengths[odd[0]]} numbers, the first {lengths[0]}"
        raise DataError(what, where=f"{path}: {name}")
    width = int(lengths[0]) if len(lengths) else 0
    return table, np.asarray(lists.flatten().to_numpy(zero_copy_only=False)).reshape(len(lists), width)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _find_vectors(wanted: str | None, tables: list[str], names: list[str], path: Path) -> str:
    """What is called ``wanted``, else the only table."""
    if wanted is not None and wanted not in names:
        fix = did_you_mean(wanted, names)
        raise ConfigError(f"nothing is called {wanted!r}", where=f"{path}: vectors", fix=fix)
    if wanted is None and len(tables) > 1:
        fix = 'Choose one: vectors = "NAME".'
        raise ConfigError(f"holds several tables: {', '.join(tables)}", where=str(path), fix=fix)
    if wanted is None and not tables:
        raise DataError("holds no table of vectors", where=str(path))
    return wanted or tables[0]


def _find_ids(wanted: str | None, names: list[str], path: Path) -> str | None:
    """What is called ``wanted``, else what ids are called; None where they stand in another file or nowhere."""
    if wanted is None:
        return next((name for name in ID_NAMES if name in names), None)
    if wanted in names:
        return wanted
    if wanted != ROWS and not (path.parent / wanted).is_file():
        fix = did_you_mean(wanted, names)
        raise ConfigError(f"there is neither a part nor a file called {wanted!r}", where=f"{path}: ids", fix=fix)
    return None
