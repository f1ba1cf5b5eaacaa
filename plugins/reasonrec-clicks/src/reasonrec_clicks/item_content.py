"""What the items are, as numbers: year, labels, numeric fields, compressed vectors of each modality.

How they are read is settled on the items of the fit, so that items that come later are read alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation

YEAR = re.compile(r"\((1[89]\d\d|20\d\d)\)\s*$")
NOT_LABELS = frozenset({"title", "description", "text", "asin", "url"})
MIN_ITEMS, MAX_LABELS = 3, 400
Axes = tuple[Float32, Float32]


@dataclass(frozen=True)
class ContentParsing:
    """What to read.

    Attributes:
        labels: the labels that are kept, per label field, in the order of their columns.
        numbers: the numeric fields.
        axes: per modality the mean item float32[D] and the principal axes float32[D, d].
    """

    labels: Mapping[str, tuple[str, ...]]
    numbers: tuple[str, ...]
    axes: Mapping[str, Axes]

    @classmethod
    def of(
        cls, catalog: Catalog, observation: Observation, dimensions: int, without: Collection[str]
    ) -> ContentParsing:
        """Look at the items of the fit, at all fields but those in ``without``."""
        fields = [name for name in catalog.fields if name not in without]
        text = [f for f in catalog.text_fields if f not in NOT_LABELS and f in fields]
        kinds = {f: catalog.table.schema.field(f).type for f in fields if f != "year"}
        numbers = tuple(f for f, kind in kinds.items() if pa.types.is_floating(kind) or pa.types.is_integer(kind))
        axes = {name: _axes(np.asarray(values), dimensions) for name, values in observation.features.items()}
        return cls({f: _common(catalog, f) for f in text}, numbers, axes)

    def read_years(self, catalog: Catalog) -> Float32:
        """float32[n_items], NaN where unknown."""
        found = [YEAR.search(title) for title in catalog.titles]
        years = np.array([float(m.group(1)) if m else np.nan for m in found], dtype=np.float32)
        if "year" in catalog.fields:
            given = [_number(v) for v in catalog.column("year")]
            years = np.where(np.isfinite(years), years, np.array(given, dtype=np.float32))
        return years

    def read_labels(self, catalog: Catalog) -> Float32:
        """float32[n_items, G]: 1 where the item carries the label."""
        columns: list[Float32] = []
        for field, kept in self.labels.items():
            rows, index = catalog.labels(field), {label: column for column, label in enumerate(kept)}
            member = np.zeros((len(rows), len(kept)), dtype=np.float32)
            for item, row in enumerate(rows):
                member[item, [index[label] for label in set(row) if label in index]] = 1.0
            columns.append(member)
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(catalog), 0), dtype=np.float32)

    def read_numbers(self, catalog: Catalog) -> dict[str, Float32]:
        """float32[n_items] per numeric field, NaN where missing."""
        columns = {field: catalog.table.column(field).to_pylist() for field in self.numbers}
        return {
            field: np.array([np.nan if v is None else v for v in values], dtype=np.float32)
            for field, values in columns.items()
        }

    def compress(self, modality: str, values: Float32) -> Float32:
        """float32[n, d]: principal components of the rows that are there, each row scaled to length 1; 0 elsewhere."""
        mean, axes = self.axes[modality]
        present = np.isfinite(values).all(axis=1)
        out = np.zeros((len(values), axes.shape[1]), dtype=np.float32)
        projected = (np.asarray(values)[present] - mean) @ axes
        out[present] = projected / np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-9)
        return out

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For saving."""
        found: dict[str, npt.NDArray[Any]] = {
            f"kept.{field}": np.array(kept, dtype=np.str_) for field, kept in self.labels.items()
        }
        for name, (mean, axes) in self.axes.items():
            found |= {f"mean.{name}": mean, f"axes.{name}": axes}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], numbers: tuple[str, ...]) -> ContentParsing:
        """What `arrays` gave."""
        labels, axes = (
            {name.split(".", 1)[1]: a for name, a in arrays.items() if name.startswith(f"{group}.")}
            for group in ("kept", "axes")
        )
        return cls(
            {field: tuple(kept.tolist()) for field, kept in labels.items()},
            numbers,
            {name: (arrays[f"mean.{name}"], a) for name, a in axes.items()},
        )


def _number(text: str | None) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError:
        return np.nan


def _common(catalog: Catalog, field: str) -> tuple[str, ...]:
    """The commoner labels of a field."""
    rows = catalog.labels(field)
    common = Counter(label for row in rows for label in sorted(set(row)))
    return tuple(label for label, n in common.most_common(MAX_LABELS) if MIN_ITEMS <= n < len(rows))


def _axes(values: Float32, dimensions: int) -> Axes:
    """The mean of the rows that are there, and their leading principal axes."""
    present, size = np.isfinite(values).all(axis=1), min(dimensions, values.shape[1])
    if not present.any():
        return np.zeros(values.shape[1], np.float32), np.zeros((values.shape[1], size), np.float32)
    mean = values[present].mean(axis=0)
    centred = values[present] - mean
    _, axes = np.linalg.eigh(np.cov(centred, rowvar=False).reshape(values.shape[1], -1))
    return mean, axes[:, ::-1][:, :size]


WITHOUT = ("sales_rank",)
WITHOUT_HELP = (
    "Item fields to ignore. A sales rank, for example, is usually recorded after the log ended and reveals the future."
)


@dataclass(frozen=True)
class ItemContent:
    """Fixed knowledge about items.

    Attributes:
        year: float32[n_items], from the end of the title or a field ``year``; NaN where unknown.
        labels: float32[n_items, G] membership in the commoner labels of the label fields.
        numbers: float32[n_items] per numeric field.
        vectors: per modality float32[n_items, d] centred, compressed, length 1; 0 for missing items.
        usual: float32[G] share of each label among the items of the fit.
        recipe: how all this was read from a catalogue and from features.
    """

    year: Float32
    labels: Float32
    numbers: Mapping[str, Float32]
    vectors: Mapping[str, Float32]
    usual: Float32
    recipe: ContentParsing

    @classmethod
    def of(
        cls, catalog: Catalog, observation: Observation, dimensions: int, without: Collection[str] = WITHOUT
    ) -> ItemContent:
        """Read the fields of ``catalog`` except those in ``without``; compress the features of ``observation``."""
        recipe = ContentParsing.of(catalog, observation, dimensions, without)
        labels = recipe.read_labels(catalog)
        return cls(
            recipe.read_years(catalog),
            labels,
            recipe.read_numbers(catalog),
            {name: recipe.compress(name, values) for name, values in observation.features.items()},
            labels.mean(axis=0),
            recipe,
        )

    def grow(self, catalog: Catalog, observation: Observation | None) -> ItemContent:
        """For a catalogue that has grown: new items read as those of the fit were, their vectors where observed."""
        first, more = len(self.year), len(catalog) - len(self.year)
        new, seen = catalog.slice(first), observation.features if observation else {}
        numbers = self.recipe.read_numbers(new)
        vectors = {
            name: self.recipe.compress(name, np.asarray(seen[name][first:]))
            if name in seen
            else np.zeros((more, old.shape[1]), np.float32)
            for name, old in self.vectors.items()
        }
        return replace(
            self,
            year=np.concatenate([self.year, self.recipe.read_years(new)]),
            labels=np.concatenate([self.labels, self.recipe.read_labels(new)]),
            numbers={name: np.concatenate([old, numbers[name]]) for name, old in self.numbers.items()},
            vectors={name: np.concatenate([old, vectors[name]]) for name, old in self.vectors.items()},
        )

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

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For saving."""
        named = {f"vectors.{k}": v for k, v in self.vectors.items()} | {
            f"numbers.{k}": v for k, v in self.numbers.items()
        }
        return {"year": self.year, "labels": self.labels, "usual": self.usual, **named, **self.recipe.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ItemContent:
        """What `arrays` gave."""
        vectors, numbers = (
            {name.split(".", 1)[1]: a for name, a in arrays.items() if name.startswith(f"{group}.")}
            for group in ("vectors", "numbers")
        )
        recipe = ContentParsing.from_arrays(arrays, tuple(numbers))
        return cls(arrays["year"], arrays["labels"], numbers, vectors, arrays["usual"], recipe)


class GrowingContent:
    """The content of a catalogue that may have grown since the fit; features of new items are seen when asked.

    Args:
        content: of the items of the fit.
        catalog: all items, those of the fit first.
    """

    def __init__(self, content: ItemContent, catalog: Catalog) -> None:
        self.fitted, self._catalog = content, catalog
        self._seen: tuple[frozenset[str], ItemContent] | None = None

    def observe(self, observation: Observation) -> ItemContent:
        """The content of all items; the same object as long as the same modalities are observed."""
        if len(self._catalog) == len(self.fitted.year):
            return self.fitted
        names, seen = frozenset(observation.features), self._seen
        if seen is None or seen[0] != names:
            seen = self._seen = (names, self.fitted.grow(self._catalog, observation))
        return seen[1]
