"""Candidate sets: each target among items that its user never touched, drawn once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.ragged import contains, ragged, target_rows, user_bounds
from reasonrec_core.errors import DataError
from reasonrec_core.types import Cases, Int32, Int64, Task, indptr_of

CELLS = 4_000_000
"""How many random numbers are held at once."""


def with_candidates(cases: Cases, dataset: Dataset, negatives: int, seed: int) -> Cases:
    """Make the cases a `Task.DIRECT`: one query per target, each with 1 + ``negatives`` candidates.

    Negatives are uniform over the items that the user touches nowhere in the dataset, in no part, and that are neither
    in the query's history nor among its targets. The target stands at a uniformly random place.

    Args:
        cases: queries with T targets in all.
        dataset: where "never touched" is looked up.
        negatives: how many per target.
        seed: equal seeds draw equal candidates.

    Returns:
        T cases; ``queries.candidates``: int32[T, 1 + negatives].

    Raises:
        DataError: a user has touched so many items that too few are left.
    """
    rng = np.random.default_rng(seed)
    rows = target_rows(cases)
    keys = _touched(cases, dataset)
    free = dataset.n_items - np.bincount(keys // dataset.n_items, minlength=len(cases))[rows]
    if len(rows) and free.min() < negatives:
        worst = dataset.users.column("user_id")[int(cases.queries.users[rows[free.argmin()]])].as_py()
        raise DataError(
            f"user {worst!r} has not touched only {free.min()} of {dataset.n_items} items, too few for {negatives} "
            "negatives",
            where=dataset.name,
            fix=f"Ask for at most {free.min()} negatives.",
        )
    drawn = np.empty((len(rows), negatives), np.int32)
    # Rejection is fast where nearly everything is free; where it is not, all items get random ranks.
    easy = free > np.maximum(2 * negatives, dataset.n_items // 2)
    for chosen, draw in ((np.flatnonzero(easy), _reject), (np.flatnonzero(~easy), _permute)):
        step = max(1, CELLS // (4 * negatives if draw is _reject else dataset.n_items))
        for start in range(0, len(chosen), step):
            part = chosen[start : start + step]
            drawn[part] = draw(rows[part], keys, negatives, dataset.n_items, rng)
    place = np.arange(negatives + 1)[None, :] == rng.integers(0, negatives + 1, len(rows))[:, None]
    candidates = np.empty((len(rows), negatives + 1), np.int32)
    candidates[place], candidates[~place] = cases.targets, drawn.ravel()
    asked = replace(cases.queries.take(rows), task=Task.DIRECT, candidates=candidates)
    return Cases(asked, indptr_of(np.ones(len(rows), np.int64)), cases.targets)


def _touched(cases: Cases, dataset: Dataset) -> Int64:
    """Sorted unique keys ``query * n_items + item`` of all that the query's user ever touched."""
    log, queries, n = dataset.interactions, cases.queries, np.int64(dataset.n_items)
    bounds = user_bounds(log, dataset.n_users)
    known = queries.users >= 0
    users = np.where(known, queries.users, 0)
    indptr, source = ragged(bounds[users], np.where(known, bounds[users + 1], bounds[users]))
    owner = np.repeat(np.arange(len(cases), dtype=np.int64), np.diff(indptr))
    return np.unique(
        np.concatenate(
            [
                owner * n + log.items[source],
                queries.history.rows * n + queries.history.items,
                target_rows(cases) * n + cases.targets,
            ]
        )
    )


def _reject(rows: Int64, keys: Int64, negatives: int, n_items: int, rng: np.random.Generator) -> Int32:
    """Draw in order, skip touched and doubled items, take the first ``negatives``: uniform without replacement."""
    result = np.empty((len(rows), negatives), np.int32)
    draws = rng.integers(0, n_items, (len(rows), 2 * negatives), dtype=np.int32)
    open_rows = np.arange(len(rows))
    while len(open_rows):
        good = ~contains(keys, rows[open_rows, None] * np.int64(n_items) + draws) & ~_doubled(draws)
        enough = good.sum(axis=1) >= negatives
        first = good[enough] & (np.cumsum(good[enough], axis=1) <= negatives)
        result[open_rows[enough]] = draws[enough][first].reshape(-1, negatives)
        open_rows, draws = open_rows[~enough], draws[~enough]
        more = rng.integers(0, n_items, (len(open_rows), 2 * negatives), dtype=np.int32)
        draws = np.concatenate([draws, more], axis=1)
    return result


def _doubled(draws: Int32) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """bool like ``draws``: an equal item stands further left in the row."""
    order = np.argsort(draws, axis=1, kind="stable")
    ordered = np.take_along_axis(draws, order, axis=1)
    again = np.zeros(draws.shape, np.bool_)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    doubled = np.empty_like(again)
    np.put_along_axis(doubled, order, again, axis=1)
    return doubled


def _permute(rows: Int64, keys: Int64, negatives: int, n_items: int, rng: np.random.Generator) -> Int32:
    """Give every item a random rank, touched ones the last, and take the first ``negatives``."""
    ranks = rng.random((len(rows), n_items))
    ranks[contains(keys, rows[:, None] * np.int64(n_items) + np.arange(n_items))] = 2.0
    best = np.argpartition(ranks, negatives - 1, axis=1)[:, :negatives]
    return best.astype(np.int32)
