"""Answering requests from a finished run: raw ids in, raw ids, titles, reasons and confidence out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from reasonrec_core.components import RequestWatcher
from reasonrec_core.pipeline import EditedPolicy, FinishedRun, Outcome
from reasonrec_core.types import QueryBatch, Ranking, Route, Step, Task
from reasonrec_serve.final_models import choose_models
from reasonrec_serve.request import Id, read_assumptions, read_edits, read_id, read_ids, read_path, read_request

if TYPE_CHECKING:
    from reasonrec_core.registry import Registry


@dataclass(frozen=True)
class Recommended:
    """One recommended item."""

    id: str
    title: str
    score: float


@dataclass(frozen=True)
class Edited:
    """What was edited in the steps, and what that changed against the policy's own answer.

    Attributes:
        assumed: item field -> label that was taken for granted.
        ignored: items of the history that did not count, as (id, title).
        entered: items of the answer that are not in the policy's own answer, best first.
        left: items of the policy's own answer that are no longer in it, best first.
    """

    assumed: dict[str, str]
    ignored: tuple[tuple[str, str], ...]
    entered: tuple[Recommended, ...]
    left: tuple[Recommended, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one request.

    Attributes:
        items: best first.
        history: what the answer rests on, oldest first, as (id, title).
        unknown: how many history items do not exist in the catalogue and were skipped.
        route: "self", "replace", "consult" or "abstain".
        by: the policy or delegate that answered; empty where no answer is given.
        reason: why that one, in words.
        confidence: calibrated P(the target is among the first ``cutoff`` items), or None without a router.
        risk: calibrated P(the policy would have been worse than the delegate), or None.
        uncertainty: per estimator, those that were needed.
        explain: makes `steps`.
        seconds: of the request.
        models: "final" where a part that answers has learned from all interactions, else "evaluated".
        personalised: whether it rests on a history; where no item of one is known, it is the same for everybody.
        attempts: what went wrong with the delegates that were asked and did not answer, in turn.
        edited: what was edited, None where nothing was. An edited request is answered by the policy itself, and
            confidence, risk and uncertainty are not stated: they were calibrated on answers without edits.
    """

    items: tuple[Recommended, ...]
    history: tuple[tuple[str, str], ...]
    unknown: int
    route: str
    by: str
    reason: str
    confidence: float | None = None
    cutoff: int
    risk: float | None = None
    uncertainty: dict[str, float] = field(default_factory=dict)
    explain: Callable[[], tuple[Step, ...]] = field(repr=False, compare=False)
    seconds: float
    edited: Edited | None = None
    attempts: tuple[str, ...] = ()
    personalised: bool = True
    models: str = "evaluated"

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Of the policy; empty where a delegate answered, and where no answer is given.

        They are worked out when they are first asked for: it takes about as long as the answer itself.
        """
        return self.explain()

    def to_dict(self, *, steps: bool = True) -> dict[str, Any]:
        """As JSON values; ``steps``: with those, which have to be worked out."""
        values = asdict(self)
        del values["explain"]
        return values | ({"steps": [asdict(step) for step in self.steps]} if steps else {})


class Recommender(FinishedRun):
    """A finished run, ready to answer.

    Attributes:
        on_answer: is told of every request that was answered without edits; None where nobody is.
    """

    on_answer: RequestWatcher | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        registry: Registry | None = None,
        *,
        trace: bool | None = None,
        models: str | None = None,
    ) -> Recommender:
        """Load what a run has fitted; no encoder is loaded, item features are memory-mapped.

        The catalogue is that of the fit, longer by what was imported into the run since.

        Args:
            path: the run folder.
            registry: where components are found.
            trace: whether requests leave a trace (`Reporter.watch`); as the run's settings say if None.
            models: "final" (`reasonrec_serve.final_models`) or "evaluated"; the final ones where there are any if None.

        Raises:
            RunError: final models are wanted, and there are none, or they belong to an earlier fit.
            ConfigError: a trace is wanted, and reasonrec-trace is not installed or cannot write it.
        """
        service = cls.load(read_path(path), registry, choose_models(models))
        service.on_answer = service.find_watcher(trace)
        return service

    def recommend(
        self,
        *,
        user: Id | None = None,
        history: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
        k: int = 10,
        task: Task | str | None = None,
        assume: Mapping[str, str] | None = None,
        ignore: Iterable[Id] = (),
    ) -> Answer:
        """Answer one request; with ``assume`` or ``ignore`` from the policy's edited steps, without routing.

        Args:
            user: raw id of a known user, whose whole log is the history. A number is its digits, here and below.
            history: raw item ids, oldest first; unknown ones are skipped and counted. Where none is known, or there
                is none, the answer is not personalised. Items of the history are not recommended again, so a history
                of the whole catalogue leaves nothing.
            candidates: raw item ids to rank, for `Task.DIRECT`; one that is named twice is ranked once.
            k: how many items are wanted; no more than there are.
            task: sequential unless candidates are given.
            assume: item field -> label that the next item is taken to have.
            ignore: raw ids of items of the history that shall not count as evidence.

        Raises:
            ConfigError: the request contradicts itself or has a value of no use, or the policy cannot be edited so.
            DataError: no candidate, an unknown user or candidate, or an ignored item that is not in the history.
        """
        batch = read_request(self.dataset, user, history, candidates, k, task)
        assume, ignore = read_assumptions(assume), read_ids(ignore, "ignore")
        if assume or ignore:
            return self._edited(batch, assume, ignore)
        outcome = self.agent.act(batch)
        if self.on_answer is not None:
            self.on_answer(batch, outcome, None if user is None else read_id(user, "user"))
        return self._answer(batch, outcome)

    def _edited(self, batch: QueryBatch, assume: Mapping[str, str], ignore: Sequence[str]) -> Answer:
        catalog, policy = self.dataset.catalog, EditedPolicy.of(self.agent)
        edits = read_edits(policy.labels, batch, catalog, assume, ignore)
        wide = replace(batch, k=max(batch.k, self.agent.width))
        begin = time.perf_counter()
        answer = policy.deliberate(wide, edits)
        seconds = time.perf_counter() - begin
        before, after = (self._items(a.ranking, batch.k) for a in (policy.deliberate(wide), answer))
        ids = [{item.id for item in items} for items in (before, after)]
        past = batch.history.row(0).tolist()
        ignored = [i for i in dict.fromkeys(past) if catalog.ids[i] in set(ignore)]
        assert self.agent.policy is not None
        return Answer(
            items=after,
            history=self._titles(past),
            unknown=batch.history.skipped,
            route="self",
            by=self.agent.policy.label,
            reason="its steps were edited, so the policy itself answers",
            cutoff=max(self.config.evaluate.k),
            explain=lambda: tuple(answer.steps[0]),
            seconds=seconds,
            models=self.agent.models,
            edited=Edited(
                {name: policy.labels[name][int(label[0])] for name, label in edits.assume.items()},
                self._titles(ignored),
                tuple(item for item in after if item.id not in ids[0]),
                tuple(item for item in before if item.id not in ids[1]),
            ),
        )

    def _items(self, ranking: Ranking | None, k: int) -> tuple[Recommended, ...]:
        assert ranking is not None
        catalog = self.dataset.catalog
        row = zip(ranking.items[0, :k].tolist(), ranking.scores[0, :k].tolist(), strict=True)
        return tuple(Recommended(catalog.ids[i], catalog.titles[i], s) for i, s in row if i >= 0)

    def _titles(self, items: Iterable[int]) -> tuple[tuple[str, str], ...]:
        catalog = self.dataset.catalog
        return tuple((catalog.ids[i], catalog.titles[i]) for i in items)

    def _answer(self, batch: QueryBatch, outcome: Outcome) -> Answer:
        decided = outcome.decisions
        route = Route(decided.route[0])
        mine = route in (Route.SELF, Route.CONSULT)
        thought = outcome.deliberation if mine else None
        past = batch.history.row(0).tolist()
        by = decided.who[0] or (self.agent.policy.label if self.agent.policy else "")
        return Answer(
            items=self._items(outcome.ranking, batch.k),
            history=self._titles(past),
            unknown=batch.history.skipped,
            route=str(route),
            by="" if route is Route.ABSTAIN else by,
            reason=decided.reason[0],
            confidence=_number(decided.confidence[0]),
            cutoff=max(self.config.evaluate.k),
            risk=_number(decided.risk[0]),
            uncertainty={
                n: float(v[0])
                for n, v in outcome.uncertainty.items()
                if n in self.agent.estimators and not np.isnan(v[0])
            },
            explain=lambda: () if thought is None else tuple(thought.steps[0]),
            seconds=outcome.seconds,
            attempts=outcome.attempts.get(0, ()),
            personalised=bool(past),
            models=self.agent.models,
        )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
