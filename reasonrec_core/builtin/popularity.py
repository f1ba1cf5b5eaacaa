"""Delegate `popularity`: the most popular items, the same for everybody, less what each has already."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import Delegate, FitData, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError
from reasonrec_core.io import read_array, whole_file
from reasonrec_core.ranking import rank
from reasonrec_core.types import Float32, Int32, Interactions, Observation, QueryBatch, Ranking, Task


class PopularityConfig(Settings):
    """Settings of `Popularity`."""

    half_life: float | None = Field(
        default=None,
        gt=0,
        description="Half-life: an interaction this much older than the newest one counts half. In the unit "
        "of the log's times (seconds if the log has times). Empty: all count the same.",
    )


class Popularity(Delegate[PopularityConfig]):
    """Ranks every user's items by how often they occur in training.

    Needs neither a known user nor a history. Items without interactions come last, all with score 0; so do
    items that came after the fit.
    """

    Config = PopularityConfig
    _counts: Float32
    _order: Int32

    def fit(self, data: FitData) -> None:
        """Count."""
        if not len(data.train):
            raise DataError("there are no training interactions to count", where="popularity")
        self._remember(data.train.count_items(len(data.catalog), self.config.half_life))

    @property
    def updates(self) -> bool:
        """Whether `update` can be exact: counts that are halved with age would have to be counted anew."""
        return self.config.half_life is None

    def update(self, rows: Interactions) -> None:
        """Count more rows: exactly what a fit on all of them gives (up to 2^24 of an item, as float32 counts)."""
        self._remember(self._counts + rows.count_items(len(self._counts)))

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: the (decayed) count of each item."""
        if batch.candidates is not None:
            return np.where(batch.candidates < 0, np.float32(-np.inf), self._counts[np.maximum(batch.candidates, 0)])
        return np.tile(self._counts, (len(batch), 1))

    def recommend(self, batch: QueryBatch, observation: Observation) -> Ranking:
        """The first ``k`` of the one order that are not in each history: no scores of the whole catalogue needed."""
        if batch.candidates is not None or batch.task is not Task.SEQUENTIAL:
            return rank(self.score(batch, observation), batch)
        longest = int(batch.history.lengths.max(initial=0))
        head = self._order[: batch.k + longest]
        place = np.full(len(self._order), len(head), dtype=np.int64)
        place[head] = np.arange(len(head))
        seen = np.zeros((len(batch), len(head) + 1), dtype=np.bool_)
        seen[batch.history.rows, place[batch.history.items]] = True
        columns = np.argsort(seen[:, :-1], axis=1, kind="stable")[:, : batch.k]
        masked = np.take_along_axis(seen, columns, axis=1)
        items = head[columns]
        scores = np.where(masked, np.float32(-np.inf), self._counts[items])
        return Ranking(np.where(masked, np.int32(-1), items).astype(np.int32), scores)

    def save(self, folder: Path) -> None:
        """Write the counts."""
        super().save(folder)
        with whole_file(folder / "counts.npy") as aside, aside.open("wb") as stream:
            np.save(stream, self._counts, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the counts."""
        self = super().load(folder, catalog)
        self._remember(grown(read_array(folder / "counts.npy"), len(catalog)))
        return self

    def _remember(self, counts: Float32) -> None:
        self._counts = counts
        self._order = np.argsort(-counts, kind="stable").astype(np.int32)
