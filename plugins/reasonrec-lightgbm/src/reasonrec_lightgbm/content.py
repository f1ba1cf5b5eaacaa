"""What the items are, as numbers: year, labels, numeric fields, compressed vectors of each modality."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation
from reasonrec_lightgbm.recipe import Recipe

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
        usual: float32[G] share of each label among the items of the fit.
        recipe: how all this was read from a catalogue and from features.
    """

    year: Float32
    labels: Float32
    numbers: Mapping[str, Float32]
    vectors: Mapping[str, Float32]
    usual: Float32
    recipe: Recipe

    @classmethod
    def of(
        cls, catalog: Catalog, observation: Observation, dimensions: int, without: Collection[str] = WITHOUT
    ) -> ItemContent:
        """Read the fields of ``catalog`` except those in ``without``; compress the features of ``observation``."""
        recipe = Recipe.of(catalog, observation, dimensions, without)
        labels = recipe.read_labels(catalog)
        return cls(
            recipe.read_years(catalog),
            labels,
            recipe.read_numbers(catalog),
            {name: recipe.compress(name, values) for name, values in observation.features.items()},
            labels.mean(axis=0),
            recipe,
        )

    def grown(self, catalog: Catalog, observation: Observation | None) -> ItemContent:
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
        recipe = Recipe.from_arrays(arrays, tuple(numbers))
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

    def seeing(self, observation: Observation) -> ItemContent:
        """The content of all items; the same object as long as the same modalities are observed."""
        if len(self._catalog) == len(self.fitted.year):
            return self.fitted
        names, seen = frozenset(observation.features), self._seen
        if seen is None or seen[0] != names:
            seen = self._seen = (names, self.fitted.grown(self._catalog, observation))
        return seen[1]
