"""Users whose choices are like a request's history, and whether they clicked an item (after OptiRAG-Rec, 2025).

The vectors of a delegate whose scores are inner products (`VectorDelegate`) say who is alike: cosines between the
vector of the request's history and those of other users' training clicks. A request is known by its history alone,
never by who asks, so that nothing that its user did later can enter; other users by their training clicks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
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
    Bool,
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
SHOWN = ("shown", "shown_since")
COSINES_AT_ONCE = 1 << 24
NEVER = np.iinfo(np.int64).max
NOTHING = np.zeros(0, np.int64)


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
        shown: likewise the pairs of all training rows of these users, clicks or not, and when each was first shown;
            both empty where no prompt tells of them (``config.prompt``).
    """

    config: SimilarUsersConfig
    delegate: Delegate[Any]
    users: Int32
    vectors: Float32
    clicked: Int64
    since: Int64
    n_items: int
    shown: tuple[Int64, Int64] = (NOTHING, NOTHING)

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
        found = _first_times(np.repeat(np.arange(len(users)), counts), clicks, n_items)
        shown = NOTHING, NOTHING
        if config.prompt:
            rows = data.train.take(np.isin(data.train.users, users))
            shown = _first_times(np.searchsorted(users, rows.users), rows, n_items)
        return cls(config, delegate, users.astype(np.int32), vectors, *found, n_items, shown)

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
        there = before(self.clicked, self.since, numbers, times_of(batch)[:, None, None])
        there &= (places >= 0)[:, None, :] & old[:, :, None]
        asked = (places >= 0).sum(1)[:, None]
        return {SIMILAR: ((there.sum(2) + 0.5) / (asked + 1)).astype(np.float32)}

    def last_liked(self, places: Int64, when: Int64, count: int) -> tuple[Bool, Int64]:
        """bool and int64[P, ``count``, N]: whether there is an n-th newest click of each user before a moment, and its
        item.

        Args:
            places: int64[P, N] in ``users``, -1 pads.
            when: int64[P] the moments.
            count: how many are looked for.
        """
        moments, keys, starts, items = self._by_time
        width = len(moments) + 1
        ends = np.searchsorted(keys, places * width + np.searchsorted(moments, when)[:, None])
        at = ends[:, None, :] - 1 - np.arange(count)[None, :, None]
        there = (places >= 0)[:, None, :] & (at >= starts[np.maximum(places, 0)][:, None, :])
        return np.asarray(there, np.bool_), items[np.where(there, at, 0)]

    @cached_property
    def _by_time(self) -> tuple[Int64, Int64, Int64, Int64]:
        """All moments, the pairs in the order of users and time (place * (moments + 1) + rank of the moment), where
        each user's begin, and their items."""
        places, items = np.divmod(self.clicked, self.n_items)
        moments, ranks = np.unique(self.since, return_inverse=True)
        order = np.lexsort((ranks, places))
        keys = places[order] * (len(moments) + 1) + ranks[order]
        return moments, keys, np.searchsorted(places, np.arange(len(self.users))), items[order]

    def save(self, folder: Path) -> None:
        """Write the delegate and what was worked out."""
        self.delegate.save(folder)
        arrays: dict[str, np.ndarray[Any, Any]] = {"users": self.users, "vectors": self.vectors}
        arrays |= {"clicked": self.clicked, "since": self.since, "n_items": np.array([self.n_items])}
        arrays |= dict(zip(SHOWN, self.shown, strict=True)) if self.config.prompt else {}
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
            shown = (stored[SHOWN[0]], stored[SHOWN[1]]) if config.prompt else (NOTHING, NOTHING)
            return cls(config, delegate, users, vectors, clicked, since, int(stored["n_items"][0]), shown)
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


def before(pairs: Int64, since: Int64, numbers: Int64, when: Int64) -> Bool:
    """Whether each of ``numbers`` is among the ascending ``pairs``, since before ``when``; same shapes, or alike."""
    at = np.minimum(np.searchsorted(pairs, numbers), len(pairs) - 1)
    return np.asarray((pairs[at] == numbers) & (since[at] < when), np.bool_)


def times_of(batch: QueryBatch) -> Int64:
    """int64[B]: when each request is made; behind everything where that is not known."""
    return np.full(len(batch), NEVER) if batch.times is None else batch.times


def _first_times(places: Int64, rows: Interactions, n_items: int) -> tuple[Int64, Int64]:
    """Numbers of (place, item) pairs, ascending, and the first time of each."""
    numbers = places * n_items + rows.items
    order = np.lexsort((rows.times, numbers))
    pairs, first = np.unique(numbers[order], return_index=True)
    return pairs.astype(np.int64), rows.times[order][first]


def _vectors(delegate: Any, batch: QueryBatch, observation: Observation) -> Float32:
    """float32[B, d] of length 1."""
    found = np.asarray(delegate.query_vectors(batch, observation), np.float32)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)
