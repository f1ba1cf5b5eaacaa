"""Times that can hardly be right: before 1990 or after next year; and how they would be, read in another way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, is_text
from reasonrec_core.errors import DataError
from reasonrec_core.types import Float64, Int64
from reasonrec_datasets.importing.column_parsing import decode_values
from reasonrec_datasets.importing.time_parsing import TICKS, TimeForm, parse_times

EARLIEST_PLAUSIBLE = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp())
NUMBER_FORMATS = ("%Y", "%Y%m", "%Y%m%d", "%Y%m%d%H", "%y%m%d", "%d%m%Y", "%m%d%Y")
SAMPLE = 200
OTHERWISE = "Give their unit or format: --time-unit s, ms, us, ns, days or excel; --time-format '%d.%m.%Y'."


def note_implausible(column: pa.ChunkedArray | pa.Array, times: Int64 | Float64) -> list[str]:
    """A sentence where times are before 1990 or after next year, with what makes all of them plausible.

    Args:
        column: the cells.
        times: what was read of them, in seconds.
    """
    odd = np.flatnonzero(find_implausible_times(times))
    if not len(odd):
        return []
    many = f"{len(odd):,} of {len(times):,} times are before 1990 or after next year"
    what = f"WARNING: {many}, e.g. {show_time(float(times[odd[0]]))}, probably read in the wrong unit or format."
    if len(odd) < len(times):
        return [f"{what} If only these rows are wrong, correct or delete them. {OTHERWISE}"]
    likely = list(propose_readings(column))
    if not likely:
        return [f"{what} {OTHERWISE}"]
    said = " or ".join(f"{option} (the first would be {moment[:10]})" for option, moment in likely[:3])
    return [f"{what} They become plausible with {said}."]


def find_implausible_times(times: Int64 | Float64) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool[N]: before 1990 or after next year."""
    latest = datetime(datetime.now(UTC).year + 2, 1, 1, tzinfo=UTC).timestamp()
    return np.asarray((times < EARLIEST_PLAUSIBLE) | (times >= latest), dtype=np.bool_)


def show_time(seconds: float) -> str:
    """The moment, or the number where there is no such day."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} ({seconds:.15g} seconds since 1970)"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.15g} seconds since 1970"


def propose_readings(column: pa.ChunkedArray | pa.Array) -> Iterator[tuple[str, str]]:
    """The options with which all numbers (of the first ones) are plausible times, and the first moment by each."""
    cells = decode_values(flatten_column(column)[:SAMPLE]).drop_null()
    numbers = pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type) or is_text(cells.type)
    if not numbers or not len(cells):
        return
    forms = [(f"--time-format {form!r}", TimeForm(form)) for form in NUMBER_FORMATS]
    units = [(f"--time-unit {unit}", TimeForm(unit=unit)) for unit in TICKS]
    whole = pc.replace_substring_regex(cells.cast(pa.string()), r"\.0*$", "")
    for option, form in forms + units:
        try:
            times = parse_times(whole if form.format else cells, form=form)
        except DataError:
            continue
        if not find_implausible_times(times).any():
            yield option, show_time(float(times[0]))
