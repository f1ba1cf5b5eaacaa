"""Delegate `transitions`: what tends to come next, counted, not trained.

Directed, decayed item-to-item transitions within a window of each user's sequence, normalised by popularity on
both sides; a history's items vote with weights that decay with age. Nine numbers shape it; they are fitted on
validation by a coordinate search. Sequence rules of this kind are old and strong: Ludewig and Jannach, "Evaluation
of session-based recommendation algorithms" (UMUAI 2018), section 3.1, "sequential rules".
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.catalog_growth import grown, grown_matrix
from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates, share_links
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.ranking import compute_gain, compute_ideal_gain
from reasonrec_core.types import Cases, Float32, Int32, Interactions, Observation, QueryBatch, Task
from reasonrec_transitions.coordinate_search import Point, search_coordinates
from reasonrec_transitions.matrix import (
    TransitionCounts,
    TransitionParameters,
    score_one_history,
    weigh_entries,
    weigh_history,
)

CHUNK = 512
COUNTED = "counted.npz"
"""The users and items that were counted, for `Transitions.update`."""
GRIDS: dict[str, tuple[float, ...]] = {
    "backward": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "target_exponent": (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
    "source_exponent": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "history_decay": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0),
    "long_share": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0),
    "long_decay": (0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0),
    "window": (1, 2, 3, 4, 6, 8, 10, 12, 16, 20),
    "decay": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0),
    "popularity": (1e-6, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}


class TransitionsConfig(Settings):
    """Settings of `Transitions`; the nine parameters are where the search starts (or all there is without it)."""

    window: int = Field(default=8, ge=1, le=50, description="Largest distance between the two items of a pair.")
    decay: float = Field(
        default=0.8, gt=0, le=1, description="Factor by which a pair's weight falls with each position of distance."
    )
    backward: float = Field(default=0.3, ge=0, le=1, description="Weight of a pair in reverse order of time.")
    source_exponent: float = Field(
        default=0.4, ge=0, le=2, description="Power of the history item's count, by which scores are divided."
    )
    target_exponent: float = Field(
        default=0.2, ge=0, le=2, description="Power of the recommended item's count, by which scores are divided."
    )
    history_decay: float = Field(
        default=0.5, gt=0, le=1, description="Factor by which a history item's weight falls with each step of age."
    )
    long_share: float = Field(default=0.1, ge=0, le=1, description="Share of the slow decay in these weights.")
    long_decay: float = Field(default=0.9, gt=0, le=1, description="Factor of the slow decay per step of age.")
    popularity: float = Field(
        default=1e-6,
        ge=0,
        description="Weight of an item's popularity (relative to the most popular); orders items without transitions.",
    )
    max_history: int = Field(default=50, ge=1, description="How many of the newest history items are used.")
    search: bool = Field(default=True, description="Fit the parameters on validation (NDCG@10).")
    max_window: int = Field(default=12, ge=1, le=50, description="Largest window that the search may try.")
    trials: int = Field(default=80, ge=1, description="Most evaluations on validation in the search.")
    search_queries: int = Field(default=10_000, ge=1, description="Random validation requests used in the search.")
    gain: float = Field(default=2e-5, ge=0, description="The gain of validation NDCG@10 that a step must exceed.")

    @property
    def start(self) -> TransitionParameters:
        """The parameters as configured."""
        return TransitionParameters(*(getattr(self, name) for name in TransitionParameters._fields))


class Transitions(Delegate[TransitionsConfig]):
    """Scores items by transitions from the history; serves unknown users, and empty histories by popularity.

    Attributes:
        parameters: what the search chose (the configured ones without a search).
        validation: NDCG@10 of the searched sample before and after the search, and the trials spent; empty without.
    """

    Config = TransitionsConfig
    parameters: TransitionParameters
    validation: dict[str, float]
    _matrix: sparse.csr_matrix
    _prior: Float32
    _log: Interactions | Path
    """What was counted, or the file that holds it: only `update` reads it."""

    updates = True
    """See `update`."""

    def fit(self, data: FitData) -> None:
        """Count the training transitions; fit the parameters on ``data.valid`` where there is one."""
        if not len(data.train):
            raise DataError("there are no training interactions to count", where="transitions")
        config = self.config
        searched = config.search and data.valid is not None and len(data.valid.targets) > 0
        widest = max(config.window, config.max_window) if searched else config.window
        counts = TransitionCounts(data.train, len(data.catalog), min(widest, max(len(data.train) - 1, 1)))
        self.parameters, self.validation = config.start, {}
        if searched and data.valid is not None and data.task is not Task.CTR:
            self._search(counts, data.valid.sample(config.search_queries, data.seed), data)
        self._use(counts, self.parameters)
        self._log = data.train

    def update(self, rows: Interactions) -> None:
        """Count more rows; exactly what a fit of these parameters on all rows gives, at the price of counting them.

        Args:
            rows: sorted by user, oldest first; each user's come after what they did before. Users may be new.
        """
        log = self._read_log()
        users, items = np.concatenate([log.users, rows.users]), np.concatenate([log.items, rows.items])
        order = np.argsort(users, kind="stable")
        self._log = Interactions(users[order], items[order], np.arange(len(order), dtype=np.int64))
        self._use(TransitionCounts(self._log, len(self._prior), self.parameters.window), self.parameters)

    def refit(self, data: FitData) -> Self:
        """The transitions of ``data.train``, with the parameters that the search chose."""
        again = type(self)(self.config)
        window = min(self.parameters.window, max(len(data.train) - 1, 1))
        again.validation, again._log = dict(self.validation), data.train
        again._use(TransitionCounts(data.train, len(data.catalog), window), self.parameters)
        return again

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: decayed votes of the history plus the popularity term."""
        if len(batch) == 1:
            scores = score_one_history(batch.history, self._matrix, self.parameters, self.config.max_history)
        else:
            weights = weigh_history(batch.history, len(self._prior), self.parameters, self.config.max_history)
            scores = (weights @ self._matrix).toarray()
        scores += self._prior
        return pick_candidates(scores, batch)

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[L, K]: each entry's decayed vote among all votes for an item and its popularity term."""
        weights = weigh_entries(batch.history, self.parameters, self.config.max_history)
        return share_links(self._matrix, weights, batch, items, self._prior[np.maximum(items, 0)])

    def save(self, folder: Path) -> None:
        """Write the matrix, the popularity term and the parameters."""
        super().save(folder)
        write_json(folder / "parameters.json", {**self.parameters._asdict(), "validation": self.validation})
        arrays = {n: getattr(self._matrix, n) for n in ("data", "indices", "indptr")}
        write_arrays(folder / "transitions.npz", {"prior": self._prior, **arrays})
        log = self._read_log()
        write_arrays(folder / COUNTED, {"users": log.users, "items": log.items})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote. Items that came after the fit have score 0: nothing is known to lead to them."""
        self = super().load(folder, catalog)
        stored = read_json(folder / "parameters.json")
        self.validation = stored.pop("validation")
        self.parameters = TransitionParameters(**stored)
        arrays = read_arrays(folder / "transitions.npz")
        size = len(arrays["prior"])
        matrix = sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(size, size))
        self._prior, self._matrix = grown(arrays["prior"], len(catalog)), grown_matrix(matrix, len(catalog))
        self._log = folder / COUNTED
        return self

    def _read_log(self) -> Interactions:
        if isinstance(self._log, Path):
            arrays = read_arrays(self._log)
            times = np.arange(len(arrays["users"]), dtype=np.int64)
            self._log = Interactions(arrays["users"], arrays["items"], times)
        return self._log

    def _use(self, counts: TransitionCounts, parameters: TransitionParameters) -> None:
        self.parameters, self._matrix, self._prior = parameters, counts.matrix(parameters), counts.prior(parameters)

    def _search(self, counts: TransitionCounts, cases: Cases, data: FitData) -> None:
        tried: list[float] = []

        def objective(point: Point) -> float:
            self._use(counts, TransitionParameters(int(point[0]), *point[1:]))
            tried.append(self._ndcg(cases, data.observation))
            data.progress(len(tried), self.config.trials, "transitions: search")
            return tried[-1]

        fields = TransitionParameters._fields
        grids = {fields.index(name): grid for name, grid in GRIDS.items()}
        grids[0] = tuple(w for w in GRIDS["window"] if w <= min(self.config.max_window, len(counts.by_distance)))
        best, value, trials = search_coordinates(
            objective, tuple(self.config.start), grids, trials=self.config.trials, gain=self.config.gain
        )
        self.parameters = TransitionParameters(int(best[0]), *best[1:])
        self.validation = {"NDCG@10 at the start": tried[0], "NDCG@10": value, "trials": trials}
        data.progress(self.config.trials, self.config.trials, "transitions: search")

    def _ndcg(self, cases: Cases, observation: Observation, k: int = 10) -> float:
        """Mean discounted gain of the targets within the first ``k``; ties, and targets in the history, are misses."""
        lengths = np.diff(cases.target_indptr)
        gains = np.zeros(len(cases.targets))
        for start, batch in cases.queries.chunks(CHUNK):
            low, high = cases.target_indptr[start], cases.target_indptr[start + len(batch)]
            rows = np.repeat(np.arange(len(batch)), lengths[start : start + len(batch)])
            full = self.score(_without_candidates(batch), observation)
            if batch.candidates is None:
                full[batch.history.rows, batch.history.items] = -np.inf
            wanted = full[rows, cases.targets[low:high]][:, None]
            pool = pick_candidates(full, batch)
            place = np.count_nonzero(pool[rows] >= wanted, axis=1)
            gains[low:high] = np.where(place <= k, compute_gain(place), 0.0)
        ideal = compute_ideal_gain(k)
        per_query = np.bincount(np.repeat(np.arange(len(cases)), lengths), weights=gains, minlength=len(cases))
        return float(np.mean(per_query / ideal[np.minimum(lengths, k)]))


def _without_candidates(batch: QueryBatch) -> QueryBatch:
    return QueryBatch(batch.task, batch.users, batch.history, batch.k)
