"""Events as outcomes: would the answer just before have had the item, as often as was stated?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reasonrec_core.components import Kind
from reasonrec_serve.answer import Answer
from reasonrec_serve.history_store import Event, HistoryStore
from reasonrec_serve.http.learning import AT_ONCE, is_logged, list_observing
from reasonrec_serve.http.live import MOST, extend_log
from reasonrec_serve.online_calibration import OnlineCalibration
from reasonrec_serve.recommender import Recommender
from reasonrec_serve.request import Request
from reasonrec_serve.resolve import resolve

NEWEST = 2_000
"""Of the events that were there when a worker started, the newest so many are learned."""


@dataclass(frozen=True)
class NextChoice:
    """What somebody chose next, and what they had before.

    Attributes:
        user: raw id.
        history: raw ids, oldest first.
        item: raw id; not one of them.
    """

    user: str
    history: list[str]
    item: str


class OutcomeFollower:
    """Follows a store and corrects confidence by what happened.

    Every new event is a test: the run answers the request as it would have been just before, and its confidence is
    compared with whether the item is among the first. So all workers learn the same, also after they start anew, and
    nothing of the answers that were sent needs to be kept.

    Args:
        run: whose confidence is corrected.
        store: what is followed.
    """

    def __init__(self, run: Recommender, store: HistoryStore) -> None:
        self.run, self.store, self.calibration = run, store, OnlineCalibration()
        self._position: int | None = None

    def read(self) -> list[NextChoice]:
        """What happened since the last time, in the order in which it came.

        Raises:
            StoreUnavailable: nothing is taken as read.
        """
        position = max(self.store.last_position() - NEWEST, 0) if self._position is None else self._position
        events = list[Event]()
        while True:
            more, position = self.store.read_after(position, AT_ONCE)
            if not more:
                break
            events += more
        found = [outcome for event in events if (outcome := self._to_outcome(event)) is not None]
        self._position = position
        return found

    def learn(self, outcome: NextChoice) -> None:
        """Answer as it would have been answered, and learn whether the confidence was right; no trace is written.

        Delegates that learn from feedback see the list, with a reward of 1 for what was chosen, 0 for the rest.
        """
        run = self.run
        request = Request(user=outcome.user, history=outcome.history, k=run.cutoff)
        resolved = resolve(run.dataset, request, run.item_filter)
        answered, _ = run.act(resolved.batch, resolved.limits, 0.0)
        shown, item = answered.ranking.items[:, : run.cutoff], run.dataset.catalog.index[outcome.item]
        for label in [] if answered.decisions.abstained[0] else list_observing(run.agent):
            named = run.agent.delegates[label]
            with run.agent.registry.guard(Kind.DELEGATE, named.name, "observe"):
                named.part.observe(resolved.batch, shown, (shown == item).astype(np.float32))
        confidence = float(answered.decisions.confidence[0])
        if np.isnan(confidence):  # no answer is given, or nobody calibrated it
            return
        self.calibration.update(confidence, bool((shown == item).any()))

    def correct(self, answer: Answer) -> Answer:
        """The answer with the confidence that it now deserves; who answers stays as it was decided."""
        if answer.confidence is None:
            return answer
        return replace(answer, confidence=self.calibration(answer.confidence))

    def summarise(self) -> dict[str, Any]:
        """JSON values: how many outcomes, how many were hits, how many were expected, and the correction."""
        made = self.calibration
        return {
            "outcomes": made.outcomes,
            "hits": made.happened,
            "expected": round(made.expected * made.outcomes, 2),
            "slope": round(made.slope, 4),
            "shift": round(made.shift, 4),
            "bends": made.bends.round(4).tolist(),
        }

    def _to_outcome(self, event: Event) -> NextChoice | None:
        """None where confidence says nothing of it: the run has no such item, or knows the event or the choice."""
        dataset = self.run.dataset
        if event.item not in dataset.catalog.index or is_logged(dataset, event):
            return None
        history = extend_log(dataset, event.user, list(self._before(event)))[0]
        return None if event.item in history else NextChoice(event.user, history, event.item)

    def _before(self, event: Event) -> Iterator[Event]:
        for each in self.store.read(event.user, MOST):
            if each.id == event.id:
                return
            yield each
