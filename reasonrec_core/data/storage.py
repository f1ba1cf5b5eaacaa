"""A dataset's folder: three Parquet files and the manifest that describes and hashes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reasonrec_core.data.columns import is_list, is_text, take_column
from reasonrec_core.errors import DataError
from reasonrec_core.io import content_hash, read_json, sha256_of, whole_folder, write_json

FORMAT = 1
MANIFEST = "manifest.json"
LOG = "interactions.parquet"
TABLES = ("interactions", "items", "users")
REQUIRED = frozenset({"name", "seed", "images", "source", "columns", "files", "hash", "clock", *TABLES})
LOG_TYPES = {
    "user": pa.int32(),
    "item": pa.int32(),
    "time": pa.int64(),
    "value": pa.float32(),
    "part": pa.uint8(),
    "review": pa.large_string(),
    "summary": pa.large_string(),
}
CONTEXT = "context."
"""What columns of context, which are text, are called before their own names."""
IMPORT_AGAIN = "Import it again: reasonrec data import."


@dataclass(frozen=True)
class IndexedTables:
    """The three tables of a dataset; row numbers of ``items`` and ``users`` are the dense indices.

    Attributes:
        interactions: sorted by user, oldest first; ``user``, ``item`` and ``time``, perhaps others of `LOG_TYPES`,
            ``history`` (lists of item indices), `CONTEXT` + names. ``clock`` in its metadata: "1" if ``time`` is one.
        items: ``item_id``, fields, ``image``.
        users: ``user_id`` and fields.
    """

    interactions: pa.Table
    items: pa.Table
    users: pa.Table


def is_dataset(folder: Path) -> bool:
    """Whether ``folder`` claims to hold a dataset (of any version)."""
    return (folder / MANIFEST).is_file() and (folder / LOG).is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a saved dataset.

    Raises:
        DataError: missing, broken, or of another version.
    """
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not manifest.keys() >= REQUIRED:
        raise DataError("not a dataset of this version", where=str(folder / MANIFEST), fix=IMPORT_AGAIN)
    return manifest


def write_dataset(folder: Path, tables: IndexedTables, about: dict[str, Any]) -> None:
    """Write tables and manifest to ``folder``, whole or not at all.

    Args:
        folder: new, empty, or a dataset, which is replaced.
        tables: what to store.
        about: ``name``, ``seed``, ``images`` and ``source`` for the manifest.

    Raises:
        DataError: ``folder`` is anything else, or cannot be written.
    """
    named = {"interactions": tables.interactions, "items": tables.items, "users": tables.users}
    metadata = tables.interactions.schema.metadata or {}
    with whole_folder(folder, MANIFEST, LOG) as aside:
        for name, table in named.items():
            pq.write_table(table, aside / f"{name}.parquet", compression="zstd", compression_level=1)
        manifest = {
            **about,
            **{name: table.num_rows for name, table in named.items()},
            "format": FORMAT,
            "clock": metadata.get(b"clock") == b"1",
            "columns": tables.interactions.column_names,
            "files": {f"{name}.parquet": sha256_of(aside / f"{name}.parquet") for name in named},
            "hash": content_hash(*(hash_table(table) for table in named.values())),
        }
        write_json(aside / MANIFEST, manifest)


class StoredTables:
    """Reads a dataset's Parquet files, column by column, when they are asked for."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest

    def read(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One table, or some of its columns.

        Raises:
            DataError: the file is missing, damaged, or not the one that the manifest describes.
        """
        path = self.folder / f"{name}.parquet"
        try:
            # Not `read_table`, which imports Arrow's dataset readers for what is one file.
            table = pq.ParquetFile(path, memory_map=True).read(columns=columns)
        except FileNotFoundError as error:
            raise DataError("the file does not exist", where=str(path), fix=IMPORT_AGAIN) from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self.damaged(name, str(error).splitlines()[0]) from error
        for column, kind in LOG_TYPES.items() if name == "interactions" else ():
            if column in table.column_names and table.schema.field(column).type != kind:
                raise self.damaged(name, f"column {column!r} is {table.schema.field(column).type}, not {kind}")
        absent = set(columns or ()) - set(table.column_names)
        if absent or table.num_rows != self.manifest[name]:
            what = f"no column {min(absent)!r}" if absent else f"{table.num_rows} rows, not {self.manifest[name]}"
            raise self.damaged(name, what)
        return table

    def damaged(self, name: str, how: str) -> DataError:
        """The error for a file that is not what was written."""
        where = str(self.folder / f"{name}.parquet")
        return DataError(f"the file was damaged or changed ({how})", where=where, fix=IMPORT_AGAIN)

    def verify(self) -> None:
        """Compare every file with its hash in the manifest.

        Raises:
            DataError: a file is missing or differs.
        """
        for name, expected in self.manifest["files"].items():
            path = self.folder / name
            if not path.is_file():
                raise DataError("the file does not exist", where=str(path), fix=IMPORT_AGAIN)
            if sha256_of(path) != expected:
                raise self.damaged(path.stem, "its SHA-256 differs from the manifest")


def hash_table(table: pa.Table) -> str:
    """SHA-256 over names, types and values; the order of columns does not count, that of rows does.

    Arrow's own bytes will not do: what lies under a null, whether a mask of no nulls is stored, and how rows are cut
    into chunks differ between equal tables.
    """
    digest = hashlib.sha256(str(table.num_rows).encode())
    for name in sorted(table.column_names):
        digest.update(f"\0{name}\0".encode())
        _add_column(digest, take_column(table, name))
    return digest.hexdigest()


def _add_column(digest: Any, values: pa.Array) -> None:
    digest.update(_name_type(values.type).encode())
    if values.null_count:
        digest.update(np.packbits(values.is_null().to_numpy(zero_copy_only=False)).tobytes())
    if is_list(values.type):
        digest.update(pc.fill_null(pc.list_value_length(values), 0).cast(pa.int64()).to_numpy().tobytes())
        _add_column(digest, values.flatten())
    elif is_text(values.type):
        text = pc.fill_null(values, "").cast(pa.large_string())
        digest.update(pc.binary_length(text).cast(pa.int64()).to_numpy().tobytes())
        _, offsets, data = text.buffers()
        bounds = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
        if data is not None and len(text):
            digest.update(memoryview(data)[bounds[0] : bounds[-1]])
    else:
        for start in range(0, len(values), 1 << 20):
            plain = pc.fill_null(values[start : start + (1 << 20)], 0).to_numpy(zero_copy_only=False)
            digest.update((plain + plain.dtype.type(0)).tobytes())  # + 0: -0.0 and 0.0 are equal


def _name_type(kind: pa.DataType) -> str:
    if is_list(kind):
        return f"list {kind.value_type}"
    return "string" if pa.types.is_large_string(kind) else str(kind)
