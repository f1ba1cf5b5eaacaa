"""The items: ids, text fields, images, and what is missing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from reasonrec_core.data.columns import is_text
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Int32

TEXT_ORDER = ("title", "brand", "categories", "department", "color", "pattern", "director", "actors", "description")
"""The order in which known fields enter an item's text; other text fields follow in alphabetical order."""
NOT_TEXT = frozenset({"item_id", "image", "asin"})
Roots = Sequence[tuple[int, Path | None]]


class Catalog:
    """Items by dense index.

    Args:
        table: one row per item in index order; ``item_id`` (string), optional ``image`` (path relative to
            ``images``), any other columns are item fields (string or number, null where missing).
        images: the folder that image paths are relative to; paths that leave it are refused when opened.
        more_images: ``(first item, folder)`` of items that were added later and have their images elsewhere, ascending.
        source: the file or folder that the data was read from, where it still lies.
    """

    def __init__(
        self, table: pa.Table, images: Path | None = None, more_images: Roots = (), source: Path | None = None
    ) -> None:
        self.table, self.images, self.source = table, images, source
        self.more_images = tuple(more_images)

    def image_root(self, item: int) -> Path | None:
        """The folder that the image path of one item is relative to."""
        return next((root for first, root in reversed(self.more_images) if item >= first), self.images)

    def slice(self, start: int) -> Catalog:
        """The items from ``start`` on."""
        more = [(max(first - start, 0), root) for first, root in self.more_images]
        return Catalog(self.table.slice(start), self.images, more, self.source)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> list[str]:
        """The items' string ids in index order."""
        return list(self.table.column("item_id").to_pylist())

    @cached_property
    def index(self) -> dict[str, int]:
        """String id to dense index."""
        return {item: i for i, item in enumerate(self.ids)}

    def known(self, item_ids: Sequence[str]) -> tuple[Int32, int]:
        """Dense indices of the ids that exist, in order, and how many do not."""
        found = [self.index[i] for i in item_ids if i in self.index]
        return np.array(found, dtype=np.int32), len(item_ids) - len(found)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the item fields, without the id and the image."""
        return tuple(n for n in self.table.column_names if n not in {"item_id", "image"})

    def column(self, field: str) -> list[str | None]:
        """One field of all items as text, None where it is missing or blank."""
        if field not in self.table.column_names:
            raise DataError(f"the items have no field {field!r}", fix=f"Fields: {', '.join(self.fields)}.")
        return format_cells(self.table.column(field))

    @cached_property
    def titles(self) -> list[str]:
        """What to call each item: its title, else its id."""
        if "title" not in self.table.column_names:
            return self.ids
        return [title or item for title, item in zip(self.column("title"), self.ids, strict=True)]

    def labels(self, field: str) -> list[tuple[str, ...]]:
        """A field split at ``|`` into a path or set of labels; empty where missing."""
        return [tuple(p.strip() for p in v.split("|") if p.strip()) if v else () for v in self.column(field)]

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The string fields, in the order in which they enter an item's text."""
        names = [n for n in self.fields if n not in NOT_TEXT and is_text(self.table.schema.field(n).type)]
        known = [n for n in TEXT_ORDER if n in names]
        return (*known, *sorted(set(names) - set(known)))

    def texts(self, fields: Sequence[str] | None = None) -> list[str | None]:
        """One text per item, ``title. brand. category, path. ...``; None where every field is missing."""
        columns = [self.column(f) for f in (self.text_fields if fields is None else fields)]
        rows = zip(*columns, strict=True) if columns else ((),) * len(self)
        texts = (". ".join(v.replace("|", ", ") for v in row if v) for row in rows)
        return [t or None for t in texts]

    @cached_property
    def image_paths(self) -> list[str | None]:
        """Image paths relative to ``images``, as the data gives them (untrusted), None where there is none."""
        if "image" not in self.table.column_names:
            return [None] * len(self)
        return [v.strip() if v and v.strip() else None for v in self.table.column("image").to_pylist()]

    @cached_property
    def has_image(self) -> Bool:
        """bool[n_items]: an image is named (whether it can be read shows when it is read)."""
        return np.array([p is not None for p in self.image_paths], dtype=np.bool_)


def format_cells(column: pa.ChunkedArray) -> list[str | None]:
    """Values as text, whole numbers without a point; None where missing or blank."""
    if pa.types.is_floating(column.type):
        values = [None if v is None or v != v else f"{v:.12g}" for v in column.to_pylist()]
    else:
        values = [None if v is None else str(v) for v in column.to_pylist()]
    return [v if v and v.strip() else None for v in values]


def normalise_text(text: str | None) -> str:
    """Case, width, accents' encoding, punctuation and spacing removed; "" for None."""
    folded = unicodedata.normalize("NFKC", text or "").casefold()
    return " ".join(re.sub(r"[\W_]+", " ", folded).split())
