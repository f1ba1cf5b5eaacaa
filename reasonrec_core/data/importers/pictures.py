"""Finds the pictures that lie beside the tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.column_parsing import flat
from reasonrec_core.data.raw import RawTables

FOLDER = "images"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"})
LOOK_AT = 20
"""Paths that are tried to see what they are relative to."""


def with_pictures(raw: RawTables, folder: Path) -> RawTables:
    """The tables with ``images`` set, and with an ``image`` column where files in ``images/`` are named after ids.

    Paths in an ``image`` column are relative to ``folder``, or to ``folder/images`` if only there files of these
    names exist.
    """
    if raw.images is not None:
        return raw
    items = raw.items
    if items is None:
        items = pa.table({"item_id": flat(raw.interactions.column("item_id")).unique().dictionary_decode()})
    items, images = item_pictures(items, folder)
    return raw if images is None else replace(raw, items=items, images=images)


def item_pictures(items: pa.Table, folder: Path) -> tuple[pa.Table, Path | None]:
    """The items, perhaps with an ``image`` column that was found, and the folder of its paths; None without any."""
    pictures = folder / FOLDER
    if "image" in items.column_names:
        paths = items.column("image").drop_null()[:LOOK_AT].to_pylist()
        inside = not any(_exists(folder / p) for p in paths) and any(_exists(pictures / p) for p in paths)
        return items, pictures if inside else folder
    if not pictures.is_dir():
        return items, None
    files = {p.stem: f"{FOLDER}/{p.name}" for p in sorted(pictures.iterdir()) if p.suffix.lower() in SUFFIXES}
    stems, names = pa.array(files.keys(), pa.string()), pa.array(files.values(), pa.string())
    found = names.take(pc.index_in(flat(items.column("item_id")), stems))
    if found.null_count == len(found):
        return items, None
    return items.append_column("image", found), folder


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
