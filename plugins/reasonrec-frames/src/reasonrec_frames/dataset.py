"""A stored dataset that is made of frames, and gives frames back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from reasonrec_core.data import Dataset, open_or_import
from reasonrec_frames.frame_source import import_frames
from reasonrec_frames.html import make_paragraphs, make_table
from reasonrec_frames.native_frames import FrameKind, check_kind, name_kind
from reasonrec_frames.split_frames import SplitFrames, make_split_frames
from reasonrec_frames.wording import python_words, speak_python


class FrameDataset(Dataset):
    """Interactions, items and users. ``frames`` is the kind of frames that everything about it is given back in."""

    frames: FrameKind | None = None

    @classmethod
    def from_frames(
        cls,
        log: Any,
        items: Any = None,
        users: Any = None,
        *,
        columns: Mapping[str, str] | None = None,
        images: str | os.PathLike[str] | None = None,
        name: str = "frames",
        seed: int = 0,
        **options: Any,
    ) -> Self:
        """A dataset of pandas, polars or Arrow frames or DuckDB relations, by the rules that hold for files.

        It is checked, indexed and kept in the cache, once for equal content.

        Args:
            log: a row per interaction: ``user_id``, ``item_id`` and, where they are known, ``timestamp``, ``value``.
            items: a row per item: ``item_id``, ``title``, further fields, ``image`` with paths.
            users: a row per user.
            columns: ``{ours: theirs}``, e.g. ``{"user_id": "customer"}``; ``""`` leaves a column out.
            images: the folder of the pictures.
            name: of the dataset.
            seed: of the order of the indices.
            options: ``time_format``, ``time_unit``, ``dedupe``, ``min_value``, ``k_core``, ``event_weights``, as for
                files (docs/data.md).

        Raises:
            ReasonRecError: what is wrong, in which frame, row (counted from 0) and column.

        >>> import pandas as pd
        >>> log = pd.DataFrame({"customer": [1, 1, 2], "sku": ["a", "b", "a"]})
        >>> FrameDataset.from_frames(log, columns={"user_id": "customer"}, name="shop")
        <Dataset 'shop': 2 users, 2 items, 3 interactions>
        """
        kept = import_frames(log, items, users, columns=columns, images=images, name=name, seed=seed, **options)
        return cls.of(kept, name_kind(log))

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        columns: Mapping[str, str] | None = None,
        format: str = "auto",
        name: str | None = None,
        seed: int = 0,
        frames: FrameKind | None = None,
        **options: Any,
    ) -> Self:
        """A saved dataset, or any file or folder that an installed data source reads; imported once.

        Args:
            folder: the path.
            columns: ``{ours: theirs}`` for columns with names of their own.
            format: the name of a data source, or "auto" to ask them all.
            name: of the dataset.
            seed: of the order of the indices.
            frames: what is given back: "pandas", "polars", "pyarrow" or "duckdb"; pandas where it is installed.
            options: the data source's own settings.

        Raises:
            ReasonRecError: what is wrong, in which file, line and column.
        """
        with python_words():
            stored = open_or_import(Path(folder), format=format, columns=columns, options=options, name=name, seed=seed)
            return cls.of(stored, check_kind(frames))

    @classmethod
    def of(cls, stored: Dataset, frames: FrameKind) -> Self:
        """A stored dataset, with the kind of frames that are to be given back."""
        made = cls(stored.folder, stored.manifest)
        made.frames = frames
        return made

    @property
    def notes(self) -> list[str]:
        """What was guessed, merged or left out when the data was read."""
        return [speak_python(note) for note in super().notes]

    def split(self, split: str | Mapping[str, Any] | None = None) -> SplitFrames:
        """``train, valid, test`` as frames: what a model of one's own may learn from, and what it is asked.

        Args:
            split: the name of a splitter, or its settings with the name as ``kind``; leave-one-out by default.
        """
        return make_split_frames(self, split, check_kind(self.frames))

    def __repr__(self) -> str:
        counts = f"{self.n_users:,} users, {self.n_items:,} items, {len(self):,} interactions"
        return f"<Dataset {self.name!r}: {counts}>"

    def _repr_html_(self) -> str:
        catalog = self.catalog
        pictures = sum(path is not None for path in catalog.image_paths) if catalog.images else 0
        rows = [("users", f"{self.n_users:,}"), ("items", f"{self.n_items:,}"), ("interactions", f"{len(self):,}")]
        rows += [("item fields", ", ".join(catalog.fields) or "none"), ("pictures", f"{pictures:,}")]
        rows += [("time", "a clock" if self.has_clock else "only the order of the rows")]
        return make_table([self.name, ""], rows) + make_paragraphs(f"Note: {note}." for note in self.notes)
