"""Queries with histories and targets from a part for every interaction, and the ragged arrays they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Cases, History, Int64, Interactions, QueryBatch, Task, indptr_of

if TYPE_CHECKING:
    from reasonrec_core.data.dataset import Dataset

Index = npt.NDArray[np.intp]
UInt8 = npt.NDArray[np.uint8]

TRAIN, VALID, TEST, LEFT_OUT = 0, 1, 2, 255
"""Codes of the parts that interactions belong to."""
SHORTEST = 3
"""A user needs one interaction for each part; shorter sequences stay in training."""


@dataclass(frozen=True)
class Division:
    """What a rule decides; `make_split` turns it into a `Split`.

    Attributes:
        parts: uint8[N] part of each interaction.
        valid: validation cases.
        test: test cases.
        words: the rule, one sentence without a full stop.
        left_out: what was not used, by reason.
    """

    parts: UInt8
    valid: Cases
    test: Cases
    words: str
    left_out: Mapping[str, int] = field(default_factory=dict)


def make_user_cases(log: Interactions, history: Bool, target: Bool, n_users: int, times: Int64 | None = None) -> Cases:
    """One query per user that has a target; rows are in the log's order.

    Args:
        log: N interactions, sorted by user, oldest first.
        history: bool[N] rows that a query's history consists of.
        target: bool[N] rows whose items are the query's targets.
        n_users: users have dense indices below this.
        times: int64[n_users] time of each user's request, in no known context; by default those of the first target.
    """
    targets_per_user = np.bincount(log.users[target], minlength=n_users)
    asked = np.flatnonzero(targets_per_user).astype(np.int32)
    wanted = history & (targets_per_user[log.users] > 0)
    past = log.take(wanted)
    lengths = np.bincount(past.users, minlength=n_users)[asked]
    target_indptr = indptr_of(targets_per_user[asked])
    first = log.take(np.flatnonzero(target)[target_indptr[:-1]])
    when = (first.times, first.context) if times is None else (times[asked], None)
    queries = QueryBatch(Task.SEQUENTIAL, asked, History(indptr_of(lengths), past.items, past.times), 10, None, *when)
    return Cases(queries, target_indptr, log.items[target])


def cut_sequences(dataset: Dataset, log: Interactions, n_valid: Int64, n_test: Int64, words: str) -> Division:
    """Cut each user's sequence from its end; sequences of fewer than `SHORTEST` interactions stay in training.

    Args:
        dataset: what is divided.
        log: N interactions, sorted by user, oldest first.
        n_valid: int64[n_users] how many interactions validate.
        n_test: int64[n_users] how many after them are tested.
        words: the rule.

    Raises:
        DataError: no sequence is long enough.
    """
    bounds = compute_user_bounds(log, dataset.n_users)
    lengths = np.diff(bounds)
    long = lengths >= SHORTEST
    if not long.any():
        what = f"too little data: no user has {SHORTEST} interactions (longest sequence: {lengths.max(initial=0)})"
        fix = 'Add more data; if many users have only one or two interactions, try split.kind = "temporal".'
        raise DataError(what, where=dataset.name, fix=fix)
    from_end = bounds[1:][log.users] - 1 - np.arange(len(log))
    parts: UInt8 = np.full(len(log), TRAIN, np.uint8)
    in_test = long[log.users] & (from_end < n_test[log.users])
    in_valid = long[log.users] & ~in_test & (from_end < (n_test + n_valid)[log.users])
    parts[in_test], parts[in_valid] = TEST, VALID
    valid = make_user_cases(log, parts == TRAIN, in_valid, dataset.n_users)
    test = make_user_cases(log, ~in_test, in_test, dataset.n_users)
    short = int((lengths[lengths > 0] < SHORTEST).sum())
    left = {f"users with fewer than {SHORTEST} interactions, kept in training": short} if short else {}
    return Division(parts, valid, test, words, left)


def drop_unreachable(cases: Cases, n_items: int, *, repeats: str, min_history: int) -> tuple[Cases, dict[str, int]]:
    """Drop doubled targets, targets already in the history (``repeats="drop"``) and queries with short histories.

    Returns the cases and how many targets and queries went, by reason.
    """
    counts: dict[str, int] = {}
    rows = cases.rows
    keys = make_pair_keys(rows, cases.targets, n_items)
    keep = np.zeros(len(keys), np.bool_)
    keep[np.unique(keys, return_index=True)[1]] = True
    if repeats == "drop":
        seen = contains_keys(compute_history_keys(cases.queries.history, n_items), keys)
        counts["targets already in the history"] = int((keep & seen).sum())
        keep &= ~seen
    short = cases.queries.history.lengths < min_history
    counts[f"queries with fewer than {min_history} items of history"] = int(short.sum())
    lengths = np.bincount(rows[keep], minlength=len(cases))
    cases = Cases(cases.queries, indptr_of(lengths), cases.targets[keep], cases.labels)
    kept = cases.take(np.flatnonzero((lengths > 0) & ~short))
    return kept, {reason: count for reason, count in counts.items() if count}


def compute_user_bounds(log: Interactions, n_users: int) -> Int64:
    """int64[n_users + 1]: rows of user ``u`` are ``bounds[u]:bounds[u + 1]``."""
    return indptr_of(np.bincount(log.users, minlength=n_users))


def make_pair_keys(rows: npt.NDArray[np.integer], items: npt.NDArray[np.integer], n_items: int) -> Int64:
    """int64 numbers ``row * n_items + item``, one for each pair of a user or query and an item; shapes broadcast."""
    keys: Int64 = rows.astype(np.int64) * n_items + items
    return keys


def compute_history_keys(history: History, n_items: int) -> Int64:
    """Sorted int64[L] keys ``row * n_items + item``, for `contains_keys`."""
    return np.sort(make_pair_keys(history.rows, history.items, n_items))


def contains_keys(sorted_keys: Int64, keys: Int64) -> Bool:
    """Which of ``keys`` (any shape) occur in ``sorted_keys``."""
    if not len(sorted_keys):
        return np.zeros(keys.shape, np.bool_)
    at = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    found: Bool = sorted_keys[at] == keys
    return found
