"""Item pictures, found beside the tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import is_text, take_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.field_checks import LABEL_SEPARATOR

FOLDER = "images"
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"})
ADDRESS = r"^\s*(https?://|data:|//|\[)"
"""What is no path: an address, or a list of objects, which hold addresses."""
LOOK_AT = 20
"""Paths that are tried to see what they are relative to."""


def find_item_pictures(items: pa.Table, folder: Path, notes: list[str] | None = None) -> tuple[pa.Table, Path | None]:
    """The items, with an ``image`` column where files in ``images/`` are named after ids, and the folder of its paths.

    Paths in an ``image`` column are relative to ``folder``, or to ``folder/images`` if only there files of these
    names exist; the folder is None without any. Of a list of paths the first counts; addresses are never fetched, which
    ``notes`` says.
    """
    pictures = folder / FOLDER
    if "image" in items.column_names:
        if not is_text(items.schema.field("image").type):
            fix = "Paths are text. If the column does not hold paths, ignore it: --column items.image="
            raise DataError(f"image is {items.schema.field('image').type}, not a path", where=str(folder), fix=fix)
        items = _keep_paths(items, [] if notes is None else notes)
    if "image" in items.column_names:
        paths = items.column("image").drop_null()[:LOOK_AT].to_pylist()
        inside = not any(_exists(folder / p) for p in paths) and any(_exists(pictures / p) for p in paths)
        return items, pictures if inside else folder
    if not pictures.is_dir():
        return items, None
    files = {p.stem: f"{FOLDER}/{p.name}" for p in sorted(pictures.iterdir()) if p.suffix.lower() in PICTURE_SUFFIXES}
    stems, names = pa.array(files.keys(), pa.string()), pa.array(files.values(), pa.string())
    found = names.take(pc.index_in(take_column(items, "item_id"), stems))
    if found.null_count == len(found):
        return items, None
    return items.append_column("image", found), folder


def _keep_paths(items: pa.Table, notes: list[str]) -> pa.Table:
    """The items with one path an image, or none; without the column where there is no path at all."""
    position = items.column_names.index("image")
    cells = items.column("image").cast(pa.string())
    numbers = pc.match_substring_regex(cells, r"^\s*\d+(\.0*)?\s*$")
    if cells.null_count < len(cells) and pc.all(numbers).as_py():
        notes.append("image: the cells are numbers, not paths, so the column is ignored")
        return items.remove_column(position)
    several = pc.fill_null(pc.match_substring(cells, LABEL_SEPARATOR), False)
    if pc.any(several).as_py():
        notes.append(
            f"image: the first picture is used of {pc.sum(several.cast(pa.int64())).as_py():,} items that have several"
        )
        cells = pc.replace_substring_regex(cells, r"\|[\s\S]*$", "")
    address = pc.fill_null(pc.match_substring_regex(cells, ADDRESS), False)
    if pc.any(address).as_py():
        count = f"{pc.sum(address.cast(pa.int64())).as_py():,} pictures are web addresses and are not downloaded"
        notes.append(f"image: {count}; put files named after the item ids into {FOLDER}/")
        cells = pc.if_else(address, None, cells)
    if cells.null_count == len(cells) and pc.any(address).as_py():
        return items.remove_column(position)
    return items.set_column(position, "image", cells)


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
