"""What a ranker on top of delegates learns from: held-out items, candidates from delegates, and what describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from reasonrec_clicks.item_content import ItemContent
from reasonrec_clicks.labelled_rows import RaggedRows
from scipy import sparse

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import Delegate, FitData
from reasonrec_core.data.cases import make_pair_keys
from reasonrec_core.errors import DataError
from reasonrec_core.ranking import rank
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
)


def hold_out(data: FitData, last: int, queries: int) -> tuple[Interactions, Cases]:
    """The training part without each user's ``last`` items, and those items as targets.

    A target's history is all that its user did before it. Users with fewer than ``last + 2`` interactions keep
    theirs.

    Returns:
        What delegates may be fitted on, and at most ``queries`` cases, drawn at random.
    """
    log = data.train
    starts = np.searchsorted(log.users, log.users, side="left")
    ends = np.searchsorted(log.users, log.users, side="right")
    position = np.arange(len(log))
    held_out = (ends - position <= last) & (ends - starts >= last + 2)
    if not held_out.any():
        raise DataError(
            f"no user has {last + 2} training interactions, so none can be held out",
            where="lightgbm-rank",
            fix="Use data with longer histories.",
        )
    rows = np.flatnonzero(held_out & _is_first(log, len(data.catalog)))
    if len(rows) > queries:
        rows = np.sort(np.random.default_rng(data.seed).choice(rows, queries, replace=False))
    past = RaggedRows.between(starts[rows], rows)
    history = History(past.indptr, log.items[past.index], log.times[past.index])
    batch = QueryBatch(Task.SEQUENTIAL, log.users[rows], history, times=log.times[rows])
    cases = Cases(batch, np.arange(len(rows) + 1, dtype=np.int64), log.items[rows])
    return log.take(~held_out), cases


def _is_first(log: Interactions, n_items: int) -> Bool:
    """bool[N]: the item's first time in its user's sequence; a repeat cannot be recommended."""
    _, first = np.unique(make_pair_keys(log.users, log.items, n_items), return_index=True)
    return np.isin(np.arange(len(log)), first)


def add_negatives(cases: Cases, n_items: int, width: int, seed: int) -> Cases:
    """Candidates int32[B, width]: the target at a random place among random items that are not in its history."""
    random = np.random.default_rng(seed)
    batch = cases.queries
    drawn = random.integers(0, n_items, (len(batch), 2 * width + 20))
    keys = make_pair_keys(batch.history.rows, batch.history.items, n_items)
    keys = np.concatenate([keys, np.arange(len(batch)) * n_items + cases.targets])
    bad = np.isin(np.arange(len(batch))[:, None] * n_items + drawn, keys)
    order = np.argsort(bad, axis=1, kind="stable")[:, :width]
    picked = np.take_along_axis(drawn, order, axis=1)
    candidates = np.where(np.take_along_axis(bad, order, axis=1), -1, picked).astype(np.int32)
    candidates[np.arange(len(batch)), random.integers(0, width, len(batch))] = cases.targets
    return replace(cases, queries=replace(batch, task=Task.DIRECT, candidates=candidates))


def compute_horizon(data: FitData, batch: QueryBatch) -> Float32:
    """float32[B]: the evidence horizon, zero where the pipeline gives none."""
    return np.zeros(len(batch), np.float32) if data.horizon is None else data.horizon(batch)


FADE = 0.7


@dataclass(frozen=True)
class DescribedCandidates:
    """Pairs of a query and a candidate, sorted by query.

    Attributes:
        rows: int64[P] the query.
        items: int32[P] the candidate.
        table: float32[P, F].
        rest: float32[B, n_items] the first delegate's scores, for what is no candidate.
    """

    rows: Int64
    items: Int32
    table: Float32
    rest: Float32


@dataclass(frozen=True)
class ItemHistory:
    """When and how often items were had in the training that the delegates know.

    Attributes:
        count: float32[n_items].
        first: float32[n_items] share of the log's time span that had passed at the first interaction, NaN if none.
        last: float32[n_items] the same of the last.
    """

    count: Float32
    first: Float32
    last: Float32

    def grow(self, n_items: int) -> ItemHistory:
        """For a catalogue that has grown: nobody had the new items."""
        return ItemHistory(
            grown(self.count, n_items), grown(self.first, n_items, fill=np.nan), grown(self.last, n_items, fill=np.nan)
        )

    @classmethod
    def of(cls, train: Interactions, n_items: int) -> ItemHistory:
        """Count."""
        count = np.bincount(train.items, minlength=n_items).astype(np.float32)
        low, high = int(train.times.min()), int(train.times.max())
        passed = (train.times - low) / max(high - low, 1)
        first, last = np.full(n_items, np.inf), np.full(n_items, -np.inf)
        np.minimum.at(first, train.items, passed)
        np.maximum.at(last, train.items, passed)
        none = count == 0
        return cls(count, *(np.where(none, np.nan, x).astype(np.float32) for x in (first, last)))


def feature_names(delegates: Sequence[str], content: ItemContent) -> list[str]:
    """The columns of `describe`'s table."""
    each = [f"{name} {what}" for name in delegates for what in ("rank", "score", "share of best")]
    of_vectors = [f"{name} {what}" for name in content.vectors for what in ("to history", "to last")]
    labels = ["labels shared with history", "labels shared with last"] if content.labels.shape[1] else []
    numbers = [f"{name} {what}" for name in content.numbers for what in ("", "above history")]
    fixed = ["proposed by", "count", "count above history", "first seen", "last seen", "history length", "horizon"]
    return [*each, *fixed, *of_vectors, *labels, *(n.strip() for n in numbers)]


def describe_candidates(
    delegates: Mapping[str, Delegate[Any]],
    batch: QueryBatch,
    observation: Observation,
    items: ItemHistory,
    content: ItemContent,
    depth: int,
) -> DescribedCandidates:
    """The candidates of ``batch`` (its own, else the union of each delegate's ``depth`` best) with their features."""
    whole = replace(batch, task=Task.SEQUENTIAL, candidates=None, k=depth)
    scores, ranks = [], []
    for delegate in delegates.values():
        full = delegate.score(whole, observation)
        scores.append(full.copy())
        ranks.append(rank(full, whole).items)
    rows, found = _pairs(batch, ranks, scores[0].shape[1])
    columns = [
        *_opinions(rows, found, scores, ranks),
        *_circumstances(rows, found, batch, observation, items),
        *_likeness(rows, found, batch, content),
    ]
    table = np.stack(columns, axis=1).astype(np.float32) if len(rows) else np.zeros((0, len(columns)), np.float32)
    return DescribedCandidates(rows, found, table, scores[0])


def _pairs(batch: QueryBatch, ranks: Sequence[Int32], n_items: int) -> tuple[Int64, Int32]:
    lists = list(ranks) if batch.candidates is None else [batch.candidates]
    every = np.concatenate(lists, axis=1).astype(np.int64)
    keys = np.arange(len(batch))[:, None] * n_items + every
    unique = np.unique(keys[every >= 0])
    return unique // n_items, (unique % n_items).astype(np.int32)


def _opinions(
    rows: Int64, found: Int32, scores: Sequence[Float32], ranks: Sequence[Int32]
) -> list[npt.NDArray[np.floating]]:
    """Per delegate: its rank (NaN beyond its best), its score, its score against its best."""
    columns: list[npt.NDArray[np.floating]] = []
    proposed = np.zeros(len(rows))
    for full, best in zip(scores, ranks, strict=True):
        n_items = full.shape[1]
        keys = (np.arange(len(best))[:, None] * n_items + best).ravel()
        place = np.tile(np.arange(1.0, best.shape[1] + 1), len(best))
        keys, place = keys[best.ravel() >= 0], place[best.ravel() >= 0]
        order = np.argsort(keys)
        at = np.searchsorted(keys[order], wanted := rows * n_items + found)
        at = np.minimum(at, max(len(keys) - 1, 0))
        hit = keys[order][at] == wanted if len(keys) else np.zeros(len(rows), np.bool_)
        own = np.where(hit, place[order][at] if len(keys) else np.nan, np.nan)
        score = full[rows, found].astype(float)
        score[np.isneginf(score)] = np.nan
        top = np.take_along_axis(full, np.maximum(best[:, :1], 0), axis=1)[:, 0].astype(float)
        low = np.take_along_axis(full, np.maximum(best[:, -1:], 0), axis=1)[:, 0].astype(float)
        span = np.where(top > low, top - low, 1.0)
        columns += [own, score, (score - low[rows]) / span[rows]]
        proposed += hit
    return [*columns, proposed]


def _circumstances(
    rows: Int64, found: Int32, batch: QueryBatch, observation: Observation, items: ItemHistory
) -> list[npt.NDArray[np.floating]]:
    """Popularity, age and how much is known of the user."""
    history = batch.history
    log = np.log1p(items.count)
    lengths = history.lengths.astype(float)
    usual = np.bincount(history.rows, weights=log[history.items], minlength=len(batch)) / np.maximum(lengths, 1)
    return [
        log[found],
        log[found] - usual[rows],
        items.first[found],
        items.last[found],
        lengths[rows],
        observation.horizon[rows],
    ]


def _likeness(rows: Int64, found: Int32, batch: QueryBatch, content: ItemContent) -> list[npt.NDArray[np.floating]]:
    """Content against the decayed history and against its last item."""
    history, n_items = batch.history, len(content.year)
    weight = np.power(FADE, history.ages).astype(np.float32)
    total = np.maximum(np.bincount(history.rows, weights=weight, minlength=len(batch)), 1e-9)
    shape = (len(batch), n_items)
    decayed = sparse.csr_matrix((weight / total[history.rows], (history.rows, history.items)), shape=shape)
    newest = history.ages == 0
    last = sparse.csr_matrix((newest[newest].astype(np.float32), (history.rows[newest], history.items[newest])), shape)
    columns: list[npt.NDArray[np.floating]] = []
    for values in content.vectors.values():
        for profile in (decayed @ values, last @ values):
            columns.append(np.einsum("ij,ij->i", profile[rows], values[found]))
    if content.labels.shape[1]:
        columns += [_shared(rows, found, (of @ content.shares).toarray(), content) for of in (decayed, last)]
    for number in content.numbers.values():
        known = np.nan_to_num(number)
        usual = decayed @ known / np.maximum(decayed @ np.isfinite(number).astype(np.float32), 1e-9)
        columns += [number[found], number[found] - usual[rows]]
    return columns


def _shared(rows: Int64, found: Int32, profile: Float32, content: ItemContent) -> npt.NDArray[np.floating]:
    """float64[P]: inner product of a query's label profile and a candidate's few labels."""
    shares = content.shares
    entries = RaggedRows.between(shares.indptr[found].astype(np.int64), shares.indptr[found + 1].astype(np.int64))
    weights = profile[rows[entries.rows], shares.indices[entries.index]]
    return entries.sum((weights * shares.data[entries.index]).astype(np.float64))
