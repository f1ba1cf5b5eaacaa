"""Text files without a header: a user, an item and a rating (and a time) per line, told from sequences."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

LINES = 1000
NUMBER = re.compile(r"-?\d+(\.\d+)?")
HIGHEST_RATING = 10
EARLIEST_TIME = 10**8


def looks_like_ratings(path: Path) -> bool:
    """Whether every line is ``user item rating`` or ``user item rating time``, by the first lines of the file.

    Ratings are numbers up to 10, times seconds after 1973. A file of sequences has lines of many lengths, and its
    items are not all so small.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            rows = [re.split(r"[,;\t ]+", line.strip()) for line in islice(stream, LINES) if line.strip()]
    except OSError:
        return False
    widths = {len(row) for row in rows}
    if len(rows) < 2 or len(widths) > 1 or not widths <= {3, 4}:
        return False
    if not all(NUMBER.fullmatch(row[2]) and 0 <= float(row[2]) <= HIGHEST_RATING for row in rows):
        return False
    if widths == {4}:
        return all(NUMBER.fullmatch(row[3]) and float(row[3]) >= EARLIEST_TIME for row in rows)
    return not all(NUMBER.fullmatch(row[1]) and float(row[1]) <= HIGHEST_RATING for row in rows)
