"""Columns of times as people write them, turned into seconds since 1970; the first bad cell is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, is_text
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import Float64, Int64
from reasonrec_datasets.importing.column_parsing import (
    CAST_FAILURES,
    CORRECT,
    Place,
    cast_column,
    decode_values,
    find_cast_failure,
    make_cell_error,
    parse_numbers,
    refuse_missing,
)
from reasonrec_datasets.importing.time_forms import SAMPLE, guess_formats, read_by_format

SECONDS_LIMIT = 10**11
"""As seconds this is the year 5138, as milliseconds it is 1973: larger times are in a finer unit."""
EARLIEST_CLOCK = 10**8
"""As seconds 1973; smaller numbers beside millisecond times are positions or mistakes, not seconds."""
NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
LAST = 2**62
FINER_UNITS = ((10**17, 10**9), (10**14, 10**6), (SECONDS_LIMIT, 10**3))
"""From which number on, and how many of the unit make a second."""
UNIT_WORDS = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}
MOSTLY = 0.5
DATE_LIKE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})\b"
TICKS: Mapping[str, float] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9, "days": 1 / 86400, "excel": 1 / 86400}
"""By ``--time-unit``: how many of the unit make a second."""
EXCEL_EPOCH = 25569
"""Days from the start of a spreadsheet's calendar (1899-12-30) to 1970."""
COMPACT: Mapping[int, str] = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""By number of digits: dates written without anything between, such as 20240131. As seconds, 8 digits are 1970."""
COMPACT_YEARS = (1900, 2100)
ISO_REPAIRS = (
    (r"(Z|[-+]\d\d:?\d\d)\[[\w/+-]+\]$", r"\1"),
    (r"\s*(?i:UTC|GMT)$", "Z"),
    (r"\s+(Z|[-+]\d\d(:?\d\d)?)$", r"\1"),
    (r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})", r"\1-\2-\3"),
    (r"^(\d{4})-(\d)-", r"\1-0\2-"),
    (r"^(\d{4}-\d\d)-(\d)(\D|$)", r"\1-0\2\3"),
    (r"^(\d{4})(\d\d)(\d\d)[T ]?(\d\d):?(\d\d)", r"\1-\2-\3 \4:\5"),
    (r"^(\d{4}-\d\d-\d\d \d\d:\d\d)(\d\d)", r"\1:\2"),
    (r"[tT ]+(\d\d?):", r" \1:"),
    (r" (\d):", r" 0\1:"),
    (r"(:\d\d)[.,](\d{1,6})\d*", r"\1.\2"),
    (r"^(\d{4}-\d\d-\d\d)(Z|[-+]\d\d(:?\d\d)?)$", r"\1 00:00:00\2"),
)
"""What people write for ISO 8601, and what Arrow reads of it."""
ZONE = r":\d\d(\.\d+)?(Z|[-+]\d\d(:?\d\d)?)$"


@dataclass(frozen=True)
class TimeForm:
    """How a log's times are written, where that is said.

    Attributes:
        format: as for Python's ``strptime`` (``%m/%d/%Y``); None: numbers, ISO 8601 and compact dates.
        unit: of numbers, one of `TICKS`; None: told by size.
    """

    format: str | None = None
    unit: str | None = None


def parse_times(
    column: pa.ChunkedArray | pa.Array,
    name: str = "timestamp",
    place: Place | None = None,
    form: TimeForm = TimeForm(),
    notes: list[str] | None = None,
) -> Int64 | Float64:
    """Times in seconds since 1970; int64[N], or float64[N] where the source is finer than a second.

    Reads whole or fractional numbers in seconds, milliseconds, microseconds or nanoseconds (told apart by size),
    compact dates (20240131, with hours and minutes too), ISO 8601 dates and date-times with any zone or none (which
    means UTC), also with slashes, and Arrow's date and timestamp types. ``form`` says what cannot be told; ``notes``
    gets a sentence where the size of numbers told it.

    Raises:
        DataError: a missing or unreadable time, with its place, or a mixture of units.
    """
    values = decode_values(flatten_column(column))
    if form.format is not None:
        return _scale(_parse_formatted(values, form.format, name, place), 10**6)
    if pa.types.is_temporal(values.type):
        return _parse_temporal(values, name, place)
    if is_text(values.type) and not _like_number(values):
        return _scale(_parse_iso(values, name, place), 10**6)
    if not pa.types.is_integer(values.type):
        try:
            values = pc.utf8_trim_whitespace(values).cast(pa.int64())
        except CAST_FAILURES:
            wanted = "a number like the first time" if is_text(values.type) else "a time"
            values = pa.array(parse_numbers(cast_column(values, pa.float64(), name, wanted, place), name, place))
    if form.unit is not None:
        return _scale_by_unit(values, form.unit, name, place)
    notes = [] if notes is None else notes
    if (dates := _parse_compact(values, name, place)) is not None:
        notes.append(f"{name}: numbers like {values[0].as_py()} are read as dates")
        return dates
    top = pc.max(values).as_py()
    least, unit = next((pair for pair in FINER_UNITS if top is not None and top >= pair[0]), (0, 1))
    if unit > 1:
        _refuse_mixed_units(values, least, unit, name, place)
        notes.append(f"{name}: numbers are read as {UNIT_WORDS[unit]} since 1970, judging by their size")
    return _scale(values, unit, name, place)


def reads_as_time(values: pa.Array) -> bool:
    """Whether cells (a sample of a column) are dates: of Arrow's types, or text in a form that is known, mostly."""
    values = decode_values(values).drop_null()
    if not len(values) or pa.types.is_temporal(values.type):
        return len(values) > 0 and not (pa.types.is_duration(values.type) or pa.types.is_time(values.type))
    if not is_text(values.type) or _like_number(values):
        return False
    try:
        _parse_iso(values, "", None)
    except DataError:
        dates = pc.sum(pc.match_substring_regex(values, DATE_LIKE).cast(pa.int64())).as_py()
        return bool(guess_formats(values.to_pylist())) or dates >= MOSTLY * len(values)
    return True


def _parse_temporal(values: pa.Array, name: str, place: Place | None) -> Int64 | Float64:
    """Arrow's own types; nanoseconds are read as they are, since casting them to a coarser unit may lose digits."""
    if pa.types.is_timestamp(values.type):
        refuse_missing(values, name, place)
        return _scale(values.cast(pa.int64()), int(TICKS[values.type.unit]), name, place)
    return _scale(cast_column(values, pa.timestamp("us"), name, "a time", place).cast(pa.int64()), 10**6, name, place)


def _like_number(values: pa.Array) -> bool:
    """Whether the first value is a number; trying all of a long column is slow where it fails."""
    return bool(pc.all(pc.match_substring_regex(values.drop_null()[:1], NUMBER)).as_py())


def _parse_iso(values: pa.Array, name: str, place: Place | None) -> pa.Array:
    """ISO 8601 texts, and what people write for it, as microseconds; a time without a zone is in UTC."""
    refuse_missing(values, name, place)
    values = pc.utf8_trim_whitespace(values.cast(pa.string()))
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return values.cast(kind).cast(pa.int64())
        except CAST_FAILURES:
            continue
    mended = values
    for pattern, better in ISO_REPAIRS:
        mended = pc.replace_substring_regex(mended, pattern, better)
    zoned = pc.match_substring_regex(mended, ZONE)
    mended = pc.if_else(zoned, mended, pc.binary_join_element_wise(_complete(mended), "Z", ""))
    try:
        return mended.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    except CAST_FAILURES as error:
        row = find_cast_failure(mended, pa.timestamp("us", "UTC"))
        what = f"{name} {values[row].as_py()!r} is not a time (ISO 8601 or a number)"
        raise make_cell_error(what, place, row, name, fix=_suggest(values)) from error


def _complete(dates: pa.Array) -> pa.Array:
    """Dates with a time of day, so that a zone may follow."""
    plain = pc.match_substring_regex(dates, r"^\d{4}-\d\d-\d\d$")
    return pc.if_else(plain, pc.binary_join_element_wise(dates, "00:00:00", " "), dates)


def _suggest(values: pa.Array) -> str:
    """How to say in which form the cells are."""
    formats = guess_formats(values[:SAMPLE].to_pylist())
    if not formats:
        words = "For another format use --time-format '%d.%m.%Y'. If the column is not a time, use --column timestamp="
        return f"{CORRECT} {words}"
    return "Give the time format: " + " or ".join(f"--time-format {form!r}" for form in formats[:3]) + "."


def _parse_formatted(values: pa.Array, form: str, name: str, place: Place | None) -> pa.Array:
    """Microseconds of texts in the form of `datetime.strptime`; a time without a zone is in UTC."""
    if "%" not in form:
        fix = "Write it as for Python's strptime: --time-format '%m/%d/%Y'."
        raise ConfigError(f"{form!r} is not a time format", where="--time-format", fix=fix)
    refuse_missing(values, name, place)
    codes = pc.dictionary_encode(pc.utf8_trim_whitespace(values.cast(pa.string())))
    moments = [read_by_format(cell, form) for cell in codes.dictionary.to_pylist()]
    if None in moments:
        code = moments.index(None)
        row = pc.index(codes.indices, pa.scalar(code, codes.indices.type)).as_py()
        shown = codes.dictionary[code].as_py()  # a day beyond any calendar is no value of Python's
        formats = guess_formats([shown])
        fix = f"It matches --time-format {formats[0]!r}." if formats else CORRECT
        raise make_cell_error(f"{name} {shown!r} does not match {form!r}", place, row, name, fix=fix)
    return pa.array(moments, pa.int64()).take(codes.indices)


def _parse_compact(values: pa.Array, name: str, place: Place | None) -> Int64 | None:
    """Seconds of dates without separators, where the numbers are such.

    Raises:
        DataError: most of them are, and one is not.
    """
    if not pa.types.is_integer(values.type) or values.null_count or not len(values):
        return None
    low, high = (int(value) for value in pc.min_max(values).as_py().values())
    form = COMPACT.get(len(str(low)))
    if form is None or len(str(high)) != len(str(low)) or low < 0:
        return None
    first, last = (int(str(bound)[:4]) for bound in (low, high))
    if not COMPACT_YEARS[0] <= first <= last <= COMPACT_YEARS[1]:
        return None
    codes = pc.dictionary_encode(values)
    days = [read_by_format(str(number), form) for number in codes.dictionary.to_pylist()]
    if None in days:
        if days.count(None) > MOSTLY * len(days):
            return None
        code = days.index(None)
        row = pc.index(codes.indices, pa.scalar(code, codes.indices.type)).as_py()
        fix = f"{CORRECT} If the numbers are not dates: --time-unit s"
        raise make_cell_error(
            f"{name} {codes.dictionary[code]} is not a date, although most others are", place, row, name, fix=fix
        )
    seconds: Int64 = pa.array(days, pa.int64()).take(codes.indices).to_numpy(zero_copy_only=False) // 10**6
    return seconds


def _scale_by_unit(values: pa.Array, unit: str, name: str, place: Place | None) -> Int64 | Float64:
    """Numbers whose unit is said."""
    if unit not in ("days", "excel"):
        return _scale(values, int(TICKS[unit]), name, place)
    refuse_missing(values, name, place)
    days = values.to_numpy(zero_copy_only=False).astype(np.float64) - (EXCEL_EPOCH if unit == "excel" else 0)
    return _scale(pa.array(np.round(days * 86400 * 1000)), 1000, name, place)


def _scale(values: pa.Array, unit: int, name: str = "timestamp", place: Place | None = None) -> Int64 | Float64:
    refuse_missing(values, name, place)
    raw = values.to_numpy(zero_copy_only=False)
    if len(raw) and not -LAST < raw.min() <= raw.max() < LAST:
        far = np.flatnonzero(~((raw > -LAST) & (raw < LAST)))
        what = f"{name} {raw[far[0]]} is out of range"
        raise make_cell_error(what, place, int(far[0]), name, fix="Use seconds since 1970.")
    if raw.dtype.kind == "f" and not (raw == np.floor(raw)).all():
        return np.asarray(raw / unit, dtype=np.float64)
    whole: Int64 = raw.astype(np.int64, copy=False)
    if unit == 1:
        return whole
    if not (whole % unit).any():
        return np.asarray(whole // unit, dtype=np.int64)
    return np.asarray(whole / unit, dtype=np.float64)


def _refuse_mixed_units(values: pa.Array, least: int, unit: int, name: str, place: Place | None) -> None:
    """Refuse numbers that are times in a coarser unit by their size, among those that are in ``unit``."""
    raw = values.drop_null().to_numpy(zero_copy_only=False)
    odd = np.flatnonzero((raw >= EARLIEST_CLOCK) & (raw < least))
    if len(odd):
        coarse = next((ticks for limit, ticks in FINER_UNITS if raw[odd[0]] >= limit), 1)
        what = f"{name} {raw[odd[0]]} looks like {UNIT_WORDS[coarse]}, but others look like {UNIT_WORDS[unit]}"
        fix = "Use the same unit throughout, or name it: --time-unit ms."
        raise make_cell_error(what, place, int(odd[0]), name, fix=fix)
