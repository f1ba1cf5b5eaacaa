"""How the labels of a field are read from a catalogue: settled once, so that items that come later are read alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from reasonrec_core.data.catalog import Catalog

BANDS = 8
_DATED = re.compile("date|time|day|released", re.I)
Row = tuple[str, ...]


@dataclass(frozen=True)
class FieldParsing:
    """How to read one field.

    Attributes:
        path: an item's labels form a path, of which the two deepest levels count; else they are a set.
        edges: bounds of the bands of a field of numbers, ascending; empty for a field of labels.
    """

    path: bool = False
    edges: tuple[float, ...] = ()

    def rows(self, catalog: Catalog, name: str) -> list[Row]:
        """Each item's labels."""
        if self.edges:
            return _bands(catalog, name, self.edges)
        rows = catalog.labels(name)
        if not self.path:
            return [tuple(dict.fromkeys(row)) for row in rows]
        return [(" > ".join(row[-2:]), row[-2]) if len(row) > 2 else row[-1:] for row in rows]


AS_SET = FieldParsing()


def choose_parsing(catalog: Catalog, name: str, *, numbers: bool) -> FieldParsing:
    """How a field is read: numbers in bands of about equally many items, labels as paths where they are paths."""
    if not numbers:
        return FieldParsing(path=_are_paths(catalog.labels(name)))
    values = _numbers(catalog, name)
    known = np.isfinite(values)
    if not known.any():
        return AS_SET
    return FieldParsing(edges=tuple(np.unique(np.quantile(values[known], np.linspace(0, 1, BANDS + 1))).tolist()))


def _are_paths(rows: Sequence[Row]) -> bool:
    """Whether each label stands always below the same one."""
    parents: dict[str, set[str]] = {}
    first: Counter[str] = Counter()
    for row in rows:
        first.update(row[:1])
        for parent, child in pairwise(row):
            parents.setdefault(child, set()).add(parent)
    path = bool(parents) and sum(len(p) == 1 for p in parents.values()) >= 0.8 * len(parents)
    return path and not any(label in parents and first[label] > 1 for label in first)


def name_bands(low: Sequence[float], high: Sequence[float], name: str) -> list[str]:
    """Bands of numbers as they are read: "17.40 to 19.56", "1,200 to 3,500", "1994-01-01 to 1996-07-01"."""
    whole = max(map(abs, high), default=0.0) >= 1000 or all(value == round(value) for value in (*low, *high))
    forms: list[Callable[[float], str]] = [_date] if _DATED.search(name) else []
    for text in [*forms, *(["{:,.0f}".format] if whole else []), "{:,.2f}".format, "{:g}".format]:
        try:
            words = [f"{text(a)} to {text(b)}" for a, b in zip(low, high, strict=False)]
        except (OverflowError, ValueError, OSError):
            continue
        if len(set(words)) == len(words):
            return words
    return [f"{a!r} to {b!r}" for a, b in zip(low, high, strict=False)]


def _date(seconds: float) -> str:
    """Seconds since 1970 as a date; other numbers are none."""
    if not 1e8 < seconds < 1e10:
        raise ValueError
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _numbers(catalog: Catalog, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if v is None else float(v) for v in catalog.column(name)])


def _bands(catalog: Catalog, name: str, edges: Sequence[float]) -> list[Row]:
    """Each number's band; what lies beyond the bands is in the outermost one."""
    numbers = _numbers(catalog, name)
    band = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    high = edges[1:] if len(edges) > 1 else edges
    words = name_bands(edges, list(high), name)
    return [(words[b],) if known else () for b, known in zip(band, np.isfinite(numbers), strict=True)]
