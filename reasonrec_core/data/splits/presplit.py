"""Parts that came with the data: rankings per user, or click labels row by row."""

from __future__ import annotations

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.ragged import Index, ragged, user_bounds
from reasonrec_core.data.split import TEST, TRAIN, VALID, UInt8
from reasonrec_core.data.splits.cases import Division, row_cases, user_cases
from reasonrec_core.data.splits.config import SplitConfig
from reasonrec_core.data.splits.per_user import spread
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Cases, Float32, History, Interactions, Task, indptr_of


def predefined(dataset: Dataset, log: Interactions, used: Bool, config: SplitConfig) -> Division:
    """Use the parts as given. With labels every row of validation and test is a click-through case."""
    given = dataset.parts
    if given is None:
        raise DataError(
            "the data comes without parts (train, valid, test)",
            where=dataset.name,
            fix="Use another kind of split, or import files named train, valid and test.",
        )
    parts = given[used]
    for code, name in ((TRAIN, "train"), (VALID, "valid"), (TEST, "test")):
        if not (parts == code).any():
            raise DataError(f"the predefined part {name!r} is empty", where=dataset.name)
    labels = _labels(dataset, log, config)
    history = dataset.given_history
    if labels is not None or history is not None:
        valid, test = (_by_row(dataset, log, used, parts, labels, code) for code in (VALID, TEST))
        how = "as the source gives it" if history is not None else "the user's earlier positives, own part included"
        words = f"predefined parts, one query per row, history {how}"
    else:
        n = dataset.n_users
        valid = user_cases(log, parts == TRAIN, parts == VALID, n)
        test = user_cases(log, (parts == TRAIN) | (parts == VALID), parts == TEST, n)
        words = "predefined parts, one query per user with all targets of the part, history = the earlier parts"
    return Division(spread(parts, used), valid, test, words + (", click labels" if labels is not None else ""))


def _labels(dataset: Dataset, log: Interactions, config: SplitConfig) -> Float32 | None:
    """float32[N] of 0 and 1, or None for a ranking split."""
    if config.task not in {None, Task.CTR}:
        return None
    if log.values is None:
        if config.task is Task.CTR:
            raise DataError("click cases need labels, but the interactions have no value column", where=dataset.name)
        return None
    if config.min_value is not None:
        return (log.values >= config.min_value).astype(np.float32)
    binary = bool(np.isin(log.values, (0.0, 1.0)).all())
    if not binary and config.task is Task.CTR:
        raise DataError(
            f"the values ({log.values.min():g} to {log.values.max():g}) are no labels",
            where=dataset.name,
            fix="Set min_value: values from there on count as clicks.",
        )
    return log.values if binary else None


def _by_row(dataset: Dataset, log: Interactions, used: Bool, parts: UInt8, labels: Float32 | None, part: int) -> Cases:
    rows: Index = np.flatnonzero(parts == part)
    given = dataset.given_history
    if given is None:
        history = _earlier(dataset, log, parts, labels, part, rows)
    else:
        history = given.take(np.flatnonzero(used)[rows])
    task = Task.SEQUENTIAL if labels is None else Task.CTR
    return row_cases(log, rows, history, None if labels is None else labels[rows], task)


def _earlier(
    dataset: Dataset, log: Interactions, parts: UInt8, labels: Float32 | None, part: int, rows: Index
) -> History:
    """Per row the user's strictly earlier positives in this part or one before; equal times are not earlier."""
    positive = parts <= part if labels is None else (labels > 0) & (parts <= part)
    before = indptr_of(positive.astype(np.int64))
    starts = user_bounds(log, dataset.n_users)[log.users[rows]]
    new = np.ones(len(log), np.bool_)
    new[1:] = (np.diff(log.times) != 0) | (np.diff(log.users) != 0)
    tie_start = np.maximum.accumulate(np.where(new, np.arange(len(log)), 0))
    indptr, source = ragged(before[starts], before[tie_start[rows]])
    past = np.flatnonzero(positive)[source]
    return History(indptr, log.items[past], log.times[past])
