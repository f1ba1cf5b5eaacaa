"""The cold-item split: whole items are held out, so that only their content can lead to them."""

from __future__ import annotations

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.ragged import user_bounds
from reasonrec_core.data.split import TEST, TRAIN, VALID, UInt8
from reasonrec_core.data.splits.cases import Division, user_cases
from reasonrec_core.data.splits.config import SplitConfig
from reasonrec_core.data.splits.per_user import spread
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Cases, Interactions


def cold_item(dataset: Dataset, log: Interactions, used: Bool, config: SplitConfig) -> Division:
    """A seeded share of the items is held out whole; users who chose them are asked with what they did before.

    Validation and test items are disjoint. A query's targets are all its user's held-out items of that part; its
    history is what the user did before the first of them, without the items held out for that part or a later one.
    """
    seen = np.unique(log.items)
    n_valid, n_test = round(len(seen) * config.valid), round(len(seen) * config.test)
    if min(n_valid, n_test) < 1 or n_valid + n_test >= len(seen):
        raise DataError(
            f"of {len(seen)} items with interactions, {n_valid} for validation and {n_test} for the test "
            "cannot be held out",
            where=dataset.name,
            fix="Choose shares that hold out at least one item each and leave some for training.",
        )
    drawn = np.random.default_rng(config.seed).permutation(seen)
    role: UInt8 = np.full(dataset.n_items, TRAIN, np.uint8)
    role[drawn[:n_valid]], role[drawn[n_valid : n_valid + n_test]] = VALID, TEST
    parts = role[log.items]
    if not (parts == TRAIN).any():
        raise DataError("the cold share is too large: no interaction is left for training", where=dataset.name)
    valid = _asked(dataset, log, parts, VALID, parts == TRAIN)
    test = _asked(dataset, log, parts, TEST, parts != TEST)
    words = (
        f"cold items: {n_valid} items are held out whole for validation, {n_test} others for the test; the history is "
        "what came before the first held-out item; training keeps all interactions with the other items, later ones too"
    )
    return Division(spread(parts, used), valid, test, words)


def _asked(dataset: Dataset, log: Interactions, parts: UInt8, part: int, history: Bool) -> Cases:
    target = parts == part
    bounds = user_bounds(log, dataset.n_users)
    first = np.full(dataset.n_users, len(log), np.int64)
    rows = np.flatnonzero(target)
    first[log.users[rows][::-1]] = rows[::-1]  # the first row of each user is written last
    first = np.minimum(first, bounds[1:])
    before = history & (np.arange(len(log)) < first[log.users])
    return user_cases(log, before, target, dataset.n_users)
