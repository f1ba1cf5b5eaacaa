"""Step *propose*: each expert's best items form a pool, and every expert says how likely each item of it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np
from reasonrec_profile.api import AFFINITY, POPULARITY, Expert, HistoryWeights, Inference, list_history_pairs

from reasonrec_chain.delegate_experts import DelegateExpert
from reasonrec_chain.item_cache import ItemCache, Workspace, keep_visible
from reasonrec_chain.label_sets import LabelSets
from reasonrec_chain.pool import (
    ExpertVotes,
    FlatIndex,
    drop_repeats,
    find_best,
    find_history_places,
    find_popular,
    merge_pools,
)
from reasonrec_chain.sequence import SequenceModel
from reasonrec_core.types import Bool, Float32, Int32, Observation, QueryBatch

SEQUENCE = "sequence"
FLOOR = np.float32(1e-6)
POPULAR = 20
"""Popular items in every pool, few of which are ever chosen. A pool does not depend on how many items are wanted."""


@dataclass
class LatestCache:
    """The cache that was last made, and the arrays that it was made from."""

    seen: tuple[object, ...] = ()
    cache: ItemCache | None = None
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True)
class Experts:
    """Who proposes.

    Attributes:
        sequence: the trained network.
        links: the item-to-item experts, counted.
        popularity: float32[n_items], sums to 1, positive.
        labels: the inferred fields.
        names: E experts that are asked, in the order of `Proposals.shares`.
        depth: items that each puts into the pool.
        trust: per field, how much the trained belief counts next to the counted one, in [0, 1].
        delegates: the pipeline's delegates that propose, too; the last of the names.
    """

    sequence: SequenceModel
    links: tuple[Expert, ...]
    popularity: Float32
    labels: tuple[LabelSets, ...]
    names: tuple[str, ...]
    depth: int
    trust: tuple[float, ...]
    delegates: tuple[DelegateExpert, ...] = ()
    _latest: LatestCache = field(default_factory=LatestCache, repr=False, compare=False)

    def with_delegates(self, more: tuple[DelegateExpert, ...]) -> Experts:
        """The same, with more delegates; what is cached of the items is shared."""
        return replace(self, names=(*self.names, *(e.name for e in more)), delegates=(*self.delegates, *more))

    def cache_items(self, observation: Observation) -> ItemCache:
        """The items as ``observation`` shows them; made anew only where its features are other arrays than last."""
        names = sorted({*observation.features, *observation.present})
        seen = tuple(part.get(name) for name in names for part in (observation.features, observation.present))
        latest = self._latest
        with latest.lock:
            same = len(seen) == len(latest.seen) and all(a is b for a, b in zip(seen, latest.seen, strict=True))
            if latest.cache is None or not same:
                tables, vectors = self.sequence.tables(observation)
                links = tuple(keep_visible(link, observation) for link in self.links)
                sets = tuple(each.shown(observation) for each in self.labels)
                order = np.argsort(-self.popularity, kind="stable").astype(np.int32)
                latest.cache, latest.seen = ItemCache(tables, vectors, links, sets, order, observation), seen
            return latest.cache


@dataclass(frozen=True)
class Proposals:
    """What the experts offer.

    Attributes:
        names: E experts.
        items: int32[B, C], the pool of each query, ascending, -1 pads on the right; or the candidates as given, but
            -1 where one is listed again.
        shares: float32[B, E, C], P(next item) as each expert sees it; 0 for padding. Over the whole catalogue an
            expert's shares sum to at most 1.
        totals: float32[B, E], how much evidence is behind each expert: its votes before they became shares.
        ratios: float32[B, F, C], log of how much likelier the item's labels are than usual, per inferred field.
        pool: where candidates were given, what would be offered without them. What is known about a query is read
            off that: it does not depend on who else is a candidate.
    """

    names: tuple[str, ...]
    items: Int32
    shares: Float32
    totals: Float32
    ratios: Float32
    pool: Proposals | None = None

    @property
    def allowed(self) -> Bool:
        """bool[B, C]: no padding."""
        return np.asarray(self.items >= 0)


def choose_chunk_size(n_items: int) -> int:
    """Queries per chunk, so that an array over the catalogue stays near 4 MB."""
    return max(1, min(256, (1 << 20) // max(n_items, 1)))


def propose(
    batch: QueryBatch,
    evidence: HistoryWeights,
    inference: Inference,
    states: Float32,
    experts: Experts,
    cache: ItemCache,
    horizon: Float32,
) -> Proposals:
    """Ask every expert, for one chunk of queries.

    Args:
        batch: whose candidates, where it has them, are the pool.
        evidence: what the counted experts look from.
        inference: what the affinity expert draws from.
        states: float32[B, M d], the sequence model's.
        experts: who is asked.
        cache: the items as they can be seen now.
        horizon: float32[B], which delegates may look at.
    """
    size, n = len(batch), cache.n_items
    own = find_history_places(batch, n)
    with cache.workspace(size) as workspace:
        logits = cache.logits(states, workspace.array(0, size, n)) if SEQUENCE in experts.names else None
        if logits is not None:
            logits.reshape(-1)[own] = -np.inf
        votes = [
            ExpertVotes.of(links, expert.fade, evidence, own, workspace.array(1 + e, size, n))
            for e, (links, expert) in enumerate(zip(cache.links, experts.links, strict=True))
        ]
        asked = _ask_delegates(batch, evidence, experts, cache.observe(horizon), own)
        odds = tuple(each.ratios(belief) for each, belief in zip(experts.labels, inference.beliefs, strict=True))
        if batch.candidates is not None:
            items = drop_repeats(batch.candidates)
        else:
            items = _pool(batch, inference, logits, votes, asked, odds, own, experts, cache, workspace)
        places = np.maximum(items, 0) + (np.arange(size) * np.int64(n))[:, None]
        shares, totals = list[Float32](), list[Float32]()
        if logits is not None:
            _normalise(logits, places, shares, totals)
        for found in votes:
            normaliser = np.divide(np.float32(1), found.totals, out=np.zeros_like(found.totals), where=found.totals > 0)
            shares.append(found.scores.reshape(-1).take(places) * normaliser[:, None])
            totals.append(found.totals)
    ratios = _ratios(items, odds, cache)
    _counted(batch, items, ratios, experts, shares, totals)
    for scores in asked:
        _normalise(scores, places, shares, totals)
    stacked = np.stack(shares, axis=1)
    stacked *= (items >= 0)[:, None, :]
    np.log(ratios, out=ratios)
    pool = None
    if batch.candidates is not None:
        pool = propose(replace(batch, candidates=None, k=1), evidence, inference, states, experts, cache, horizon)
    return Proposals(experts.names, items, stacked, np.stack(totals, axis=1).astype(np.float32), ratios, pool)


def _ask_delegates(
    batch: QueryBatch, evidence: HistoryWeights, experts: Experts, observation: Observation, own: FlatIndex
) -> list[Float32]:
    """Per delegate float32[B, n], -inf for what is taken."""
    found = [each.logits(batch, evidence, observation) for each in experts.delegates]
    for scores in found:
        scores.reshape(-1)[own] = -np.inf
    return found


def _normalise(logits: Float32, places: FlatIndex, shares: list[Float32], totals: list[Float32]) -> None:
    """Add the shares and the evidence of whoever has scores for the whole catalogue, which are written over."""
    picked = logits.reshape(-1).take(places)
    totals.append(_log_sum(logits))
    shares.append(np.exp(picked - totals[-1][:, None]))


def _counted(
    batch: QueryBatch, items: Int32, ratios: Float32, experts: Experts, shares: list[Float32], totals: list[Float32]
) -> None:
    """Add what affinity and popularity say."""
    left = np.ones(len(batch), np.float32)
    if batch.candidates is None:
        rows, known = list_history_pairs(batch.history, len(experts.popularity))
        left -= np.bincount(rows, experts.popularity[known], minlength=len(batch)).astype(np.float32)
    prior = experts.popularity.take(np.maximum(items, 0))
    prior /= np.maximum(left, FLOOR)[:, None]
    if AFFINITY in experts.names:
        shares.append(prior * ratios.mean(axis=1) if ratios.shape[1] else prior)
        totals.append(left)
    if POPULARITY in experts.names:
        shares.append(prior)
        totals.append(left)


def _ratios(items: Int32, odds: tuple[Float32, ...], cache: ItemCache) -> Float32:
    """float32[B, F, C]: per field the odds of the items' labels, 1 for padding."""
    size = len(items)
    ratios = np.ones((size, len(odds), items.shape[1]), np.float32)
    at, query, padding = np.maximum(items, 0), np.arange(size)[:, None], items < 0
    for f, (sets, odd) in enumerate(zip(cache.sets, odds, strict=True)):
        which = sets.take(at).astype(np.int64)
        which *= size
        which += query
        ratios[:, f] = odd.reshape(-1).take(which)
        ratios[:, f][padding] = 1.0
    return ratios


def _pool(
    batch: QueryBatch,
    inference: Inference,
    logits: Float32 | None,
    votes: list[ExpertVotes],
    asked: list[Float32],
    odds: tuple[Float32, ...],
    own: FlatIndex,
    experts: Experts,
    cache: ItemCache,
    workspace: Workspace,
) -> Int32:
    """int32[B, C]: the union of each expert's best items.

    Where labels were assumed, the items that carry them are wanted, however unlikely they were: they enter by the
    first expert's votes among them.
    """
    depth = min(cache.n_items, max(experts.depth, batch.k))
    pools = [find_best(found.scores, depth, 0.0) for found in votes]
    trained = asked if logits is None else [logits, *asked]
    pools += [find_best(scores, depth, -np.inf) for scores in trained]
    popular = depth if batch.k > experts.depth else min(depth, POPULAR)
    pools.append(find_popular(cache.popular, own, batch, popular, workspace))
    edited = np.flatnonzero((inference.assumed >= 0).any(axis=1))
    if len(edited):
        if logits is None:
            base = np.tile(np.log(experts.popularity), (len(batch), 1))
            base.reshape(-1)[own] = -np.inf
        else:
            base = logits
        wanted = base[edited]
        for f, (sets, odd) in enumerate(zip(cache.sets, odds, strict=True)):
            some = np.flatnonzero(inference.assumed[edited, f] >= 0)
            wanted[some] += np.log(odd.T[edited[some]])[:, sets]
        flat = find_best(wanted, depth, -np.inf)
        row = flat // cache.n_items
        pools.append(flat + (edited[row] - row) * cache.n_items)
    return merge_pools(pools, len(batch), cache.n_items, workspace)


def _log_sum(logits: Float32) -> Float32:
    """float32[B]: log of the sum of exponentials of each row; ``logits`` is written over."""
    top = logits.max(axis=1, initial=-np.inf)
    top = np.where(np.isfinite(top), top, np.float32(0))
    np.subtract(logits, top[:, None], out=logits)
    np.exp(logits, out=logits)
    return np.asarray(np.log(logits.sum(axis=1) + np.float32(1e-30)) + top, np.float32)
