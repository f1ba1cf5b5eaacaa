"""Rules that cut each user's own sequence: leave-one-out and ratio."""

from __future__ import annotations

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.ragged import user_bounds
from reasonrec_core.data.split import LEFT_OUT, TEST, TRAIN, VALID, UInt8
from reasonrec_core.data.splits.cases import Division, user_cases
from reasonrec_core.data.splits.config import SplitConfig
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Int64, Interactions

SHORTEST = 3
"""A user needs one interaction for each part; shorter sequences stay in training."""


def leave_one_out(dataset: Dataset, log: Interactions, used: Bool, config: SplitConfig) -> Division:
    """The last interaction of each user is tested, the one before validates, the rest trains."""
    ones = np.ones(dataset.n_users, np.int64)
    return _divide(
        dataset,
        log,
        used,
        ones,
        ones,
        "leave-one-out: per user the last interaction is tested, the one before validates, the rest trains",
    )


def ratio(dataset: Dataset, log: Interactions, used: Bool, config: SplitConfig) -> Division:
    """The last ``test`` share of each user's interactions is tested, the ``valid`` share before it validates.

    Shares are rounded down, but to no less than one interaction.
    """
    bounds = user_bounds(log, dataset.n_users)
    n_valid = np.maximum(np.floor(np.diff(bounds) * config.valid + 1e-9), 1).astype(np.int64)
    n_test = np.maximum(np.floor(np.diff(bounds) * config.test + 1e-9), 1).astype(np.int64)
    words = (
        f"per-user ratio: the last {config.test:.0%} of each user's interactions are tested, "
        f"{config.valid:.0%} before them validate (at least one each), the rest trains"
    )
    return _divide(dataset, log, used, n_valid, n_test, words)


def _divide(dataset: Dataset, log: Interactions, used: Bool, n_valid: Int64, n_test: Int64, words: str) -> Division:
    """Cut each sequence from its end: ``n_test`` rows, ``n_valid`` before them; too short sequences stay whole."""
    bounds = user_bounds(log, dataset.n_users)
    lengths = np.diff(bounds)
    long = lengths >= SHORTEST
    if not long.any():
        one = int((lengths == 1).sum())
        raise DataError(
            f"no user has {SHORTEST} interactions (longest sequence: {int(lengths.max(initial=0))}; "
            f"{one} users have only one)",
            where=dataset.name,
            fix="A split per user needs one interaction for each part; use the temporal split or more data.",
        )
    from_end = bounds[1:][log.users] - 1 - np.arange(len(log))
    parts: UInt8 = np.full(len(log), TRAIN, np.uint8)
    in_test = long[log.users] & (from_end < n_test[log.users])
    in_valid = long[log.users] & ~in_test & (from_end < (n_test + n_valid)[log.users])
    parts[in_test], parts[in_valid] = TEST, VALID
    valid = user_cases(log, parts == TRAIN, in_valid, dataset.n_users)
    test = user_cases(log, ~in_test, in_test, dataset.n_users)
    short = int((lengths[lengths > 0] < SHORTEST).sum())
    left = {f"users with fewer than {SHORTEST} interactions, kept in training": short} if short else {}
    return Division(spread(parts, used), valid, test, words, left)


def spread(parts: UInt8, used: Bool) -> UInt8:
    """Parts of the used rows, put back to all rows of the dataset."""
    whole: UInt8 = np.full(len(used), LEFT_OUT, np.uint8)
    whole[used] = parts
    return whole
