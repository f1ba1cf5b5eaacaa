"""Where rows stand that come from lines of text or from several files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from reasonrec_core.types import Int64
from reasonrec_datasets.importing.column_parsing import Place
from reasonrec_datasets.importing.source_tables import SourceTable
from reasonrec_datasets.importing.source_tables import TakenPlace as TakenPlace


@dataclass(frozen=True)
class JoinedPlace:
    """Places of tables that were put one after the other; ``starts`` holds their first rows."""

    places: Sequence[Place]
    starts: Sequence[int]

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line:column``."""
        part = int(np.searchsorted(np.asarray(self.starts), row, side="right")) - 1
        return self.places[part].where(row - self.starts[part], column)


@dataclass(frozen=True)
class LinePlace:
    """Rows that come from known lines of a text file; ``lines`` holds each row's line number."""

    path: Path
    lines: Sequence[int] | Int64

    def where(self, row: int, column: str | None = None) -> str:
        """``file:line``."""
        return f"{self.path}:{self.lines[row]}"


def join_tables(tables: Sequence[SourceTable]) -> SourceTable:
    """Tables one after the other; a column that one of them lacks is null there."""
    starts = np.concatenate([[0], np.cumsum([t.table.num_rows for t in tables])[:-1]])
    joined = pa.concat_tables([t.table for t in tables], promote_options="permissive")
    return SourceTable(joined, tables[0].path, JoinedPlace([t.place for t in tables], [int(s) for s in starts]))
