"""What the order of a file says: it may stand for time only where no column does, and it may be newest first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reasonrec_core.data.columns import flatten_column, is_text
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_parsing import decode_values, show_value
from reasonrec_datasets.importing.time_checks import find_implausible_times, propose_readings
from reasonrec_datasets.importing.time_forms import guess_formats
from reasonrec_datasets.importing.time_parsing import TimeForm, parse_times, reads_as_time

TIME_WORDS = re.compile(r"date|time|stamp|when|year|month|day|(^|_)(at|on|ts|t|utc)$|_dt$|^dt", re.IGNORECASE)
SAMPLE = 200
SHOWN = 60
FEW_USERS = 200
ENOUGH = 2
IN_ORDER = "If the log has no times and lists the oldest rows first: --column timestamp="


def ask_for_time(table: pa.Table, user: str, path: Path) -> None:
    """Refuse a log without a time where a column that is not read looks like one: the order of the file is no answer.

    Args:
        table: the columns that are not read, and that of the users.
        user: the name of that of the users.
        path: of the file, for the message.

    Raises:
        DataError: names the column, shows a cell and says both answers.
    """
    rest = [name for name in table.column_names if name != user]
    if parts := _find_calendar(rest):
        fix = f"If they are the date: --column timestamp={'+'.join(parts)} --time-format '%Y %m %d'. {IN_ORDER}"
        what = f"no timestamp column was recognised, but {', '.join(map(repr, parts))} look like one"
        raise DataError(what, where=f"{path}:1" if path.suffix else str(path), fix=fix)
    for name in rest:
        column = table.column(name)
        if not _looks_like_time(name, decode_values(flatten_column(column.slice(0, SAMPLE)))):
            continue
        example = show_value(column.drop_null()[0])
        example = example if len(example) <= SHOWN else f"{example[:SHOWN]}..."
        shape, order = _say_form(column), _say_order(column, table.column(user))
        what = f"no timestamp column was recognised, but {name!r} looks like one (e.g. {example}){order}"
        fix = f"If it is the time: --column timestamp={name}{shape}. {IN_ORDER}"
        raise DataError(what, where=f"{path}:1" if path.suffix else str(path), fix=fix)


def _find_calendar(names: list[str]) -> list[str]:
    """The columns of year, month and day, where there are all three."""
    lower = {name.lower(): name for name in names}
    parts = [lower.get(part, "") for part in ("year", "month", "day")]
    return parts if all(parts) else []


def is_newest_first(users: npt.NDArray[np.integer[Any]], times: npt.NDArray[Any]) -> bool:
    """Whether every user's rows go from the newest to the oldest.

    Args:
        users: int[N], codes in order of first appearance.
        times: int64[N] or float64[N].
    """
    few = users < FEW_USERS  # most files are settled by a few users
    return _falls(users[few], times[few]) and _falls(users, times)


def _falls(users: npt.NDArray[np.integer[Any]], times: npt.NDArray[Any], enough: int = ENOUGH) -> bool:
    order = np.argsort(users, kind="stable")
    steps = np.diff(times[order])[np.diff(users[order]) == 0]
    return bool((steps <= 0).all() and (steps < 0).sum() >= enough)


def _looks_like_time(name: str, sample: pa.Array) -> bool:
    """Dates and times by their cells; numbers where all are plausible moments, small ones only by the name, too."""
    if reads_as_time(sample):
        return True
    numbers = pa.types.is_integer(sample.type) or pa.types.is_floating(sample.type) or is_text(sample.type)
    if not numbers:
        return False
    cells = sample.drop_null()
    try:
        times = parse_times(cells)
    except DataError:
        return False
    if not len(times):
        return False
    if not find_implausible_times(times).any():
        return True
    return TIME_WORDS.search(name) is not None and name.lower() != "year" and any(True for _ in propose_readings(cells))


def _find_form(cells: pa.Array) -> str | None:
    """The form that reads texts that are not read without one."""
    cells = cells.drop_null()
    if not is_text(cells.type):
        return None
    try:
        parse_times(cells)
    except DataError:
        return next(iter(guess_formats(cells.to_pylist())), None)
    return None


def _say_form(column: pa.ChunkedArray) -> str:
    cells = decode_values(flatten_column(column.slice(0, SAMPLE)))
    if form := _find_form(cells):
        return f" --time-format {form!r}"
    if reads_as_time(cells) or not find_implausible_times(parse_times(cells.drop_null())).any():
        return ""
    return "".join(f" {option}" for option, _ in list(propose_readings(cells))[:1])


def _say_order(column: pa.ChunkedArray, users: pa.ChunkedArray) -> str:
    """Whether each user's rows are newest first, as far as the column can be read."""
    values = decode_values(flatten_column(column))
    form = _find_form(values[:SAMPLE])
    try:
        times = parse_times(values, form=TimeForm(form))
    except DataError:
        return ""
    codes = flatten_column(users.cast(pa.string()).dictionary_encode()).indices.fill_null(-1).to_numpy()
    return "; the rows are newest first" if _falls(codes, times, enough=1) else ""


def reverse_if_newest_first(columns: Mapping[str, Any], times: npt.NDArray[Any], notes: list[str]) -> bool:
    """Whether rows of equal time are to be read from the end of the file, with a note for the user."""
    if not is_newest_first(columns["user_id"].indices.to_numpy(zero_copy_only=False), times):
        return False
    notes.append(
        "the file lists the newest rows first: interactions are sorted by time, and rows of equal time are reversed"
    )
    return True
