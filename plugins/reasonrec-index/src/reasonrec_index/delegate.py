"""Delegate `ann-index`: another delegate, whose recommendations an index finds instead of all products."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from reasonrec_core.components import Delegate, FitData, Kind, VectorDelegate
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError, RunError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.ranking import rank
from reasonrec_core.registry import Registry
from reasonrec_core.types import Float32, History, Int32, Int64, Observation, QueryBatch, Ranking, Task, indptr_of
from reasonrec_index.config import AnnIndexConfig

if TYPE_CHECKING:
    from reasonrec_index.inverted_file import Cells, InvertedFile

LOG = logging.getLogger("reasonrec.index")
BASE, ABOUT, CELLS = "base", "index.json", "cells.npz"
JUDGED, JUDGED_AT = 1000, 10
"""Queries that the recall is measured on, at most, and of how many best items."""
LEAST, SHARE = 32, 8
"""Items that are fetched at least, and the share of the catalogue beyond which all products are as cheap."""
NUMBERS = 1 << 23
"""Numbers of fetched vectors at a time (32 MiB)."""


class AnnIndex(Delegate[AnnIndexConfig]):
    """The base delegate, with an inverted file over its `VectorDelegate.item_vectors`.

    `recommend` over the whole catalogue fetches as many items as are wanted and the history holds from the cells
    nearest to the query, leaves the history out, and ranks the rest by exact products: scores are the base's, and an
    item can only be missed. A query whose fetched list runs out, or that would fetch an eighth of the catalogue, gets
    the base's own answer. `score`, reasons and answers to candidates are always the base's.

    How many cells are searched is chosen by the recall on validation. Where the catalogue is small, or the vectors lie
    so that a quarter of the cells does not reach the recall, there is no index and the base answers; that is said when
    it is fitted. Items that come after the fit are put into the cells that there are.
    """

    Config = AnnIndexConfig
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.SEQUENTIAL, Task.DIRECT})
    _base: Delegate[Any]

    def __init__(self, config: AnnIndexConfig) -> None:
        super().__init__(config)
        self.probes, self.recall = 0, 1.0
        self._cells: Cells | None = None
        self._index: InvertedFile | None = None
        self._lock = threading.Lock()

    @classmethod
    def list_parts(cls, settings: Mapping[str, Any]) -> list[tuple[Kind, str, Any]]:
        """The base, whose version and code are a part of what a fitted delegate depends on."""
        return [(Kind.DELEGATE, settings["delegate"], settings["settings"])]

    @property
    def thread_safe(self) -> bool:  # type: ignore[override]
        """Whether the base is."""
        return self._base.thread_safe

    @property
    def base(self) -> Delegate[Any]:
        """The fitted base; it answers text queries, if it reads text."""
        return self._base

    def fit(self, data: FitData) -> None:
        """Fit the base, then divide its items into cells and choose how many of them are searched."""
        config = self.config
        base = Registry.discover().create(Kind.DELEGATE, config.delegate, config.settings, where="settings")
        self._base = cast("Delegate[Any]", base)
        self._base.fit(data)
        n_items = len(data.catalog)
        if n_items < config.exact_below:
            what = f"{n_items:,} items are searched exactly; an index pays from {config.exact_below:,} on"
            LOG.warning("ann-index of %s: %s (exact_below)", config.delegate, what)
            return
        self._train(data)
        self._choose_probes(data)

    def refit(self, data: FitData) -> Self:
        """The base, fitted again by its own rule, and cells for it; as many of them are searched as before."""
        again = type(self)(self.config)
        again._base, again.probes, again.recall = self._base.refit(data), self.probes, self.recall
        if again.probes:
            again._train(data)
        return again

    def item_vectors(self, observation: Observation) -> Float32:
        """float32[n_items, d]: the base's."""
        return self._vectors.item_vectors(observation)

    def query_vectors(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, d]: the base's."""
        return self._vectors.query_vectors(batch, observation)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: the base's, of every item."""
        return self._base.score(batch, observation)

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[L, K]: the base's."""
        return self._base.attribute(batch, observation, items)

    def recommend(self, batch: QueryBatch, observation: Observation) -> Ranking:
        """The ``batch.k`` best of what the index finds, the history left out; see the class."""
        if batch.candidates is not None or not self.probes or not len(batch):
            return self._base.recommend(batch, observation)
        index = self._get_index(observation)
        found, short = self._rank_found(index, self.query_vectors(batch, observation), batch, self.probes)
        if len(short):
            found = found.put(short, self._base.recommend(batch.take(short), observation.take(short)))
        return found

    def _rank_found(
        self, index: InvertedFile, queries: Float32, batch: QueryBatch, probes: int
    ) -> tuple[Ranking, Int64]:
        """What the index finds, and the rows for which that is not enough."""
        n_items = len(index.vectors)
        fetched = count_fetched(batch)
        shape = len(batch), min(batch.k, n_items)
        ranking = Ranking(np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32))
        for size in sorted(set(fetched[fetched * SHARE <= n_items].tolist())):
            alike = np.flatnonzero(fetched == size)
            step = max(NUMBERS // (size * queries.shape[1]), 1)
            if len(batch) == len(alike) <= step:  # as a single request is
                ranking = rank_found(index, queries, batch, size, probes)
                break
            for rows in (alike[low : low + step] for low in range(0, len(alike), step)):
                ranking = ranking.put(rows, rank_found(index, queries[rows], batch.take(rows), size, probes))
        return ranking, np.flatnonzero((ranking.items < 0).any(axis=1))

    def _train(self, data: FitData) -> None:
        from reasonrec_index.inverted_file import Cells

        vectors = self.item_vectors(data.observation)
        if not vectors.any():
            raise PluginError(f"all item vectors of {self.config.delegate!r} are 0, so there is nothing to index")
        data.progress(0, 1, "build the index")
        self._cells = Cells.train(vectors, self.config.cells or int(2 * len(vectors) ** 0.5), data.seed)
        data.progress(1, 1, "build the index")

    def _choose_probes(self, data: FitData) -> None:
        """The fewest cells, doubled until the recall is reached; none where too many would be needed."""
        config, batch = self.config, draw_queries(data)
        batch = batch.take(np.flatnonzero(count_fetched(batch) * SHARE <= len(data.catalog)))
        horizon = np.full(len(batch), 0.5, np.float32) if data.horizon is None else data.horizon(batch)
        seen = replace(data.observation, horizon=horizon)
        index, queries = self._get_index(seen), self.query_vectors(batch, seen)
        exact = self._base.recommend(batch, seen)
        for probes in (1 << power for power in range(index.cells.bit_length())):
            if 4 * probes > max(index.cells, 4) or not len(batch):
                break
            found, _ = self._rank_found(index, queries, batch, probes)
            self.probes, self.recall = probes, measure_recall(found, exact)
            if self.recall >= config.recall:
                what = "ann-index of %s: recall@%d %.4f on %d queries, %d of %d cells searched"
                LOG.info(what, config.delegate, batch.k, self.recall, len(batch), probes, index.cells)
                return
        why = f"a quarter of the cells finds {self.recall:.3f} of the best items, not {config.recall:g} (recall)"
        why = why if len(batch) else f"histories are long beside {len(data.catalog):,} items"
        LOG.warning("ann-index of %s: it is searched exactly: %s", config.delegate, why)
        self.probes, self.recall, self._cells, self._index = 0, 1.0, None, None

    def _get_index(self, observation: Observation) -> InvertedFile:
        """The index over the vectors as they are now, built when they are first seen."""
        from reasonrec_index.inverted_file import Cells, InvertedFile

        vectors = self.item_vectors(observation)
        with self._lock:
            kept = self._index
            if kept is None or not (kept.vectors is vectors or np.array_equal(kept.vectors, vectors)):
                cells = self._cells
                if cells is None or not cells.can_hold(vectors):  # longer than the longest: the sphere is another
                    cells = Cells.train(vectors, self.config.cells or int(2 * len(vectors) ** 0.5), 0)
                kept = self._index = InvertedFile(vectors, cells.assign(vectors))
            return kept

    @property
    def _vectors(self) -> VectorDelegate:
        return cast(VectorDelegate, self._base)

    def save(self, folder: Path) -> None:
        """Write the base, and the cells of its items as arrays; the index is built of them when it is asked."""
        super().save(folder)
        (folder / BASE).mkdir()
        self._base.save(folder / BASE)
        write_json(folder / ABOUT, {"probes": self.probes, "recall": self.recall})
        if self.probes and self._cells is not None:
            self._cells.save(folder / CELLS)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        from reasonrec_index.inverted_file import Cells

        self = super().load(folder, catalog)
        self._base = Registry.discover().load(Kind.DELEGATE, self.config.delegate).load(folder / BASE, catalog)
        about = read_json(folder / ABOUT)
        try:
            self.probes, self.recall = max(int(about["probes"]), 0), float(about["recall"])
        except (KeyError, TypeError, ValueError) as error:
            what = "does not say how the index is searched"
            raise RunError(what, where=str(folder / ABOUT), fix="Fit the run again: --refit.") from error
        if self.probes:
            self._cells = Cells.load(folder / CELLS)
        return self


def count_fetched(batch: QueryBatch) -> Int64:
    """int64[B]: items that are fetched, so that enough are left without the history; few sizes, each one search."""
    wanted = np.maximum(batch.k + batch.history.lengths, LEAST)
    return np.asarray(1 << np.ceil(np.log2(wanted)).astype(np.int64), np.int64)


def rank_found(index: InvertedFile, queries: Float32, batch: QueryBatch, size: int, probes: int) -> Ranking:
    """The best of the ``size`` items that are found in ``probes`` cells, history left out, by their exact scores."""
    items = index.search(queries, size, probes)
    items[mark_history(items, batch.history, len(index.vectors))] = -1
    return rank(index.score(queries, items), replace(batch, candidates=items.astype(np.int32)))


def mark_history(items: Int64, history: History, n_items: int) -> Any:
    """bool[B, C]: which of int64[B, C] items (-1 pads) are in the history of their row."""
    rows = np.arange(len(items))[:, None] * n_items
    return np.isin(np.where(items < 0, -1, items + rows), history.rows.astype(np.int64) * n_items + history.items)


def draw_queries(data: FitData) -> QueryBatch:
    """Queries for the ten best of the catalogue: of the validation part, or of the training part's histories."""
    if data.valid is not None and len(data.valid):
        drawn = data.valid.sample(JUDGED, data.seed).queries
        return replace(drawn, task=Task.SEQUENTIAL, candidates=None, k=JUDGED_AT)
    log = data.train
    users, counts = np.unique(log.users, return_counts=True)
    every = QueryBatch(Task.SEQUENTIAL, users.astype(np.int32), History(indptr_of(counts), log.items, log.times))
    rows = np.sort(np.random.default_rng(data.seed).permutation(len(users))[:JUDGED])
    return replace(every.take(rows), k=JUDGED_AT)


def measure_recall(found: Ranking, exact: Ranking) -> float:
    """The share of the exact answers' items that were found, over queries."""
    width = max(exact.items.max(initial=0), found.items.max(initial=0)) + 1
    wanted = exact.items + np.arange(len(exact.items))[:, None] * width
    had = found.items + np.arange(len(found.items))[:, None] * width
    real = exact.items >= 0
    return float(np.isin(wanted[real], had[found.items >= 0]).mean()) if real.any() else 1.0
