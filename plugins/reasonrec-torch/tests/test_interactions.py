"""Pairs: each once an epoch, with negatives that the user has not chosen."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_torch.interactions import TrainingPairs

from reasonrec_core.errors import DataError


def test_each_pair_once_and_no_negative_was_chosen() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 9, 70), rng.integers(0, 30, 70)
    pairs = TrainingPairs(users, items, 30, batch=16, negatives=3)
    chosen = set(zip(users.tolist(), items.tolist(), strict=True))
    epoch = pairs.epoch(0, 1, np.random.default_rng(1))
    batches = list(epoch.batches())
    seen = sorted((u, i) for b in batches for u, i in zip(b.users.tolist(), b.items.tolist(), strict=True))
    assert seen == sorted(zip(users.tolist(), items.tolist(), strict=True))
    assert [b.samples for b in batches] == [16, 16, 16, 16, 6]
    assert len(epoch) == 5
    for batch in batches:
        assert batch.negatives.shape == (batch.samples, 3)
        for user, row in zip(batch.users.tolist(), batch.negatives.tolist(), strict=True):
            assert not {(user, item) for item in row} & chosen
    again = list(pairs.epoch(0, 1, np.random.default_rng(1)).batches(2))
    assert all(np.array_equal(a.negatives, b.negatives) for a, b in zip(again, batches[2:], strict=True))


def test_a_user_who_chose_everything_does_not_hang() -> None:
    pairs = TrainingPairs(np.zeros(4, int), np.arange(4), 4)
    assert pairs.epoch(0, 1, np.random.default_rng(0)).samples == 4


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(DataError, match="no training interactions"):
        TrainingPairs(np.zeros(0, int), np.zeros(0, int), 3)


def test_users_come_with_all_their_pairs() -> None:
    rng = np.random.default_rng(0)
    pairs = TrainingPairs(rng.integers(0, 9, 70), rng.integers(0, 30, 70), 30, batch=16, by_user=True)
    orders = [pairs.users[pairs.epoch(number, 2, rng).order] for number in range(2)]
    for order in orders:
        assert np.array_equal(np.sort(order), np.sort(pairs.users))
        assert (np.diff(order) != 0).sum() == len(np.unique(order)) - 1
    assert not np.array_equal(*orders)
    assert pairs.digest != TrainingPairs(pairs.users, pairs.items, 30, batch=16).digest
