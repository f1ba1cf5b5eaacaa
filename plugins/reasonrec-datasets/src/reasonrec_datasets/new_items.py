"""Items that come alone, to be added to a dataset or to a finished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from reasonrec_core.data import Catalog
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher, list_names
from reasonrec_datasets.importing.column_parsing import Place
from reasonrec_datasets.importing.field_checks import check_fields
from reasonrec_datasets.importing.pictures import find_item_pictures
from reasonrec_datasets.importing.source_tables import SourceTable
from reasonrec_datasets.layouts.tables import find_table, read_fields_file


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
        said = list(notes)
        fields = check_fields(source.table, "item_id", source.place)
        table, images = find_item_pictures(fields, source.path.parent, said)
        return cls(table, images, source.path, source.place, tuple(said))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def match(self, catalog: Catalog) -> NewItems:
        """The same items with the columns of ``catalog``, in its order.

        Columns that the catalogue does not have are left out, with a note: nothing has learned what they mean.

        Raises:
            DataError: a column is missing.
        """
        there = set(self.table.column_names)
        missing = [name for name in catalog.fields if name not in there]
        if missing:
            fix = f"Add it (its cells may be empty). The file has: {list_names(self.table.column_names)}; "
            fix += f"the catalogue: {list_names(catalog.fields)}."
            raise DataError(f"no column {missing[0]!r}", where=f"{self.path}:1", fix=fix)
        names = [n for n in catalog.table.column_names if n in there]
        rest = [n for n in self.table.column_names if n not in names and n != "image"]
        notes = (
            *self.notes,
            *([f"not read, because the catalogue has no such fields: {list_names(rest)}"] if rest else []),
        )
        if "image" in there and "image" not in names:
            names.append("image")
        return replace(self, table=self.table.select(names), notes=notes)


def read_new_items(path: Path, columns: Mapping[str, str] | None = None) -> NewItems:
    """Items alone, from a file (CSV, TSV, Parquet) or a folder with ``items.*``; pictures in ``images/`` beside it.

    Raises:
        DataError: what is wrong, in which file, line and column.
    """
    path, matching = Path(path), ColumnMatcher(columns)
    if not path.exists():
        raise DataError("no such file or folder", where=str(path))
    file = find_table(path, "items") if path.is_dir() else path
    if file is None:
        fix = "Put the new items into items.csv.gz (or .tsv, .parquet) there, or name their file."
        raise DataError("has no table of items", where=str(path), fix=fix)
    source = read_fields_file(file, "items", matching)
    matching.refuse_unmatched()
    return NewItems.check(source, matching.notes)
