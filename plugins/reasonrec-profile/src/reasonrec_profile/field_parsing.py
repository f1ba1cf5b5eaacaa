"""How the labels of a field are read from a catalogue: settled once, so that items that come later are read alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reasonrec_core.data.catalog import Catalog

BANDS = 8
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


def _numbers(catalog: Catalog, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if v is None else float(v) for v in catalog.column(name)])


def _bands(catalog: Catalog, name: str, edges: Sequence[float]) -> list[Row]:
    """Each number's band; what lies beyond the bands is in the outermost one."""
    numbers = _numbers(catalog, name)
    band = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    high = edges[1:] if len(edges) > 1 else edges
    words = [f"{a:g} to {b:g}" for a, b in zip(edges, high, strict=False)]
    return [(words[b],) if known else () for b, known in zip(band, np.isfinite(numbers), strict=True)]
