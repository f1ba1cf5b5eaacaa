"""A dataset: string ids outside, shuffled dense indices inside, Parquet and a manifest on disk."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.columns import take_column
from reasonrec_core.data.storage import CONTEXT, IndexedTables, StoredTables, read_manifest, write_dataset
from reasonrec_core.types import History, Int64, Interactions, Reviews, Texts


class Dataset:
    """Interactions, items and users; columns are read when they are first used.

    Dense indices are a seeded shuffle of the ids, so that an index carries no information (item numbers given in
    order of first appearance leak the next item).
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self._stored = StoredTables(folder, manifest)

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """Open a saved dataset; nothing but the manifest is read yet.

        Raises:
            DataError: ``folder`` holds no dataset of this version.
        """
        return cls(folder, read_manifest(folder))

    def append_items(self, items: pa.Table, folder: Path, images: Path | None = None) -> Dataset:
        """Save the dataset with more items, of which there are no interactions, after those that it has.

        Args:
            items: rows in the order that they get, with the types of the catalogue's table; columns that this does not
                have are added, columns of its that are missing stay empty.
            folder: where the larger dataset is saved; may be this dataset's own folder.
            images: the folder that the new items' image paths are relative to; None for the dataset's own.
        """
        longer = pa.concat_tables([self.catalog.table, items], promote_options="permissive").combine_chunks()
        about = {key: self.manifest[key] for key in ("name", "seed", "images", "source")}
        root = str(images.resolve()) if images else self.manifest["images"]
        about["more_images"] = [*self.manifest.get("more_images", []), [self.n_items, root]]
        write_dataset(folder, IndexedTables(self._stored.read("interactions"), longer, self.users), about)
        return Dataset.open(folder)

    def verify(self) -> None:
        """Compare every file with the hash in the manifest.

        Raises:
            DataError: a file is missing, or was changed or damaged after it was written.
        """
        self._stored.verify()

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

    def __len__(self) -> int:
        """Interactions."""
        return int(self.manifest["interactions"])

    @property
    def notes(self) -> list[str]:
        """What the data source wants the user to know."""
        return [str(note) for note in self.manifest["source"].get("notes", ())]

    @cached_property
    def catalog(self) -> Catalog:
        """The items."""
        images, more = self.manifest["images"], self.manifest.get("more_images", [])
        roots = tuple((first, Path(root) if root else None) for first, root in more)
        source = self.manifest["source"].get("path")
        return Catalog(self._stored.read("items"), images and Path(images), roots, source and Path(source))

    @cached_property
    def users(self) -> pa.Table:
        """``user_id`` and user fields in index order."""
        return self._stored.read("users")

    @cached_property
    def user_fields(self) -> dict[str, list[str | None]]:
        """What is known of each user, by field: text, None where it is not known."""
        table = self.users.drop_columns("user_id").to_pydict()
        return {name: [None if v is None else str(v) for v in values] for name, values in table.items()}

    @cached_property
    def user_index(self) -> dict[str, int]:
        """String id to dense index."""
        return {user: i for i, user in enumerate(self.users.column("user_id").to_pylist())}

    @cached_property
    def interactions(self) -> Interactions:
        """All interactions, sorted by user, oldest first."""
        names = [name for name in ("user", "item", "time", "value") if name in self.manifest["columns"]]
        table = self._stored.read("interactions", names)
        arrays = {name: take_column(table, name).to_numpy(zero_copy_only=False, writable=True) for name in names}
        for name, size in (("user", self.n_users), ("item", self.n_items)):
            if len(arrays[name]) and not 0 <= arrays[name].min() <= arrays[name].max() < size:
                raise self._stored.damaged("interactions", f"{name} indices leave 0 to {size - 1}")
        columns = [
            (self._read(CONTEXT + name), pa.array(values, pa.large_string())) for name, values in self.context.items()
        ]
        codes = [pc.index_in(column, values).fill_null(-1).to_numpy() + 1 for column, values in columns]
        context = np.stack(codes, axis=1).astype(np.int32) if codes else None
        return Interactions(arrays["user"], arrays["item"], arrays["time"], arrays.get("value"), context)

    @cached_property
    def context(self) -> dict[str, list[str]]:
        """Columns that say in which context users acted, with their values; `Interactions.context` counts from 1."""
        table = self._stored.read("interactions", [n for n in self.manifest["columns"] if n.startswith(CONTEXT)])
        found = {name.removeprefix(CONTEXT): take_column(table, name) for name in table.column_names}
        return {name: sorted(column.drop_null().unique().to_pylist()) for name, column in found.items()}

    @property
    def has_reviews(self) -> bool:
        """Whether the data has a column of reviews."""
        return "review" in self.manifest["columns"]

    @cached_property
    def reviewed(self) -> Int64:
        """int64[R]: the interactions with a review, as positions in `interactions`."""
        column = self._read("review")
        if column is None:
            return np.zeros(0, np.int64)
        return np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)).astype(np.int64)

    @cached_property
    def reviews(self) -> Reviews | None:
        """What users wrote, one per interaction of `reviewed`; None where the data has no column of reviews."""
        if not self.has_reviews:
            return None
        log, rows = self.interactions.take(self.reviewed), self.reviewed
        texts, summaries = (self._texts(name, rows) for name in ("review", "summary"))
        return Reviews(log.users, log.items, log.times, texts, summaries, log.values)

    def _texts(self, name: str, rows: Int64) -> Texts:
        column = self._read(name)
        if column is None:
            return np.full(len(rows), "", dtype=np.object_)
        texts = column.take(pa.array(rows)).fill_null("")
        return np.asarray(texts.to_numpy(zero_copy_only=False), dtype=np.object_)

    def _read(self, name: str) -> pa.Array | None:
        """One column of the log, or None where it has none of that name."""
        if name not in self.manifest["columns"]:
            return None
        return take_column(self._stored.read("interactions", [name]), name)

    @property
    def has_clock(self) -> bool:
        """Whether ``time`` is a clock (seconds) rather than a position in the user's sequence."""
        return bool(self.manifest["clock"])

    @cached_property
    def parts(self) -> npt.NDArray[np.uint8] | None:
        """uint8[N] predefined part of each interaction (0 train, 1 valid, 2 test), or None."""
        column = self._read("part")
        return None if column is None else np.asarray(column.to_numpy(), dtype=np.uint8)

    @cached_property
    def given_history(self) -> History | None:
        """The history that the source states for each interaction (N rows), or None."""
        lists = self._read("history")
        if lists is None:
            return None
        offsets = np.asarray(lists.offsets, dtype=np.int64)
        items = np.asarray(lists.values, dtype=np.int32)
        times = np.arange(len(items), dtype=np.int64) - np.repeat(offsets[:-1], np.diff(offsets))
        return History(offsets, items, times)
