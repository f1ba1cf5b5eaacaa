"""The run that a worker answers from, and who asks it: one thread for answers, others for all else that takes time."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from http import HTTPStatus
from typing import TypeVar

import numpy as np

from reasonrec_core.errors import ReasonRecError
from reasonrec_serve.history_store import StoreUnavailable
from reasonrec_serve.http.learning import Learner
from reasonrec_serve.http.live import LiveHistories
from reasonrec_serve.http.metrics import Metrics
from reasonrec_serve.http.outcomes import OutcomeFollower
from reasonrec_serve.http.problems import Refused
from reasonrec_serve.http.settings import ServeSettings, find_store
from reasonrec_serve.http.thumbnails import Thumbnails
from reasonrec_serve.recommender import Recommender
from reasonrec_serve.search import ItemSearch, UserSearch

LOG = logging.getLogger("reasonrec.serve")
T = TypeVar("T")
WARM_UP = 8
"""Requests that are answered before the worker says that it is ready: the first ones take longer."""
SWITCH = 0.001
"""Seconds after which the answering thread lets another one in: what is short does not wait for what is long."""


class Service:
    """A finished run, asked one request at a time.

    Threads of one process do not answer faster than one, so there is one that answers; the event loop stays free for
    health checks, pictures and refusals. More processes answer more.

    Args:
        settings: what the server was told.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings, self.started, self.metrics = settings, time.time(), Metrics()
        self.live = LiveHistories(find_store(settings), self.metrics.count_failure)
        self.busy, self.ready, self.learned = 0, False, 0
        self.outcomes: OutcomeFollower | None = None
        self._answering = ThreadPoolExecutor(1, "answers")
        self._aside = ThreadPoolExecutor(2, "aside")
        self._learning: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Load the run and warm it up.

        Raises:
            ReasonRecError: the run cannot be served.
        """
        begin = time.perf_counter()
        run = Recommender.open(self.settings.run, trace=False)
        loaded = time.perf_counter()
        warm_up(run)
        if self.settings.trace:
            # Whatever the run's own trace says: who asks a server has not agreed to be named.
            run.config = run.config.model_copy(update={"trace": {**run.config.trace, "hash_users": True}})
            run.on_answer = run.find_watcher(True)
        self.recommender = run
        LOG.info("loaded in %.2f s, warm after %.2f s", loaded - begin, time.perf_counter() - begin)

    async def open(self) -> None:
        """Take requests."""
        sys.setswitchinterval(SWITCH)
        self.ready = True
        if self.settings.learn and self.live.store is not None:
            self.outcomes = OutcomeFollower(self.recommender, self.live.store)
            self._learning = asyncio.create_task(self._learn(Learner(self.recommender, self.live.store), self.outcomes))

    async def close(self) -> None:
        """Finish what was begun."""
        self.ready = False
        if self._learning is not None:
            self._learning.cancel()
            with suppress(asyncio.CancelledError):
                await self._learning
        self._answering.shutdown(wait=True, cancel_futures=True)
        self._aside.shutdown(wait=True, cancel_futures=True)
        if self.live.store is not None:
            self.live.store.close()

    async def ask(self, work: Callable[[Recommender], T]) -> T:
        """What ``work`` makes of the run, in turn.

        Raises:
            Refused: too many are waiting.
        """
        if not self.ready:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the run is being loaded", fix="Try again.", retry=1)
        if self.busy >= self.settings.queue:
            what = f"{self.busy} requests are waiting already"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, what, fix="Try again, or start more workers.", retry=1)
        self.busy += 1
        try:
            return await self._run(self._answering, lambda: work(self.recommender))
        finally:
            self.busy -= 1

    async def aside(self, work: Callable[[], T]) -> T:
        """What ``work`` gives that does not ask the run: pictures, searches, the store."""
        return await self._run(self._aside, work)

    @cached_property
    def items(self) -> ItemSearch:
        """Finds items."""
        return ItemSearch(self.recommender.dataset.catalog)

    @cached_property
    def users(self) -> UserSearch:
        """Finds users."""
        return UserSearch(self.recommender.dataset)

    @cached_property
    def pictures(self) -> Thumbnails:
        """Pictures of items."""
        return Thumbnails(self.recommender.dataset.catalog)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def _learn(self, learner: Learner, outcomes: OutcomeFollower) -> None:
        """Learn what is new, again and again: confidence and counting delegates; requests are answered meanwhile."""
        while True:
            try:
                for outcome in await self._run(self._aside, lambda: self.live.call(outcomes.read)):
                    await self._run(self._answering, partial(outcomes.learn, outcome))
                agent = await self._run(self._aside, lambda: self.live.call(learner.catch_up))
                if agent is not None:
                    await self._run(self._answering, partial(setattr, self.recommender, "agent", agent))
                    self.learned = learner.learned
            except StoreUnavailable:
                pass  # was logged and counted; what is new is learned when the store is back
            except ReasonRecError as error:
                LOG.error("learning from events failed: %s", error)
                return
            await asyncio.sleep(self.settings.learn)


def warm_up(run: Recommender) -> None:
    """Answer a few requests, with their steps: of some users, and one without a history."""
    log, ids = run.dataset.interactions, run.dataset.catalog.ids
    starts = np.flatnonzero(np.diff(log.users, prepend=-1))
    some = np.linspace(0, len(starts) - 1, min(WARM_UP, len(starts))).astype(np.intp)
    logs = (log.items[log.users == user] for user in log.users[starts[some]])
    for history in [*([ids[item] for item in items.tolist()] for items in logs), []]:
        try:
            len(run.recommend(history=history).steps)
        except ReasonRecError as error:
            LOG.warning("a request that warms up failed: %s", error)
