"""What the items are, as numbers: year, labels, numeric fields, compressed vectors of each modality."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation

YEAR = re.compile(r"\((1[89]\d\d|20\d\d)\)\s*$")
NOT_LABELS = frozenset({"title", "description", "text", "asin", "url"})
MIN_ITEMS, MAX_LABELS = 3, 400
WITHOUT = ("sales_rank",)
WITHOUT_HELP = "Item fields not to look at. A sales rank is mostly read after the log ended and tells the future."


@dataclass(frozen=True)
class ItemContent:
    """Fixed knowledge about items.

    Attributes:
        year: float32[n_items], from the end of the title or a field ``year``; NaN where unknown.
        labels: float32[n_items, G] membership in the commoner labels of the label fields.
        numbers: float32[n_items] per numeric field.
        vectors: per modality float32[n_items, d] centred, compressed, length 1; 0 for missing items.
    """

    year: Float32
    labels: Float32
    numbers: Mapping[str, Float32]
    vectors: Mapping[str, Float32]

    @classmethod
    def of(
        cls, catalog: Catalog, observation: Observation, dimensions: int, without: Collection[str] = WITHOUT
    ) -> ItemContent:
        """Read the fields of ``catalog`` except those in ``without``; compress the features of ``observation``."""
        vectors = {name: _compressed(np.asarray(values), dimensions) for name, values in observation.features.items()}
        fields = [name for name in catalog.fields if name not in without]
        return cls(_years(catalog), _labels(catalog, fields), _numbers(catalog, fields), vectors)

    def design(self) -> npt.NDArray[np.float64]:
        """float64[n_items, D]: columns of a linear model of item quality: one, period, labels, vectors."""
        known = np.isfinite(self.year)
        period = np.clip((np.where(known, self.year, 1900) - 1900) // 8, 0, 15).astype(int)
        periods = np.where(known[:, None], np.eye(16)[period], 0.0)
        scaled = [v * np.sqrt(v.shape[1]) for v in self.vectors.values()]
        return np.concatenate([np.ones((len(self.year), 1)), periods, self.labels, *scaled], axis=1).astype(np.float64)

    @cached_property
    def shares(self) -> sparse.csr_matrix:
        """float32 CSR[n_items, G]: ``labels`` with each row scaled to length 1."""
        scale = np.sqrt(np.maximum(self.labels.sum(axis=1, keepdims=True), 1))
        return sparse.csr_matrix(self.labels / scale)

    def arrays(self) -> dict[str, Float32]:
        """For saving."""
        named = {f"vectors.{k}": v for k, v in self.vectors.items()} | {
            f"numbers.{k}": v for k, v in self.numbers.items()
        }
        return {"year": self.year, "labels": self.labels, **named}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Float32]) -> ItemContent:
        """What `arrays` gave."""
        vectors, numbers = (
            {name.split(".", 1)[1]: a for name, a in arrays.items() if name.startswith(f"{group}.")}
            for group in ("vectors", "numbers")
        )
        return cls(arrays["year"], arrays["labels"], numbers, vectors)


def _years(catalog: Catalog) -> Float32:
    found = [YEAR.search(title) for title in catalog.titles]
    years = np.array([float(m.group(1)) if m else np.nan for m in found], dtype=np.float32)
    if "year" in catalog.fields:
        given = [_number(v) for v in catalog.column("year")]
        years = np.where(np.isfinite(years), years, np.array(given, dtype=np.float32))
    return years


def _number(text: str | None) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError:
        return np.nan


def _labels(catalog: Catalog, fields: Sequence[str]) -> Float32:
    columns: list[Float32] = []
    for field in catalog.text_fields:
        if field in NOT_LABELS or field not in fields:
            continue
        rows = catalog.labels(field)
        common = Counter(label for row in rows for label in set(row))
        kept = [label for label, n in common.most_common(MAX_LABELS) if MIN_ITEMS <= n < len(rows)]
        index = {label: column for column, label in enumerate(kept)}
        member = np.zeros((len(rows), len(kept)), dtype=np.float32)
        for item, row in enumerate(rows):
            member[item, [index[label] for label in set(row) if label in index]] = 1.0
        columns.append(member)
    return np.concatenate(columns, axis=1) if columns else np.zeros((len(catalog), 0), dtype=np.float32)


def _numbers(catalog: Catalog, fields: Sequence[str]) -> dict[str, Float32]:
    schema, found = catalog.table.schema, {}
    for field in fields:
        kind = schema.field(field).type
        if field != "year" and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            values = catalog.table.column(field).to_pylist()
            found[field] = np.array([np.nan if v is None else v for v in values], dtype=np.float32)
    return found


def _compressed(values: Float32, dimensions: int) -> Float32:
    """Principal components of the present rows, each row scaled to length 1."""
    present = np.isfinite(values).all(axis=1)
    out = np.zeros((len(values), min(dimensions, values.shape[1])), dtype=np.float32)
    if not present.any():
        return out
    centred = values[present] - values[present].mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(centred, rowvar=False).reshape(values.shape[1], -1))
    projected = centred @ axes[:, ::-1][:, : out.shape[1]]
    out[present] = projected / np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-9)
    return out
