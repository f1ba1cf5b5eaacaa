"""How people write dates and times, beside ISO 8601: which of the forms in use reads some cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

KNOWN_FORMATS = (
    "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%Y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y",
    "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%d-%b-%Y", "%a %b %d %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y", "%m %d, %Y", "%a, %d %b %Y %H:%M:%S GMT", "%d-%b-%y",
    "%b %d %Y", "%B %d %Y", "%y-%m-%d", "%Y-%d-%m", "%Y/%d/%m", "%Y-%m", "%Y-%j", "%G-W%V-%u",
    "%Y-%m-%d %H",
)  # fmt: skip
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
SAMPLE = 200


def guess_formats(cells: Sequence[str]) -> list[str]:
    """The formats in use that read all ``cells``; empty where none does or there are no cells."""
    cells = [cell.strip() for cell in cells[:SAMPLE]]
    every = [form + clock for form in KNOWN_FORMATS for clock in (CLOCKS if "%H" not in form else ("",))]
    return [form for form in every if cells and all(read_by_format(cell, form) is not None for cell in cells)]


def read_by_format(cell: str, form: str) -> int | None:
    """Microseconds since 1970."""
    try:
        moment = datetime.strptime(cell, form)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return (delta.days * 86400 + delta.seconds) * 10**6 + delta.microseconds
