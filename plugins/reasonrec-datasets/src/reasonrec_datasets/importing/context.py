"""Columns of a log that say in which context somebody acted: read as text, or worked out from the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.data.storage import CONTEXT
from reasonrec_core.errors import DataError
from reasonrec_core.types import Int64
from reasonrec_datasets.importing.column_parsing import (
    CAST_FAILURES,
    Place,
    clear_blanks,
    decode_values,
    make_cell_error,
)

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOUR, DAY = 3600, 86400
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""


def _find_months(times: Int64) -> Int64:
    return np.asarray(times.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12, np.int64)


DERIVED: Mapping[str, tuple[Callable[[Int64], Int64], tuple[str, ...]]] = {
    "hour": (lambda times: times // HOUR % 24, tuple(map(str, range(24)))),
    "weekday": (lambda times: (times // DAY + EPOCH_WEEKDAY) % 7, WEEKDAYS),
    "month": (_find_months, tuple(map(str, range(1, 13)))),
}
"""What a time tells, by name: the place of each value, from int64 seconds since 1970 (UTC), and the values."""


def list_context(names: list[str]) -> list[str]:
    """Those of a log's columns that are context, under their whole names."""
    return [name for name in names if name.startswith(CONTEXT)]


def parse_context(column: pa.ChunkedArray, name: str, place: Place | None) -> pa.Array:
    """The column as text without blanks around it; null where it says nothing.

    Raises:
        DataError: it holds lists or other things that are no text.
    """
    cells = decode_values(flatten_column(column))
    try:
        return clear_blanks(pc.utf8_trim_whitespace(cells.cast(pa.large_string())))
    except CAST_FAILURES as error:
        what, fix = f"the context {name.removeprefix(CONTEXT)} has type {cells.type}", "Use text or numbers."
        raise make_cell_error(what, place, 0, name, fix=fix) from error


def derive_context(name: str, times: Int64, clock: bool) -> pa.Array:
    """What the times (int64[N] seconds since 1970) tell of `DERIVED`.

    Raises:
        DataError: they are positions rather than times of a clock.
    """
    if not clock:
        what = f"there is no column {name!r}, and without times it cannot be worked out"
        raise DataError(what, fix="Import the log with its timestamps, or leave this context out.")
    find, values = DERIVED[name]
    return pa.array(values, pa.large_string()).take(pa.array(find(times)))
