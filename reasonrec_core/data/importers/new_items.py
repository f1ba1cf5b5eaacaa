"""Items that are added to a catalogue that is there: read like any items, and checked against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from reasonrec_core.data.attributes import checked_fields
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.column_parsing import Place, fail
from reasonrec_core.data.importers.columns import Columns, shown
from reasonrec_core.data.importers.pictures import item_pictures
from reasonrec_core.data.importers.tables import SUFFIXES, find_table, read_fields
from reasonrec_core.errors import DataError


@dataclass(frozen=True)
class NewItems:
    """Items alone.

    Attributes:
        table: ``item_id``, fields, ``image``; checked.
        images: the folder that image paths are relative to, None where no pictures are known.
        path: the file.
        place: where the rows stand.
        notes: sentences for the user.
    """

    table: pa.Table
    images: Path | None
    path: Path
    place: Place
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def matching(self, catalog: Catalog) -> NewItems:
        """The same items with the columns and types of ``catalog``, in its order.

        Columns that the catalogue does not have are left out, with a note: nothing has learned what they mean.

        Raises:
            DataError: an id that is in the catalogue, a column that is missing, a cell of another type.
        """
        ids = self.table.column("item_id").to_pylist()
        known = [row for row, item in enumerate(ids) if item in catalog.index]
        if known:
            fix = f"{len(known)} of the {len(ids)} items are. Leave them out: an import adds items and changes none."
            what = f"item {ids[known[0]]!r} is in the catalogue already"
            raise fail(what, self.place, known[0], "item_id", fix=fix)
        there = set(self.table.column_names)
        missing = [name for name in catalog.fields if name not in there]
        if missing:
            fix = f"Add it (its cells may be empty). The file has: {shown(self.table.column_names)}; "
            fix += f"the catalogue: {shown(catalog.fields)}."
            raise DataError(f"no column {missing[0]!r}", where=f"{self.path}:1", fix=fix)
        names = [n for n in catalog.table.column_names if n in there]
        rest = [n for n in self.table.column_names if n not in names and n != "image"]
        notes = (*self.notes, *([f"not read, the catalogue has no such fields: {shown(rest)}"] if rest else []))
        if "image" in there and "image" not in names:
            names.append("image")
        columns = {name: self._cast(name, catalog) for name in names}
        return replace(self, table=pa.table(columns), notes=notes)

    def _cast(self, name: str, catalog: Catalog) -> pa.ChunkedArray:
        column = self.table.column(name)
        if name not in catalog.table.column_names:
            return column
        kind = catalog.table.schema.field(name).type
        try:
            return column.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            for row, value in enumerate(column):
                try:
                    value.cast(kind)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    what = f"{name} is {value.as_py()!r}, and the catalogue holds {_words(kind)} there"
                    raise fail(what, self.place, row, name, fix="Correct the cell or leave it empty.") from error
            raise


def read_new_items(path: Path, columns: Mapping[str, str] | None = None) -> NewItems:
    """Items alone, from a file (CSV, TSV, Parquet) or a folder with ``items.*``; pictures in ``images/`` beside it.

    Raises:
        DataError: what is wrong, in which file, line and column.
    """
    path, matching = Path(path), Columns(columns)
    if not path.exists():
        raise DataError("no such file or folder", where=str(path))
    file = find_table(path, "items") if path.is_dir() else path
    if file is None:
        fix = f"Put the new items into items{SUFFIXES[1]} (or .tsv, .parquet) there, or name their file."
        raise DataError("holds no table of items", where=str(path), fix=fix)
    source = read_fields(file, "items", matching)
    matching.finish()
    if source.table.num_rows == 0:
        raise DataError("the file has no rows", where=str(file))
    table, images = item_pictures(checked_fields(source.table, "item_id", source.place), file.parent)
    return NewItems(table, images, file, source.place, tuple(matching.notes))


def _words(kind: pa.DataType) -> str:
    return "numbers" if pa.types.is_floating(kind) else "whole numbers" if pa.types.is_integer(kind) else str(kind)
