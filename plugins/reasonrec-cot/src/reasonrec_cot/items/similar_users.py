"""Users whose choices are like a request's history, and whether they clicked an item (after OptiRAG-Rec, 2025).

The vectors of a delegate whose scores are inner products (`VectorDelegate`) say who is alike: cosines between the
vector of the request's history and those of other users' training clicks. A request is known by its history alone,
never by who asks, so that nothing that its user did later can enter; other users by their training clicks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from reasonrec_core.components import Delegate, FitData, Kind, VectorDelegate
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import whole_file
from reasonrec_core.registry import Registry
from reasonrec_core.types import (
    Cases,
    Float32,
    History,
    Int32,
    Int64,
    Interactions,
    Observation,
    QueryBatch,
    Task,
    indptr_of,
)
from reasonrec_cot.items.click_counts import ClickCounts
from reasonrec_cot.similar_config import SimilarUsersConfig

SIMILAR = "similar users' clicks"
"""Name of the source."""
FILE = "similar.safetensors"
COSINES_AT_ONCE = 1 << 24
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class SimilarUsers:
    """Finds users and looks up their clicks.

    Attributes:
        config: whom to ask, and how many.
        delegate: fitted to training clicks.
        users: int32[U] users with training clicks, ascending.
        vectors: float32[U, d] their vectors, of length 1.
        clicked: int64[C] numbers of (place in ``users``, item) pairs, ascending: place * ``n_items`` + item.
        since: int64[C] when each pair was first clicked.
        n_items: items of the fit.
    """

    config: SimilarUsersConfig
    delegate: Delegate[Any]
    users: Int32
    vectors: Float32
    clicked: Int64
    since: Int64
    n_items: int

    @classmethod
    def fit(cls, config: SimilarUsersConfig, data: FitData) -> SimilarUsers:
        """Fit the delegate to training clicks alone and work out everybody's vectors.

        Raises:
            ConfigError: the delegate has no vectors.
            DataError: nobody clicked anything in training.
        """
        delegate = Registry.discover().create(Kind.DELEGATE, config.delegate, config.settings, where="similar_users")
        if not isinstance(delegate, Delegate) or not isinstance(delegate, VectorDelegate):
            raise ConfigError(
                f"the delegate {config.delegate!r} has no vectors to compare users by",
                where="similar_users.delegate",
                fix="Take one that has, such as lightgcn, sasrec or implicit-als.",
            )
        clicks = keep_clicks(data.train)
        if not len(clicks):
            raise DataError("nobody clicked anything in training, so no user is like another", fix="Use other data.")
        delegate.fit(replace(data, train=clicks, valid=None, task=Task.SEQUENTIAL, workdir=None))
        users, counts = np.unique(clicks.users, return_counts=True)
        history = History(indptr_of(counts), clicks.items, clicks.times)
        nobody = np.full(len(users), -1, np.int32)
        vectors = _vectors(delegate, QueryBatch(Task.SEQUENTIAL, nobody, history), data.observation)
        n_items = len(data.catalog)
        numbers = np.repeat(np.arange(len(users)), counts) * n_items + clicks.items
        order = np.lexsort((clicks.times, numbers))
        clicked, first = np.unique(numbers[order], return_index=True)
        found = clicked.astype(np.int64), clicks.times[order][first]
        return cls(config, delegate, users.astype(np.int32), vectors, *found, n_items)

    def find(self, batch: QueryBatch, observation: Observation) -> Int64:
        """int64[B, N]: places in ``users`` of those most like each request, most alike first; -1 where there are fewer.

        The user of a request is never among them, nor is anybody for a request without a history.
        """
        count = min(self.config.count, len(self.users))
        found = np.full((len(batch), self.config.count), -1, np.int64)
        own = np.searchsorted(self.users, batch.users)
        for start, piece in batch.chunks(max(1, COSINES_AT_ONCE // len(self.users))):
            rows = np.arange(start, start + len(piece))
            anonymous = replace(
                piece, task=Task.SEQUENTIAL, users=np.full_like(piece.users, -1), candidates=None, times=None
            )
            alike = _vectors(self.delegate, anonymous, observation.take(rows)) @ self.vectors.T
            known = np.flatnonzero((piece.users >= 0) & np.isin(piece.users, self.users))
            alike[known, own[rows[known]]] = -np.inf
            alike[piece.history.lengths == 0] = -np.inf
            nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
            values = np.take_along_axis(alike, nearest, 1)
            order = np.lexsort((nearest, -values))
            nearest = np.take_along_axis(nearest, order, 1)
            there = np.isfinite(np.take_along_axis(values, order, 1))
            found[rows, :count] = np.where(there, nearest, -1)
        return found

    def look_up(self, batch: QueryBatch, observation: Observation) -> Mapping[str, Float32]:
        """float32[B, C] in (0, 1), as a source: (k + 1/2) / (N + 1) where k of N similar users clicked the candidate
        before the request (where its time is known)."""
        assert batch.candidates is not None
        places = self.find(batch, observation)
        items = batch.candidates
        old = (items >= 0) & (items < self.n_items)
        numbers = places[:, None, :] * self.n_items + np.where(old, items, 0)[:, :, None]
        at = np.minimum(np.searchsorted(self.clicked, numbers), len(self.clicked) - 1)
        when = np.full(len(batch), NEVER) if batch.times is None else batch.times
        before = self.since[at] < when[:, None, None]
        there = (self.clicked[at] == numbers) & before & (places >= 0)[:, None, :] & old[:, :, None]
        asked = (places >= 0).sum(1)[:, None]
        return {SIMILAR: ((there.sum(2) + 0.5) / (asked + 1)).astype(np.float32)}

    def save(self, folder: Path) -> None:
        """Write the delegate and what was worked out."""
        self.delegate.save(folder)
        arrays: dict[str, np.ndarray[Any, Any]] = {"users": self.users, "vectors": self.vectors}
        arrays |= {"clicked": self.clicked, "since": self.since, "n_items": np.array([self.n_items])}
        with whole_file(folder / FILE) as aside:
            save_file(arrays, aside)

    @classmethod
    def load(cls, config: SimilarUsersConfig, folder: Path, catalog: Catalog) -> SimilarUsers:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing or damaged.
        """
        delegate = Registry.discover().load(Kind.DELEGATE, config.delegate).load(folder, catalog)
        assert isinstance(delegate, Delegate)
        try:
            stored = load_file(folder / FILE)
            users, vectors, clicked, since = (stored[name] for name in ("users", "vectors", "clicked", "since"))
            return cls(config, delegate, users, vectors, clicked, since, int(stored["n_items"][0]))
        except (OSError, SafetensorError, KeyError) as error:
            raise DataError(f"similar users cannot be read ({error})", where=str(folder), fix="Fit again.") from error


def gather_evidence(
    rows: Cases, counts: ClickCounts, similar: SimilarUsers | None, data: FitData
) -> dict[str, Float32]:
    """Per source float32[B, C]: what is known of labelled rows beside the language model's answer."""
    assert rows.queries.candidates is not None
    found = dict(counts.look_up(rows.queries.candidates))
    if similar is not None:
        seen = replace(data.observation, horizon=np.full(len(rows), 0.5, np.float32))  # nothing depends on it
        found |= similar.look_up(rows.queries, seen)
    return found


def keep_clicks(train: Interactions) -> Interactions:
    """What counts as history where rows are labelled: clicks."""
    if train.values is None:
        return train
    return replace(train.take(train.values > 0), values=None)


def _vectors(delegate: Any, batch: QueryBatch, observation: Observation) -> Float32:
    """float32[B, d] of length 1."""
    found = np.asarray(delegate.query_vectors(batch, observation), np.float32)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)
