"""Delegates that count learn what happens, without a refit; all other models keep what their fit learned."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from reasonrec_core.components import FeedbackDelegate, Kind
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.pipeline import Agent
from reasonrec_core.types import Interactions
from reasonrec_serve.history_store import Event, HistoryStore
from reasonrec_serve.recommender import Recommender
from reasonrec_serve.wording import join_words

AT_ONCE = 10_000
"""Events that are read at once."""


@runtime_checkable
class UpdatableDelegate(Protocol):
    """A delegate that can learn more rows without being fitted again."""

    @property
    def updates(self) -> bool:
        """Whether its settings let it."""

    def update(self, rows: Interactions) -> None:
        """Learn interactions that came after all that it was fitted on.

        It is then exactly what a fit on the rows before and these would have made of it, with the parameters that it
        has. ``rows`` are sorted by user, oldest first; each user's come after what they did before. A user may be new:
        their index is any number from ``n_users`` of the fit on. Arrays that it had are replaced, not changed: a copy
        of it goes on answering meanwhile.
        """


class Learner:
    """Follows a store, and has the counting delegates of a run learn what is new.

    Routers, calibration and everything else that was fitted stay as they are.

    Args:
        run: whose delegates learn.
        store: what is followed, from its first event.
    """

    def __init__(self, run: Recommender, store: HistoryStore) -> None:
        self.run, self.store = run, store
        self.position, self.learned = 0, 0
        self._new_users: dict[str, int] = {}

    @property
    def labels(self) -> list[str]:
        """Who learns."""
        return list_learning(self.run.agent)

    def catch_up(self) -> Agent | None:
        """Learn what came since the last time; None where that is nothing.

        Returns:
            the agent with delegates that have learned; who asks the run decides when it is put in its place.

        Raises:
            StoreUnavailable: nothing was learned.
        """
        events, position = list[Event](), self.position
        while self.labels:
            more, position = self.store.read_after(position, AT_ONCE)
            if not more:
                break
            events += more
        rows = self._to_rows(events)
        self.position = position
        if not len(rows):
            return None
        agent = self.run.agent
        learned = {
            label: replace(agent.delegates[label], part=copy(agent.delegates[label].part)) for label in self.labels
        }
        for named in learned.values():
            with agent.registry.guard(Kind.DELEGATE, named.name, "update"):
                named.part.update(rows)
        self.learned += len(rows)
        return replace(agent, delegates={**agent.delegates, **learned})

    def _to_rows(self, events: Sequence[Event]) -> Interactions:
        """Events of known items that the run was not made from, sorted by user, in the order in which they came."""
        dataset = self.run.dataset
        found = [
            (self._index_user(event.user), dataset.catalog.index[event.item], event.time)
            for event in events
            if event.item in dataset.catalog.index and not is_logged(dataset, event)
        ]
        table = np.array(found, np.int64).reshape(-1, 3)
        table = table[np.argsort(table[:, 0], kind="stable")]
        return Interactions(table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2])

    def _index_user(self, user: str) -> int:
        known = self.run.dataset.user_index.get(user)
        if known is not None:
            return known
        return self._new_users.setdefault(user, self.run.dataset.n_users + len(self._new_users))


def list_learning(agent: Agent) -> list[str]:
    """Labels of the delegates that learn events as they come."""
    parts = {label: named.part for label, named in agent.delegates.items()}
    return [label for label, part in parts.items() if isinstance(part, UpdatableDelegate) and part.updates]


def list_observing(agent: Agent) -> list[str]:
    """Labels of the delegates that learn from which of the recommended items are chosen."""
    return [label for label, named in agent.delegates.items() if isinstance(named.part, FeedbackDelegate)]


def describe_learning(agent: Agent, *, learn: bool) -> str:
    """What new events change, in one sentence; ``learn``: whether delegates are let (`reasonrec serve --learn`)."""
    known = [*([agent.policy.label] if agent.policy else []), *agent.delegates]
    able, observing = (list_learning(agent), list_observing(agent)) if learn else ([], [])
    fixed = [label for label in known if label not in {*able, *observing}]
    said = [f"{join_words(able)} also {'learns' if len(able) == 1 else 'learn'} from them"] if able else []
    if observing:
        verb = "learns" if len(observing) == 1 else "learn"
        said.append(f"{join_words(observing)} {verb} which of the recommended items are chosen")
    if fixed:
        said.append(f"{join_words(fixed)} {'keeps' if len(fixed) == 1 else 'keep'} what the last fit learned")
    return f"New events count in their users' histories at once; {'; '.join(said)}."


def is_logged(dataset: Dataset, event: Event) -> bool:
    """Whether the run's own log has an event: the same item of the same user at the same time."""
    user = dataset.user_index.get(event.user)
    if user is None:
        return False
    log, item = dataset.interactions, dataset.catalog.index[event.item]
    low, high = np.searchsorted(log.users, [user, user + 1])
    return bool(((log.items[low:high] == item) & (log.times[low:high] == event.time)).any())
