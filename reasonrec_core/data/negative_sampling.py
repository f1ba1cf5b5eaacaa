"""Candidates: each target among items that its user never touched, or as a click beside one of them; drawn once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_core.data.cases import compute_user_bounds, contains_keys, make_pair_keys
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import Split, to_bytes
from reasonrec_core.errors import DataError
from reasonrec_core.io import content_hash
from reasonrec_core.types import Cases, Int32, Int64, Task, concatenate_ranges, indptr_of

CELLS = 4_000_000
"""How many random numbers are held at once."""


def draw_direct_split(split: Split, dataset: Dataset, *, negatives: int, seed: int) -> Split:
    """The same split for `Task.DIRECT`: one query per target, with candidates drawn once from the seed."""
    valid = draw_candidates(split.valid, dataset, negatives, seed)
    test = draw_candidates(split.test, dataset, negatives, seed + 1)
    words = (
        f"{split.protocol}; each target among {negatives} uniform negatives that its user never touched (seed {seed})"
    )
    drawn = content_hash(split.hash, to_bytes(valid.queries.candidates), to_bytes(test.queries.candidates))
    return replace(split, valid=valid, test=test, protocol=words, hash=drawn)


def draw_click_split(split: Split, dataset: Dataset, *, seed: int) -> Split:
    """The same split for `Task.CTR` where nobody said no: each target as a click, beside one drawn item as none.

    One query per target with two candidates in an order of chance; labels float32[T, 2] are 1 for the target and 0 for
    an item, uniform over those that the user never touched. Half of all rows are clicks, by construction.

    Raises:
        DataError: the split has labelled rows, or a user has touched everything.
    """
    if split.test.labels is not None:
        raise DataError(
            "the rows of this split are labelled, so clicks cannot be drawn beside rankings",
            where=dataset.name,
            fix='Use evaluate.tasks = ["ctr"] on its own.',
        )
    drawn = draw_direct_split(split, dataset, negatives=1, seed=seed)
    words = f"{split.protocol}; clicks: each target against one uniform item that its user never touched (seed {seed})"
    return replace(drawn, valid=_mark_clicks(drawn.valid), test=_mark_clicks(drawn.test), protocol=words)


def _mark_clicks(cases: Cases) -> Cases:
    candidates = cases.queries.candidates
    assert candidates is not None
    labels = (candidates == cases.targets[:, None]).astype(np.float32)
    return replace(cases, queries=replace(cases.queries, task=Task.CTR), labels=labels)


def draw_candidates(cases: Cases, dataset: Dataset, negatives: int, seed: int) -> Cases:
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
    rows = cases.rows
    keys = _find_touched(cases, dataset)
    free = dataset.n_items - np.bincount(keys // dataset.n_items, minlength=len(cases))[rows]
    if len(rows) and free.min() < negatives:
        worst = dataset.users.column("user_id")[int(cases.queries.users[rows[free.argmin()]])].as_py()
        raise DataError(
            f"user {worst!r} has interacted with {dataset.n_items - free.min()} of the {dataset.n_items} items, which "
            f"leaves too few: each target needs {negatives} others",
            where=dataset.name,
            fix=f"Ask for at most {free.min()} negatives (split.negatives, --negatives; 0 leaves out the direct task).",
        )
    drawn = np.empty((len(rows), negatives), np.int32)
    # Rejection is fast where nearly everything is free; where it is not, all items get random ranks.
    easy = free > np.maximum(2 * negatives, dataset.n_items // 2)
    for chosen, draw in ((np.flatnonzero(easy), _draw_by_rejection), (np.flatnonzero(~easy), _draw_by_rank)):
        step = max(1, CELLS // (4 * negatives if draw is _draw_by_rejection else dataset.n_items))
        for start in range(0, len(chosen), step):
            part = chosen[start : start + step]
            drawn[part] = draw(rows[part], keys, negatives, dataset.n_items, rng)
    place = np.arange(negatives + 1)[None, :] == rng.integers(0, negatives + 1, len(rows))[:, None]
    candidates = np.empty((len(rows), negatives + 1), np.int32)
    candidates[place], candidates[~place] = cases.targets, drawn.ravel()
    asked = replace(cases.queries.take(rows), task=Task.DIRECT, candidates=candidates)
    return Cases(asked, indptr_of(np.ones(len(rows), np.int64)), cases.targets)


def _find_touched(cases: Cases, dataset: Dataset) -> Int64:
    """Sorted unique keys ``query * n_items + item`` of all that the query's user ever touched."""
    log, queries = dataset.interactions, cases.queries
    bounds = compute_user_bounds(log, dataset.n_users)
    known = queries.users >= 0
    users = np.where(known, queries.users, 0)
    indptr, source = concatenate_ranges(bounds[users], np.where(known, bounds[users + 1], bounds[users]))
    owner = np.repeat(np.arange(len(cases), dtype=np.int64), np.diff(indptr))
    rows = (owner, queries.history.rows, cases.rows)
    items = (log.items[source], queries.history.items, cases.targets)
    return np.unique(make_pair_keys(np.concatenate(rows), np.concatenate(items), dataset.n_items))


def _draw_by_rejection(rows: Int64, keys: Int64, negatives: int, n_items: int, rng: np.random.Generator) -> Int32:
    """Draw in order, skip touched and doubled items, take the first ``negatives``: uniform without replacement."""
    result = np.empty((len(rows), negatives), np.int32)
    draws = rng.integers(0, n_items, (len(rows), 2 * negatives), dtype=np.int32)
    open_rows = np.arange(len(rows))
    while len(open_rows):
        good = ~contains_keys(keys, make_pair_keys(rows[open_rows, None], draws, n_items)) & ~_find_doubled(draws)
        enough = good.sum(axis=1) >= negatives
        first = good[enough] & (np.cumsum(good[enough], axis=1) <= negatives)
        result[open_rows[enough]] = draws[enough][first].reshape(-1, negatives)
        open_rows, draws = open_rows[~enough], draws[~enough]
        more = rng.integers(0, n_items, (len(open_rows), 2 * negatives), dtype=np.int32)
        draws = np.concatenate([draws, more], axis=1)
    return result


def _find_doubled(draws: Int32) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """bool like ``draws``: an equal item stands further left in the row."""
    order = np.argsort(draws, axis=1, kind="stable")
    ordered = np.take_along_axis(draws, order, axis=1)
    again = np.zeros(draws.shape, np.bool_)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    doubled = np.empty_like(again)
    np.put_along_axis(doubled, order, again, axis=1)
    return doubled


def _draw_by_rank(rows: Int64, keys: Int64, negatives: int, n_items: int, rng: np.random.Generator) -> Int32:
    """Give every item a random rank, touched ones the last, and take the first ``negatives``."""
    ranks = rng.random((len(rows), n_items))
    ranks[contains_keys(keys, make_pair_keys(rows[:, None], np.arange(n_items), n_items))] = 2.0
    return np.argpartition(ranks, negatives - 1, axis=1)[:, :negatives].astype(np.int32)
