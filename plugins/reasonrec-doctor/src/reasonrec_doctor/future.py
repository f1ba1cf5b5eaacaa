"""Is anything trained on, or shown as history, that happened after the question?"""

from __future__ import annotations

import numpy as np

from reasonrec_core.data.split import Split
from reasonrec_core.types import Cases, Int64
from reasonrec_doctor.finding import Examined, Finding, Severity

NAME = "future"
NEVER = np.iinfo(np.int64).min


def check(examined: Examined) -> list[Finding]:
    """A user's own later interactions in training; later entries in a history; a catalogue-wide look ahead."""
    split = examined.split
    if split is None:
        return []
    found = []
    for name, cases in (("validation", split.valid), ("test", split.test)):
        if cases.queries.times is not None:
            found += _own(examined, split, name, cases, cases.queries.times)
            found += _history(examined, name, cases, cases.queries.times)
    return found + _everybody(examined, split)


def _own(examined: Examined, split: Split, name: str, cases: Cases, times: Int64) -> list[Finding]:
    newest = np.full(examined.dataset.n_users, NEVER, np.int64)
    np.maximum.at(newest, split.train.users, split.train.times)
    known = cases.queries.users >= 0
    late = known & (newest[np.maximum(cases.queries.users, 0)] > times)
    if not late.any():
        return []
    cold = split.config.get("kind") == "cold-item"
    row = int(np.flatnonzero(late)[0])
    return [
        Finding(
            NAME,
            Severity.INFO if cold else Severity.ERROR,
            f"training contains interactions of the same user from after the {name} request",
            int(late.sum()),
            len(late),
            f"user {examined.user(int(cases.queries.users[row]))}: request at {times[row]}, training up to "
            f"{newest[cases.queries.users[row]]}",
            "This split holds out items, not times; judge components that use time with another split."
            if cold
            else "Split by time, or check how the parts were made.",
        )
    ]


def _history(examined: Examined, name: str, cases: Cases, times: Int64) -> list[Finding]:
    history = cases.queries.history
    if examined.dataset.given_history is not None or not len(history.items):
        return []  # a given history has an order, but no clock to compare with
    late = np.zeros(len(cases), np.bool_)
    late[history.rows[history.times > times[history.rows]]] = True
    if not late.any():
        return []
    row = int(np.flatnonzero(late)[0])
    return [
        Finding(
            NAME,
            Severity.ERROR,
            f"the history of {name} requests contains interactions from after the request",
            int(late.sum()),
            len(late),
            f"user {examined.user(int(cases.queries.users[row]))}",
            "The parts overlap in time: use the temporal split, or parts that follow each other.",
        )
    ]


def _everybody(examined: Examined, split: Split) -> list[Finding]:
    times = split.test.queries.times
    if not examined.dataset.has_clock or times is None or not len(split.train):
        return []
    early = times < split.train.times.max()
    if not early.any():
        return []
    given = split.config.get("kind") == "predefined"
    row = int(np.flatnonzero(early)[0])
    return [
        Finding(
            NAME,
            Severity.WARNING if given else Severity.INFO,
            "test requests are older than the newest training interaction of other users: future trends are known",
            int(early.sum()),
            len(early),
            f"user {examined.user(int(split.test.queries.users[row]))}: request at {times[row]}, training "
            f"up to {split.train.times.max()}",
            "Every split per user has this problem; the temporal split avoids it.",
        )
    ]
