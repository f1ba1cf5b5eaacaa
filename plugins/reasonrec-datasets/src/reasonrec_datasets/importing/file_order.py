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
from reasonrec_datasets.importing.time_parsing import (
    TimeForm,
    find_implausible_times,
    guess_formats,
    parse_times,
    reads_as_time,
)

TIME_WORDS = re.compile(r"date|time|stamp|when|year|month|day|(^|_)(at|on|ts|t|utc)$|_dt$|^dt", re.IGNORECASE)
SAMPLE = 200
SHOWN = 60
FEW_USERS = 200
ENOUGH = 2


def ask_for_time(table: pa.Table, user: str, path: Path) -> None:
    """Refuse a log without a time where a column that is not read looks like one: the order of the file is no answer.

    Args:
        table: the columns that are not read, and that of the users.
        user: the name of that of the users.
        path: of the file, for the message.

    Raises:
        DataError: names the column, shows a cell and says both answers.
    """
    for name in (name for name in table.column_names if name != user):
        column = table.column(name)
        if not _looks_like_time(name, decode_values(flatten_column(column.slice(0, SAMPLE)))):
            continue
        example = show_value(column.drop_null()[0])
        example = example if len(example) <= SHOWN else f"{example[:SHOWN]}..."
        shape, order = _say_form(column), _say_order(column, table.column(user))
        what = f"no column is the timestamp, but {name!r} looks like one (e.g. {example}){order}"
        fix = (
            f"If it says when, read it: --column timestamp={name}{shape}. "
            "If the order of the rows, oldest first, is to stand for time: --column timestamp="
        )
        raise DataError(what, where=f"{path}:1" if path.suffix else str(path), fix=fix)


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
    """Dates and times by their cells; numbers only where the name says so too and the moments are plausible."""
    if reads_as_time(sample):
        return True
    numbers = pa.types.is_integer(sample.type) or pa.types.is_floating(sample.type) or is_text(sample.type)
    if not numbers or not TIME_WORDS.search(name):
        return False
    try:
        times = parse_times(sample.drop_null())
    except DataError:
        return False
    return len(times) > 0 and not find_implausible_times(times).any()


def _find_form(cells: pa.Array) -> str | None:
    formats = guess_formats(cells.drop_null().to_pylist()) if is_text(cells.type) else []
    return formats[0] if formats else None


def _say_form(column: pa.ChunkedArray) -> str:
    form = _find_form(decode_values(flatten_column(column.slice(0, SAMPLE))))
    return f" --time-format {form!r}" if form else ""


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
    notes.append("the file is newest first: interactions are sorted by time, those of equal time from the file's end")
    return True
