"""What is proposed, against the same worked out the long way: whole arrays over the catalogue, sorted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reasonrec_chain.infer import infer
from reasonrec_chain.policy import Chain
from reasonrec_chain.propose import POPULAR, propose
from reasonrec_profile.api import HistoryWeights, compute_likelihood_ratio
from small import asking

from reasonrec_core.ranking import top_k
from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Float32, Observation, QueryBatch, Task


def catalogue(chain: Chain, batch: QueryBatch, seen: Observation, masked: bool) -> tuple[dict[str, Float32], Float32]:
    """Per expert float32[B, n] shares of all items, and float32[F, B, n] label ratios."""
    experts, evidence = chain.model.experts, HistoryWeights.of(batch.history, 50)
    cache = experts.cache_items(seen)
    states = experts.sequence.states(evidence, cache.tables)
    logits = states @ cache.vectors[:-1] + cache.vectors[-1]
    own = (batch.history.rows, batch.history.items)
    if masked:
        logits[own] = -np.inf
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = {"sequence": weights / weights.sum(axis=1, keepdims=True)}
    for link in experts.links:
        votes = (evidence.matrix(link.fade, 40, link.present(seen)) @ link.matrix).toarray()
        present = link.present(seen)
        if present is not None:
            votes[:, ~present] = 0
        if masked:
            votes[own] = 0
        shares[link.name] = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-30)
    prior = np.tile(experts.popularity, (len(batch), 1))
    if masked:
        prior[own] = 0
    prior /= prior.sum(axis=1, keepdims=True)
    inference = infer(states, evidence, experts, cache)
    pairs = zip(inference.beliefs, inference.fields, strict=True)
    ratios = np.stack([compute_likelihood_ratio(belief, field, seen, None) for belief, field in pairs])
    shares |= {"affinity": prior * ratios.mean(axis=0), "popularity": prior}
    return shares, np.log(ratios)


@pytest.mark.parametrize("gone", [(), ("text",)])
@pytest.mark.parametrize("listed", [False, True])
def test_pools_shares_and_ratios(chain: Chain, world: Tiny, gone: tuple[str, ...], listed: bool) -> None:
    batch = replace(asking([[], [3], [7, 11, 3, 7], list(range(38)), list(range(0, 30, 2))]), k=10)
    if listed:
        wanted = np.random.default_rng(0).permuted(np.tile(np.arange(40, dtype=np.int32), (5, 1)), axis=1)[:, :12]
        batch = replace(batch, task=Task.DIRECT, candidates=wanted)
    seen = world.observation(batch)
    seen = replace(seen, present={m: p & (m not in gone) for m, p in seen.present.items()})
    experts, evidence = chain.model.experts, HistoryWeights.of(batch.history, 50)
    cache = experts.cache_items(seen)
    states = experts.sequence.states(evidence, cache.tables)
    found = propose(batch, evidence, infer(states, evidence, experts, cache), states, experts, cache, seen.horizon)
    shares, ratios = catalogue(chain, batch, seen, masked=not listed)
    assert found.names == tuple(shares)
    for row in range(5):
        items = found.items[row][found.items[row] >= 0]
        if listed:
            assert batch.candidates is not None
            assert items.tolist() == batch.candidates[row].tolist()
        else:
            assert items.tolist() == sorted(_pool(shares, row, experts.depth, batch.history.row(row)))
        for e, name in enumerate(found.names):
            got = found.shares[row, e][found.items[row] >= 0]
            np.testing.assert_allclose(got, shares[name][row, items], rtol=2e-4, atol=1e-7, err_msg=name)
        got = found.ratios[row][:, found.items[row] >= 0]
        np.testing.assert_allclose(got, ratios[:, row, items], rtol=1e-4, atol=1e-5)
    assert not found.shares[:, :, :][np.broadcast_to((found.items < 0)[:, None, :], found.shares.shape)].any()


def _pool(shares: dict[str, Float32], row: int, depth: int, own: np.ndarray) -> set[int]:
    pool: set[int] = set()
    for name, share in shares.items():
        if name != "affinity":
            size = min(depth, POPULAR) if name == "popularity" else depth
            best = top_k(np.where(share[row] > 0, share[row], -np.inf)[None].astype(np.float32), size)[0]
            pool |= {int(i) for i in best if share[row, i] > 0}
    return pool - set(own.tolist())
