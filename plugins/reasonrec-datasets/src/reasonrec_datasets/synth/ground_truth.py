"""What is true in the synthetic shop: the parameters behind every choice, kept beside the data.

The probability that user u, asked at time t, chooses item i is a multinomial logit (McFadden 1974):
``P(i | u, t) = exp(U(u, i, t)) / sum_j exp(U(u, j, t))`` over the items that are in the shop at t and that u has not
chosen yet, with ``U(u, i, t) = taste_u . attributes_i + appeal_i + season * cos(2 pi (t - start) / year - phase_i)``.
Ranking by P is the best that any recommender can do in expectation, for every metric that rewards higher ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.data import Dataset
from reasonrec_core.errors import DataError
from reasonrec_core.ranking import compute_gain
from reasonrec_core.types import Cases, Float32, Int64, QueryBatch

FILE = "truth.npz"
START, YEAR = 1_735_689_600, 365 * 86_400
"""2025-01-01 and how long the shop is watched, in seconds."""

Text = np.ndarray[Any, np.dtype[np.str_]]


@dataclass(frozen=True)
class Truth:
    """The parameters; A attributes.

    Attributes:
        users: str[n_users] ids.
        items: str[n_items] ids.
        taste: float32[n_users, A].
        attributes: float32[n_items, A].
        appeal: float32[n_items].
        launch: int64[n_items] seconds since 1970.
        phase: float32[n_items] radians of the season's height.
        season: float32[] its strength.
    """

    users: Text
    items: Text
    taste: Float32
    attributes: Float32
    appeal: Float32
    launch: Int64
    phase: Float32
    season: Float32

    def save(self, path: Path) -> None:
        """Write plain arrays."""
        np.savez_compressed(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, folder: Path) -> Truth:
        """Read the truth of a synthetic catalogue's folder."""
        try:
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                return cls(**{f.name: arrays[f.name] for f in fields(cls)})
        except (OSError, KeyError, ValueError) as error:
            raise DataError(
                "no truth of a synthetic catalogue here", where=str(folder / FILE), fix="Make it: reasonrec data synth."
            ) from error

    def utilities(self, users: Int64, times: Int64) -> Float32:
        """float32[B, n_items] U(u, i, t); -inf for items that are not in the shop yet."""
        utility: Float32 = self.taste[users] @ self.attributes.T + self.appeal
        if self.season > 0:
            angle = (2 * np.pi / YEAR * (times - START)).astype(np.float32)
            utility += self.season * np.cos(angle[:, None] - self.phase)
        utility[times[:, None] < self.launch] = -np.inf
        return utility


def oracle_scores(folder: Path, dataset: Dataset, batch: QueryBatch) -> Float32:
    """float32[B, n_items] log P of every item's being chosen next, history excluded (-inf); rows in dense indices.

    Args:
        folder: of the synthetic catalogue (holds ``truth.npz``).
        dataset: the catalogue as imported.
        batch: queries of known users; without ``times``, all items are taken to be in the shop.
    """
    truth = Truth.load(folder)
    users = _positions(truth.users, dataset.users.column("user_id").to_pylist(), "user")
    items = _positions(truth.items, dataset.catalog.ids, "item")
    if (batch.users < 0).any():
        raise DataError("the truth knows the shop's own users only")
    late = np.full(len(batch), np.iinfo(np.int64).max, np.int64)
    times = late if batch.times is None else batch.times
    scores = truth.utilities(users[batch.users], times)[:, items]
    scores[batch.history.rows, batch.history.items] = -np.inf
    best = scores.max(axis=1, keepdims=True)
    log_p: Float32 = scores - best - np.log(np.exp(scores - best).sum(axis=1, keepdims=True))
    return log_p


def oracle_ceiling(folder: Path, dataset: Dataset, cases: Cases, ks: Sequence[int] = (5, 10)) -> dict[str, float]:
    """The expected HR and NDCG at ``ks`` of the best possible ranking, for cases with one target each."""
    log_p = oracle_scores(folder, dataset, cases.queries)
    largest = -np.sort(-np.exp(log_p), axis=1)[:, : max(ks)]
    gains = compute_gain(np.arange(1, largest.shape[1] + 1))
    ceiling = {}
    for k in ks:
        ceiling[f"HR@{k}"] = float(largest[:, :k].sum(axis=1).mean())
        ceiling[f"NDCG@{k}"] = float((largest[:, :k] * gains[:k]).sum(axis=1).mean())
    return ceiling


def _positions(known: Text, ids: Sequence[str], what: str) -> Int64:
    place = {name: i for i, name in enumerate(known.tolist())}
    missing = [name for name in ids if name not in place]
    if missing:
        raise DataError(
            f"{what} {missing[0]!r} is not in this synthetic catalogue", fix="Import the folder it belongs to."
        )
    return np.array([place[name] for name in ids], np.int64)
