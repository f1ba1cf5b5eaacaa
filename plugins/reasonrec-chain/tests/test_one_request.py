"""One request: the same states, votes and answers as among many, to rounding, in every form of network."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_chain.policy import Chain
from reasonrec_chain.pool import ExpertVotes, find_history_places
from reasonrec_profile.api import AgeDecay, HistoryWeights
from scipy import sparse
from small import answer, asking, fitted, network_of

from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Observation

FORMS = [
    {},
    {"layers": 3},
    {"filter_share": 1.0},
    {"filter_share": 0.6, "frequencies": 2},
    {"refinements": 2},
    {"refinements": 1, "filter_share": 0.3},
    {"ids": False},
    {"members": 2},
]


@pytest.mark.parametrize("network", FORMS, ids=str)
def test_a_policy_answers_one_request_as_it_does_among_many(world: Tiny, network: dict[str, object]) -> None:
    policy, batch = fitted(world.fit, network=network), world.test.queries
    together, states = answer(policy, world), states_of(policy, world)
    assert together.ranking is not None
    for row in range(0, len(batch), 7):
        one = batch.take(np.array([row]))
        single = answer(policy, world, one)
        assert single.ranking is not None
        np.testing.assert_allclose(single.ranking.scores[0], together.ranking.scores[row], rtol=1e-3, atol=1e-6)
        found = states_of(policy, world, np.array([row]))
        np.testing.assert_allclose(found[0], states[row], rtol=1e-3, atol=1e-4)


def states_of(policy: Chain, world: Tiny, rows: np.ndarray | None = None) -> np.ndarray:
    """The sequence model's, of all test queries or of some."""
    batch = world.test.queries if rows is None else world.test.queries.take(rows)
    cache = policy.model.experts.cache_items(world.observation(batch))
    return policy.model.experts.sequence.states(HistoryWeights.of(batch.history, 50), cache.tables)


def test_a_long_history_is_cut_and_an_empty_one_says_nothing(world: Tiny, chain: Chain) -> None:
    rng = np.random.default_rng(0)
    long = rng.permutation(len(world.dataset.catalog))[:25].tolist()  # a network of the tests reads 20
    batch = asking([long, [], [3]])
    cache, sequence = chain.model.experts.cache_items(world.observation(batch)), chain.model.experts.sequence
    together = sequence.states(HistoryWeights.of(batch.history, 50), cache.tables)
    for row in range(len(batch)):
        single = sequence.states(HistoryWeights.of(batch.take(np.array([row])).history, 50), cache.tables)
        np.testing.assert_allclose(single[0], together[row], rtol=1e-4, atol=1e-5)
    assert not together[1].any()
    assert together[0].any()


def test_an_ignored_entry_is_not_read(world: Tiny, chain: Chain) -> None:
    whole, less = (HistoryWeights.of(asking([row]).history, 50) for row in ([4, 9, 2], [4, 2]))
    cache, sequence = chain.model.experts.cache_items(world.observation(asking([[1]]))), chain.model.experts.sequence
    ignored = replace(whole, relevance=np.array([1, 0, 1], np.float32))
    np.testing.assert_array_equal(sequence.states(ignored, cache.tables), sequence.states(less, cache.tables))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(0, 19), max_size=8), min_size=1, max_size=4),
    density=st.sampled_from([0.0, 0.1, 0.6]),
    decay=st.sampled_from([0.0, 0.5, 1.0]),
    longest=st.integers(1, 8),
)
def test_votes_for_one_are_those_among_many(rows: list[list[int]], density: float, decay: float, longest: int) -> None:
    links = sparse.random_array((20, 20), density=density, format="csr", dtype=np.float32, rng=0)
    links = sparse.csr_matrix(links)
    batch = asking(rows)
    evidence = HistoryWeights.of(batch.history, longest)
    expected = sparse.csr_matrix(evidence.matrix(AgeDecay(decay), 20) @ links).toarray()
    bounds = [*pairwise(range(len(rows) + 1)), (0, len(rows))]
    for start, stop in bounds:
        part = batch.slice(start, stop)
        workspace, own = np.full((stop - start, 20), 7, np.float32), find_history_places(part, 20)
        votes = ExpertVotes.of(links, AgeDecay(decay), evidence.slice(start, stop), own, workspace)
        wanted = expected[start:stop].copy()
        wanted.reshape(-1)[own] = 0
        np.testing.assert_allclose(votes.scores, wanted, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(votes.totals, wanted.sum(axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("members", [1, 2])
def test_vectors_of_users_and_items_multiply_to_the_mean_logits_of_the_networks(world: Tiny, members: int) -> None:
    policy, batch = fitted(world.fit, network={"members": members}), world.test.queries
    seen = world.observation(batch)
    users, items = policy.query_vectors(batch, seen), policy.item_vectors(seen)
    logits = []
    for which, states in enumerate(np.split(users[:, :-1], members, 1)):
        table, bias = (part.detach().numpy() for part in network_of(policy, seen, which).table())
        logits.append(states @ table.T + bias)
    np.testing.assert_allclose(users @ items.T, np.mean(logits, axis=0), rtol=1e-4, atol=1e-4)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from pathlib import Path
import numpy as np
from reasonrec_core.data import Dataset
from reasonrec_core.types import History, Observation, QueryBatch, Task
from reasonrec_chain.policy import Chain
policy = Chain.load(Path(sys.argv[2]), Dataset.open(Path(sys.argv[1])).catalog)
batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[1, 2, 3]]), 5)
seen = Observation({}, {}, np.array([0.3], np.float32))
answer = policy.deliberate(batch, seen)
assert len(answer.steps[0]) > 3
assert policy.samples(batch, seen, answer.ranking.items, 2, 0).shape == (2, 1, 5)
assert abs(policy.distribution(batch, seen).sum() - 1) < 0.2
print(*answer.ranking.items[0])
"""


def test_what_was_saved_answers_where_there_is_no_torch(world: Tiny, chain: Chain, tmp_path: Path) -> None:
    chain.save(tmp_path)
    command = [sys.executable, "-c", WITHOUT_TORCH, str(world.dataset.folder), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    bare = Observation({}, {}, np.array([0.3], np.float32))
    mine = chain.deliberate(asking([[1, 2, 3]], k=5), bare)
    assert mine.ranking is not None
    assert done.stdout.split() == [str(item) for item in mine.ranking.items[0]]
