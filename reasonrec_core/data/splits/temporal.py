"""The global temporal split: one moment for everybody, so that nothing learned lies after anything tested."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import LEFT_OUT, TEST, TRAIN, VALID, UInt8
from reasonrec_core.data.splits.cases import Division, user_cases
from reasonrec_core.data.splits.config import SplitConfig, seconds
from reasonrec_core.data.splits.per_user import spread
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Int64, Interactions


def temporal(dataset: Dataset, log: Interactions, used: Bool, config: SplitConfig) -> Division:
    """Two moments cut the log; a query asks at a cut for all that its user did in the window after it.

    Equal times never straddle a cut: they go to the later part.
    """
    if not dataset.has_clock:
        raise DataError(
            "a temporal split needs timestamps, but this log only has an order within each user",
            where=dataset.name,
            fix="Use leave-one-out or ratio, or import with a timestamp column.",
        )
    first, second = _cuts(dataset, log, config)
    end = seconds(config.until) if config.until else np.iinfo(np.int64).max
    parts: UInt8 = np.full(len(log), TRAIN, np.uint8)
    parts[log.times >= first], parts[log.times >= second], parts[log.times >= end] = VALID, TEST, LEFT_OUT
    for code, name in ((TRAIN, "training"), (VALID, "validation"), (TEST, "test")):
        if not (parts == code).any():
            raise DataError(
                f"the temporal split leaves no interactions for {name} (log: {_day(int(log.times.min()))} to "
                f"{_day(int(log.times.max()))}, cuts: {_day(first)}, {_day(second)})",
                where=dataset.name,
                fix="Set valid_from and test_from inside the log, or other shares.",
            )
    n = dataset.n_users
    valid = user_cases(log, parts == TRAIN, parts == VALID, n, np.full(n, first, np.int64))
    test = user_cases(log, (parts == TRAIN) | (parts == VALID), parts == TEST, n, np.full(n, second, np.int64))
    until = f" until {_day(end)}" if config.until else ""
    words = (
        f"global temporal: trained before {_day(first)}, validated up to {_day(second)}, tested from there{until}; "
        "the targets are all that a user did in the window"
    )
    late = int((parts == LEFT_OUT).sum())
    return Division(
        spread(parts, used), valid, test, words, {"interactions after the test window": late} if late else {}
    )


def _cuts(dataset: Dataset, log: Interactions, config: SplitConfig) -> tuple[int, int]:
    if config.valid_from and config.test_from:
        return seconds(config.valid_from), seconds(config.test_from)
    if not len(log) or log.times.min() == log.times.max():
        raise DataError(
            "all interactions have the same time, so no moment divides them",
            where=dataset.name,
            fix="Check the timestamp column, or use leave-one-out.",
        )
    times: Int64 = np.sort(log.times)
    cuts = [times[min(round(len(times) * share), len(times) - 1)] for share in _shares(config)]
    if cuts[0] == cuts[1]:
        raise DataError(
            f"both cuts fall on {_day(int(cuts[0]))}: too many interactions share that time",
            where=dataset.name,
            fix="Set valid_from and test_from, or larger shares.",
        )
    return int(cuts[0]), int(cuts[1])


def _shares(config: SplitConfig) -> tuple[float, float]:
    return 1 - config.valid - config.test, 1 - config.test


def _day(moment: int) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S").removesuffix(" 00:00:00")
    except (OverflowError, ValueError, OSError):  # positions or other clocks
        return str(moment)
