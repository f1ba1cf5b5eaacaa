"""A dataset: string ids outside, shuffled dense indices inside, Parquet and a manifest on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError
from reasonrec_core.files import content_hash, read_json, sha256_of, whole_folder, write_json
from reasonrec_core.types import History, Interactions

FORMAT = 1
MANIFEST = "manifest.json"
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class RawTables:
    """What an importer reads: string ids, in the source's order. Checked and indexed by `Dataset.build`.

    Attributes:
        interactions: ``user_id``, ``item_id`` (string), and optionally ``timestamp`` (int64), ``value`` (float32),
            ``part`` (string: train, valid or test), ``history`` (list<string>, oldest first).
        items: ``item_id``, fields, ``image``; items that occur only in interactions are added without fields.
        users: ``user_id`` and fields, or None.
        images: folder that image paths are relative to.
        name: of the dataset.
        source: what it was read from and how, for the manifest.
        ordered: False where ``timestamp`` is missing and the file's order within a user is the only order.
    """

    interactions: pa.Table
    items: pa.Table | None = None
    users: pa.Table | None = None
    images: Path | None = None
    name: str = "dataset"
    source: dict[str, Any] = field(default_factory=dict)


class Dataset:
    """Interactions, items and users; columns are read when they are first used.

    Dense indices are a seeded shuffle of the ids, so that an index carries no information (item numbers given in
    order of first appearance leak the next item: papers.md section 2).
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """Open a saved dataset; nothing but the manifest is read yet."""
        manifest = read_json(folder / MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise DataError(
                "not a dataset of this version",
                where=str(folder / MANIFEST),
                fix="Import it again: reasonrec data import.",
            )
        return cls(folder, manifest)

    @classmethod
    def build(cls, raw: RawTables, folder: Path, *, seed: int = 0) -> Dataset:
        """Index ``raw`` and save it to ``folder`` (whole or not at all)."""
        users = _index(raw.interactions.column("user_id"), raw.users, "user_id", seed)
        items = _index(
            raw.interactions.column("item_id"), raw.items, "item_id", seed + 1, _history_ids(raw.interactions)
        )
        table = _encode(raw.interactions, users.column("user_id"), items.column("item_id"))
        with whole_folder(folder) as aside:
            pq.write_table(table, aside / "interactions.parquet")
            pq.write_table(items, aside / "items.parquet")
            pq.write_table(users, aside / "users.parquet")
            files = {p.name: sha256_of(p) for p in sorted(aside.glob("*.parquet"))}
            manifest = {
                "format": FORMAT,
                "name": raw.name,
                "seed": seed,
                "users": users.num_rows,
                "items": items.num_rows,
                "interactions": table.num_rows,
                "columns": table.column_names,
                "images": str(raw.images.resolve()) if raw.images else None,
                "source": raw.source,
                "files": files,
                "hash": content_hash(_table_hash(table), _table_hash(items), _table_hash(users)),
            }
            write_json(aside / MANIFEST, manifest)
        return cls.open(folder)

    @property
    def name(self) -> str:
        """The dataset's name."""
        return str(self.manifest["name"])

    @property
    def hash(self) -> str:
        """A hash of the content: equal for equal data and seed, whatever the file it came from."""
        return str(self.manifest["hash"])

    @property
    def n_users(self) -> int:
        """Users, known from interactions or from the user table."""
        return int(self.manifest["users"])

    @property
    def n_items(self) -> int:
        """Items, with or without interactions."""
        return int(self.manifest["items"])

    @cached_property
    def _table(self) -> pa.Table:
        return pq.read_table(self.folder / "interactions.parquet", memory_map=True)

    @cached_property
    def catalog(self) -> Catalog:
        """The items."""
        images = self.manifest["images"]
        return Catalog(pq.read_table(self.folder / "items.parquet"), Path(images) if images else None)

    @cached_property
    def users(self) -> pa.Table:
        """``user_id`` and user fields in index order."""
        return pq.read_table(self.folder / "users.parquet")

    @cached_property
    def user_index(self) -> dict[str, int]:
        """String id to dense index."""
        return {user: i for i, user in enumerate(self.users.column("user_id").to_pylist())}

    @cached_property
    def interactions(self) -> Interactions:
        """All interactions, sorted by user, oldest first."""
        table = self._table
        values = np.asarray(table.column("value"), dtype=np.float32) if "value" in table.column_names else None
        return Interactions(
            np.asarray(table.column("user"), dtype=np.int32),
            np.asarray(table.column("item"), dtype=np.int32),
            np.asarray(table.column("time"), dtype=np.int64),
            values,
        )

    @property
    def has_clock(self) -> bool:
        """Whether ``time`` is a clock (seconds) rather than a position in the user's sequence."""
        return bool(self._table.schema.metadata and self._table.schema.metadata.get(b"clock") == b"1")

    @property
    def parts(self) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
        """uint8[N] predefined part of each interaction (0 train, 1 valid, 2 test), or None."""
        if "part" not in self._table.column_names:
            return None
        return np.asarray(self._table.column("part"), dtype=np.uint8)

    @property
    def given_history(self) -> History | None:
        """The history that the source states for each interaction (N rows), or None."""
        if "history" not in self._table.column_names:
            return None
        column = self._table.column("history").combine_chunks()
        offsets = np.asarray(column.offsets, dtype=np.int64)
        items = np.asarray(column.values, dtype=np.int32)
        times = np.arange(len(items), dtype=np.int64) - np.repeat(offsets[:-1], np.diff(offsets))
        return History(offsets, items, times)

    def matrix(self, interactions: Interactions | None = None) -> sparse.csr_matrix:
        """float32 CSR[n_users, n_items] of interaction counts."""
        log = self.interactions if interactions is None else interactions
        ones = np.ones(len(log), dtype=np.float32)
        return sparse.csr_matrix((ones, (log.users, log.items)), shape=(self.n_users, self.n_items))


def _index(
    seen: pa.ChunkedArray, table: pa.Table | None, key: str, seed: int, more: pa.Array | None = None
) -> pa.Table:
    """The id table in a seeded random order: ids of ``table`` and of the log, fields joined."""
    arrays = [seen.combine_chunks().cast(pa.string())]
    if table is not None:
        arrays.append(table.column(key).combine_chunks().cast(pa.string()))
    if more is not None:
        arrays.append(more.cast(pa.string()))
    ids = sorted(set(pa.concat_arrays(arrays).unique().to_pylist()))
    order = np.random.default_rng(seed).permutation(len(ids))
    shuffled = pa.array([ids[i] for i in order], pa.string())
    if table is None:
        return pa.table({key: shuffled})
    rows = {item: row for row, item in enumerate(table.column(key).to_pylist())}
    take = pa.array([rows.get(ids[i]) for i in order], pa.int64())
    columns = {n: table.column(n).combine_chunks().take(take) for n in table.column_names if n != key}
    return pa.table({key: shuffled, **columns})


def _history_ids(table: pa.Table) -> pa.Array | None:
    if "history" not in table.column_names:
        return None
    return table.column("history").combine_chunks().flatten().unique()


def _encode(raw: pa.Table, user_ids: pa.ChunkedArray, item_ids: pa.ChunkedArray) -> pa.Table:
    """The log with dense indices, sorted by user and time, ties in the source's order."""
    users = _codes(raw.column("user_id"), user_ids)
    items = _codes(raw.column("item_id"), item_ids)
    clock = "timestamp" in raw.column_names
    source = np.asarray(raw.column("timestamp"), dtype=np.int64) if clock else np.arange(len(users), dtype=np.int64)
    order = np.lexsort((source, users))
    starts = np.searchsorted(users[order], users[order], side="left")
    times = source[order] if clock else np.arange(len(users), dtype=np.int64) - starts
    columns: dict[str, Any] = {"user": users[order], "item": items[order], "time": times}
    if "value" in raw.column_names:
        columns["value"] = np.asarray(raw.column("value"), dtype=np.float32)[order]
    if "part" in raw.column_names:
        codes = {part: code for code, part in enumerate(PARTS)}
        columns["part"] = np.array([codes[p] for p in raw.column("part").to_pylist()], dtype=np.uint8)[order]
    if "history" in raw.column_names:
        index = {item: i for i, item in enumerate(item_ids.to_pylist())}
        lists = raw.column("history").combine_chunks().take(pa.array(order)).to_pylist()
        columns["history"] = pa.array([[index[i] for i in row or ()] for row in lists], pa.list_(pa.int32()))
    return pa.table(columns).replace_schema_metadata({"clock": "1" if clock else "0"})


def _codes(column: pa.ChunkedArray, ids: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int32]]:
    import pyarrow.compute as pc

    return np.asarray(pc.index_in(column.combine_chunks().cast(pa.string()), ids.combine_chunks()), dtype=np.int32)


def _table_hash(table: pa.Table) -> str:
    """Hash of a table's content, independent of how Parquet lays it out."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        writer.write_table(table.combine_chunks())
    return content_hash(sink.getvalue().to_pybytes())
