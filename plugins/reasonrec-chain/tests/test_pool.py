"""Pools hold what they should: the best of each expert, each item once, nothing that the user has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_chain.item_cache import Workspace
from reasonrec_chain.pool import (
    ExpertVotes,
    compute_block_maxima,
    drop_repeats,
    find_best,
    find_history_places,
    find_popular,
    merge_pools,
)
from reasonrec_profile.api import AgeDecay, HistoryWeights
from scipy import sparse
from small import asking

from reasonrec_core.ranking import top_k

Sizes = st.tuples(st.integers(1, 5), st.sampled_from([1, 7, 63, 64, 65, 300, 1000]))


@settings(max_examples=60, deadline=None)
@given(Sizes, st.integers(1, 120), st.integers(0, 2**32), st.sampled_from([2, 10, 10**6]), st.sampled_from([-9.0, 0.3]))
def test_best_are_those_that_sorting_gives(
    size: tuple[int, int], depth: int, seed: int, values: int, least: float
) -> None:
    """Ties too: of equal scores the first; nothing at or below ``least``."""
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, values, size) / np.float32(values)).astype(np.float32)
    scores[rng.random(size) < 0.2] = -np.inf
    found = [set(flat % size[1]) for flat in _by_row(find_best(scores, depth, least), size)]
    for row, columns in enumerate(top_k(scores, depth)):
        assert found[row] == {int(c) for c in columns if scores[row, c] > least}


def _by_row(flat: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    assert len(set(flat.tolist())) == len(flat)
    return [flat[flat // size[1] == row] for row in range(size[0])]


@pytest.mark.parametrize("n", [64, 65, 79, 500])
def test_block_maxima_cover_every_column(n: int) -> None:
    for column in range(n):
        scores = np.zeros((2, n), np.float32)
        scores[1, column] = 5
        assert compute_block_maxima(scores, 8).sum(axis=1).tolist() == [0, 5]


def test_votes_are_the_sparse_product_without_what_is_taken() -> None:
    rng = np.random.default_rng(2)
    links = sparse.random(30, 30, 0.3, format="csr", dtype=np.float32, random_state=1)
    batch = asking([list(rng.integers(0, 30, n)) for n in (0, 1, 6, 12)])
    relevance = (rng.random(len(batch.history.items)) < 0.7).astype(np.float32)
    evidence = HistoryWeights(batch.history, relevance, 5)
    fade = AgeDecay(0.7)
    wanted = (evidence.matrix(fade, 30) @ links).toarray()
    wanted[batch.history.rows, batch.history.items] = 0
    out = np.full((4, 30), 7, np.float32)
    votes = ExpertVotes.of(links, fade, evidence, find_history_places(batch, 30), out)
    np.testing.assert_allclose(votes.scores, wanted, rtol=1e-6)
    np.testing.assert_allclose(votes.totals, wanted.sum(axis=1), rtol=1e-5)
    empty = sparse.csr_matrix((30, 30), dtype=np.float32)
    assert not ExpertVotes.of(empty, fade, evidence, find_history_places(batch, 30), out).scores.any()


def test_the_most_popular_that_a_user_does_not_have() -> None:
    order = np.array([4, 2, 0, 1, 3], np.int32)
    batch, workspace = asking([[], [4, 4, 0], [0, 1, 2, 3, 4]]), Workspace.of(1, 15)
    flat = find_popular(order, find_history_places(batch, 5), batch, 2, workspace)
    assert [(f // 5, f % 5) for f in flat.tolist()] == [(0, 4), (0, 2), (1, 2), (1, 1)]
    assert not workspace.marks.any()


def test_union_is_each_item_once_ascending() -> None:
    workspace = Workspace.of(1, 3 * 9)
    pool = merge_pools([np.array([8, 1, 9 + 4]), np.array([1, 0, 9 + 4])], 3, 9, workspace)
    assert pool.tolist() == [[0, 1, 8], [4, -1, -1], [-1, -1, -1]]
    assert not workspace.marks.any()


def test_a_candidate_that_is_listed_again_counts_once() -> None:
    candidates = np.array([[5, 3, 5, -1, -1, 3], [1, 2, 3, 4, 5, 6]], np.int32)
    assert drop_repeats(candidates).tolist() == [[5, 3, -1, -1, -1, -1], [1, 2, 3, 4, 5, 6]]
    assert candidates[0, 2] == 5
