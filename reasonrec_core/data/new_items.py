"""Items that come alone, to be added to a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from reasonrec_core.data.catalog import Catalog, check_fields
from reasonrec_core.data.column_matching import list_names
from reasonrec_core.data.column_parsing import CAST_FAILURES, Place, find_cast_failure, make_cell_error, take_column
from reasonrec_core.data.images import find_item_pictures
from reasonrec_core.data.tables import SourceTable
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

    @classmethod
    def check(cls, source: SourceTable, notes: Sequence[str] = ()) -> NewItems:
        """A table of items under our column names, with the pictures in ``images/`` beside it.

        Raises:
            DataError: a blank or repeated id, or a cell that cannot be used, with its place.
        """
        table, images = find_item_pictures(check_fields(source.table, "item_id", source.place), source.path.parent)
        return cls(table, images, source.path, source.place, tuple(notes))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def match(self, catalog: Catalog) -> NewItems:
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
            raise make_cell_error(what, self.place, known[0], "item_id", fix=fix)
        there = set(self.table.column_names)
        missing = [name for name in catalog.fields if name not in there]
        if missing:
            fix = f"Add it (its cells may be empty). The file has: {list_names(self.table.column_names)}; "
            fix += f"the catalogue: {list_names(catalog.fields)}."
            raise DataError(f"no column {missing[0]!r}", where=f"{self.path}:1", fix=fix)
        names = [n for n in catalog.table.column_names if n in there]
        rest = [n for n in self.table.column_names if n not in names and n != "image"]
        notes = (*self.notes, *([f"not read, the catalogue has no such fields: {list_names(rest)}"] if rest else []))
        if "image" in there and "image" not in names:
            names.append("image")
        columns = {name: self._cast(name, catalog) for name in names}
        return replace(self, table=pa.table(columns), notes=notes)

    def _cast(self, name: str, catalog: Catalog) -> pa.Array:
        values = take_column(self.table, name)
        if name not in catalog.table.column_names:
            return values
        kind = catalog.table.schema.field(name).type
        try:
            return values.cast(kind)
        except CAST_FAILURES as error:
            row = find_cast_failure(values, kind)
            what = f"{name} is {values[row].as_py()!r}, and the catalogue holds {_name_type(kind)} there"
            raise make_cell_error(what, self.place, row, name, fix="Correct the cell or leave it empty.") from error


def _name_type(kind: pa.DataType) -> str:
    return "numbers" if pa.types.is_floating(kind) else "whole numbers" if pa.types.is_integer(kind) else str(kind)
