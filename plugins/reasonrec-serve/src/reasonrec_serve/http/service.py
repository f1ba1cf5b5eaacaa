"""The run that a worker answers from, and who asks it: one thread for answers, one for all else that takes time."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from http import HTTPStatus
from typing import TypeVar

import numpy as np

from reasonrec_core.errors import ConfigError, ReasonRecError
from reasonrec_serve.http.problems import Refused
from reasonrec_serve.http.search import ItemSearch, UserSearch
from reasonrec_serve.http.settings import ServeSettings
from reasonrec_serve.http.thumbnails import Thumbnails
from reasonrec_serve.recommender import Recommender

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
        self.settings, self.started = settings, time.time()
        self.busy = 0
        self.ready = False
        self._answering = ThreadPoolExecutor(1, "answers")
        self._aside = ThreadPoolExecutor(2, "aside")

    async def open(self) -> None:
        """Load the run and warm it up; the worker takes requests when this is done."""
        sys.setswitchinterval(SWITCH)
        await self._run(self._answering, self._load)
        await self._run(self._aside, self._prepare)
        self.ready = True

    async def close(self) -> None:
        """Finish what was begun."""
        self.ready = False
        self._answering.shutdown(wait=True, cancel_futures=True)
        self._aside.shutdown(wait=True, cancel_futures=True)

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

    def _load(self) -> None:
        begin = time.perf_counter()
        self.recommender = Recommender.open(self.settings.run, trace=False)
        loaded = time.perf_counter()
        self._warm_up()
        LOG.info("loaded in %.2f s, warm after %.2f s", loaded - begin, time.perf_counter() - begin)

    def _warm_up(self) -> None:
        """Answer a few requests: of some users, and one without a history."""
        dataset = self.recommender.dataset
        log, ids = dataset.interactions, dataset.catalog.ids
        starts = np.flatnonzero(np.diff(log.users, prepend=-1))
        some = np.linspace(0, len(starts) - 1, min(WARM_UP, len(starts))).astype(np.intp)
        logs = (log.items[log.users == user] for user in log.users[starts[some]])
        histories = [[ids[item] for item in items.tolist()] for items in logs]
        for history in [*histories, []]:
            try:
                answer = self.recommender.recommend(history=history)
                len(answer.steps)
            except ReasonRecError as error:
                LOG.warning("a request that warms up failed: %s", error)

    def _prepare(self) -> None:
        """What the first search would wait for."""
        self.items.find("", 1)
        self.users.find("", 1)


def require_task(recommender: Recommender) -> None:
    """Refuse a run that ranks nothing.

    Raises:
        ConfigError: its task is clicks or explanations.
    """
    if not any(task.ranks for task in recommender.config.tasks):
        raise ConfigError(f"the run was made for {recommender.task}: it ranks nothing", where=str(recommender.run.path))
