"""Histories as they are now: a user's log in the run, and what the store knows of them since."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_serve.history_store import Event, HistoryStore, StoreUnavailable
from reasonrec_serve.request import Request

LOG = logging.getLogger("reasonrec.serve")
T = TypeVar("T")
MOST = 1_000
"""Newest events of a user that are looked at."""
PAUSE = 2.0
"""Seconds in which a store that failed is not asked again, so that not every request waits for it."""


@dataclass(frozen=True)
class Live:
    """What was added to a user's log.

    Attributes:
        events: how many items were.
        unknown: how many events were not, since the run has no such item.
        problem: why there are none, where the store could not be asked; the answer then rests on the log alone.
    """

    events: int = 0
    unknown: int = 0
    problem: str | None = None


class LiveHistories:
    """Asks a store that may be away.

    Args:
        store: None where no events are kept.
        failed: is called whenever the store fails.
    """

    def __init__(self, store: HistoryStore | None, failed: Callable[[], None] = lambda: None) -> None:
        self.store, self._failed = store, failed
        self._asleep_until, self._lock = 0.0, threading.Lock()

    def join(self, dataset: Dataset, request: Request) -> tuple[Request, Live | None]:
        """The request with the user's log and events as its history; None where none is looked for.

        Events that the log has already (the same item at the same time) are the run's own: it was made from them.
        """
        if self.store is None or request.user is None or request.history is not None:
            return request, None
        store, user = self.store, str(request.user)
        try:
            events = self.call(lambda: store.read(user, MOST))
        except StoreUnavailable as error:
            return request, Live(problem=f"{error.what}: the answer is based on what the run knows")
        if not events:
            return request, Live()
        items, added = extend_log(dataset, user, events)
        known = sum(event.item in dataset.catalog.index for event in added)
        return replace(request, history=items), Live(known, len(added) - known)

    def call(self, work: Callable[[], T]) -> T:
        """What ``work`` gets from the store.

        Raises:
            StoreUnavailable: it failed, now or a moment ago.
        """
        with self._lock:
            if time.monotonic() < self._asleep_until:
                raise StoreUnavailable("the store of events cannot be reached")
        try:
            return work()
        except StoreUnavailable as error:
            LOG.warning("%s", error)
            self._failed()
            with self._lock:
                self._asleep_until = time.monotonic() + PAUSE
            raise


def extend_log(dataset: Dataset, user: str, events: list[Event]) -> tuple[list[str], list[Event]]:
    """Raw ids of the log and of the events that are not in it, and those events."""
    index, log, ids = dataset.user_index.get(user, -1), dataset.interactions, dataset.catalog.ids
    low, high = np.searchsorted(log.users, [index, index + 1]) if index >= 0 else (0, 0)
    past = [ids[item] for item in log.items[low:high].tolist()]
    known = set(zip(past, log.times[low:high].tolist(), strict=True))
    added = [event for event in events if (event.item, event.time) not in known]
    return [*past, *(event.item for event in added)], added
