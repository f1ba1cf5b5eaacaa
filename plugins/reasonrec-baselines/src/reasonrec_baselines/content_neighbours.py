"""Delegate `content-knn`: what reads or looks most like the history. Needs no log but the request's."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field

from reasonrec_baselines.logs import place_popularity_below, share_of_most_popular
from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates, share_contributions
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.types import Float32, Int32, Observation, QueryBatch

CHUNK = 512
"""History entries whose similarities to all items exist at the same time."""


class ContentKNNConfig(Settings):
    """Settings of `ContentKNN`."""

    modalities: tuple[str, ...] | None = Field(
        None, description="Item features to compare; empty: all that the pipeline observes, all counting equally."
    )
    power: float = Field(6.0, gt=0, description="Power of the cosine: the larger, the more the nearest items count.")
    history_decay: float = Field(
        0.7, gt=0, le=1, description="Factor by which a history item's weight falls with each step of age."
    )
    max_history: int = Field(50, ge=1, description="How many of the newest history items are used.")


class ContentKNN(Delegate[ContentKNNConfig]):
    """``sum over the history of decay ** age * sum over modalities of max(cosine, 0) ** power``.

    Features are centred on the mean of the fit. Items that came after the fit are compared like all others.
    """

    Config = ContentKNNConfig
    _modalities: tuple[str, ...]
    _means: dict[str, Float32]
    _popularity: Float32
    _table: tuple[object, Float32] | None = None

    def fit(self, data: FitData) -> None:
        """Find the means.

        Raises:
            ConfigError: nothing is observed of the items, or not what the settings name.
        """
        seen, wanted = data.observation, self.config.modalities
        self._modalities = tuple(sorted(seen.features)) if wanted is None else wanted
        missing = [name for name in self._modalities if name not in seen.features]
        if missing or not self._modalities:
            what = f"there are no item features called {missing[0]!r}" if missing else "no item features are observed"
            raise ConfigError(what, where="content-knn", fix="Observe text or images: [observe.text].")
        self._means = {}
        for name in self._modalities:
            rows = np.asarray(seen.features[name][np.asarray(seen.present[name])], np.float32)
            self._means[name] = rows.mean(0) if len(rows) else np.zeros(seen.features[name].shape[1], np.float32)
        self._popularity = share_of_most_popular(data.train.count_items(len(data.catalog)))
        self._table = None

    def _read(self, observation: Observation) -> Float32:
        """float32[modalities, n, w]: unit vectors, 0 where an item has none; kept while the same items are seen."""
        key = tuple(np.packbits(observation.present[name]).tobytes() for name in self._modalities)
        known = self._table
        if known is None or known[0] != key:
            width = max(len(mean) for mean in self._means.values())
            table = np.zeros((len(self._modalities), len(self._popularity), width), np.float32)
            for m, (name, mean) in enumerate(self._means.items()):
                present = np.asarray(observation.present[name])
                rows = np.asarray(observation.features[name][present], np.float32) - mean
                table[m, present, : len(mean)] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
            known = self._table = (key, table)
        return known[1]

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]."""
        table, history, config = self._read(observation), batch.history, self.config
        ages = history.ages
        entries = np.flatnonzero(ages < config.max_history)
        weights = np.power(np.float32(config.history_decay), ages[entries].astype(np.float32))
        rows, scores = history.rows[entries], np.zeros((len(batch), table.shape[1]), np.float32)
        for start in range(0, len(entries), CHUNK):
            part = slice(start, start + CHUNK)
            for vectors in table:
                near = np.maximum(vectors[history.items[entries[part]]] @ vectors.T, 0)
                near **= np.float32(config.power)
                near *= weights[part, None]
                first = np.flatnonzero(np.diff(rows[part], prepend=-1))
                scores[rows[part][first]] += np.add.reduceat(near, first, axis=0)
        return pick_candidates(place_popularity_below(scores, self._popularity), batch)

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[L, K]: the terms of the sum."""
        history, config = batch.history, self.config
        ages, targets = history.ages, items[history.rows]
        found = np.zeros(targets.shape, np.float32)
        for vectors in self._read(observation):
            near = np.einsum("ld,lkd->lk", vectors[history.items], vectors[np.maximum(targets, 0)])
            found += np.maximum(near, 0) ** np.float32(config.power)
        found *= np.where(ages < config.max_history, np.float32(config.history_decay) ** ages, 0)[:, None]
        return share_contributions(np.where(targets < 0, 0, found), np.zeros(items.shape, np.float32), history)

    def save(self, folder: Path) -> None:
        """Write the means."""
        super().save(folder)
        write_json(folder / "modalities.json", list(self._modalities))
        write_arrays(
            folder / "means.npz", {"popularity": self._popularity, **{f"mean-{n}": v for n, v in self._means.items()}}
        )

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read them."""
        self = super().load(folder, catalog)
        self._modalities, arrays = tuple(read_json(folder / "modalities.json")), read_arrays(folder / "means.npz")
        self._means = {name: arrays[f"mean-{name}"] for name in self._modalities}
        self._popularity = grown(arrays["popularity"], len(catalog))
        return self
