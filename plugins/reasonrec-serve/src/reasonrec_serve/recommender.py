"""Answering requests from a finished run: raw ids in, raw ids, titles, reasons and confidence out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from reasonrec_core.components import RequestWatcher
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline import EditedPolicy, FinishedRun, Outcome
from reasonrec_core.types import Bool, Edits, QueryBatch, Ranking, Route, Step, StepKind
from reasonrec_serve.answer import Answer, Edited, Recommended
from reasonrec_serve.diversity import choose_depth, diversify
from reasonrec_serve.final_models import choose_models
from reasonrec_serve.item_filter import ItemFilter
from reasonrec_serve.likeness import ItemLikeness
from reasonrec_serve.limits import Limits, System, act_within, rank_within, without_certainty
from reasonrec_serve.notes import list_notes
from reasonrec_serve.request import Request, read_path
from reasonrec_serve.resolve import Resolved, resolve, resolve_edits

if TYPE_CHECKING:
    from reasonrec_core.registry import Registry


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

    def recommend(self, **fields: Any) -> Answer:
        """Answer one request, made of the fields of `Request`: ``recommend(user=42, k=5, exclude=["a"])``.

        Raises:
            ConfigError: a field that there is not; the request contradicts itself or has a value of no use, or the
                policy cannot be edited so.
            DataError: no candidates, or an ignored item that is not in the history.
        """
        if unknown := sorted(fields.keys() - Request.__dataclass_fields__.keys()):
            known = ", ".join(Request.__dataclass_fields__)
            raise ConfigError(f"there is no {unknown[0]!r} in a request", where="recommend", fix=f"There are: {known}.")
        return self.answer(Request(**fields))

    def answer(self, request: Request) -> Answer:
        """Answer one request; with ``assume`` or ``ignore`` from the policy's edited steps, without routing.

        What the request rules out is left out before the best ``k`` are taken (`reasonrec_serve.limits`). Items of the
        history are not recommended again unless ``include_seen``, so a history of the whole catalogue leaves nothing.

        Raises:
            ConfigError: a condition that cannot be asked of the items, or the policy cannot be edited so.
            DataError: no candidates, or an ignored item that is not in the history.
        """
        resolved = resolve(self.dataset, request, self.item_filter)
        if request.edited:
            return self._answer_edited(resolved)
        outcome, changed = self.act(resolved.batch, resolved.limits, request.diversity)
        if self.on_answer is not None:
            self.on_answer(resolved.batch, outcome, None if request.user is None else str(request.user))
        return self._word(resolved, outcome, bool(changed[0]))

    def act(self, batch: QueryBatch, limits: Limits, diversity: float) -> tuple[Outcome, Bool]:
        """Answer a batch within limits, diversely; bool[B]: where other items are the first for that."""
        if not diversity:
            return act_within(self.agent, batch, limits, self.cutoff)
        begin = time.perf_counter()
        deep = replace(batch, k=self._choose_depth(batch))
        outcome, changed = act_within(self.agent, deep, limits, self.cutoff)
        ranking = diversify(outcome.ranking, self._likeness_to_diversify, diversity, batch.k)
        answered = ~outcome.decisions.abstained
        outcome = replace(outcome, ranking=ranking, seconds=time.perf_counter() - begin)
        return without_certainty(outcome, answered), changed | answered

    @cached_property
    def cutoff(self) -> int:
        """How many first items confidence is about."""
        return max(self.config.evaluate.k)

    @cached_property
    def item_filter(self) -> ItemFilter:
        """Conditions on the items' fields."""
        return ItemFilter(self.dataset.catalog)

    @cached_property
    def likeness(self) -> ItemLikeness:
        """What items are compared by."""
        return ItemLikeness.of(self.agent.items.features, self.dataset.catalog)

    @property
    def _likeness_to_diversify(self) -> ItemLikeness:
        if not self.likeness:
            what = "nothing is known of the items by which lists could be made less alike"
            raise ConfigError(what, where="--diversity", fix="Encode their text or pictures, or give items fields.")
        return self.likeness

    def _choose_depth(self, batch: QueryBatch) -> int:
        most = self.dataset.n_items if batch.candidates is None else batch.candidates.shape[1]
        return choose_depth(batch.k, most)

    def _answer_edited(self, resolved: Resolved) -> Answer:
        batch, limits, request = resolved.batch, resolved.limits, resolved.request
        catalog, policy = self.dataset.catalog, EditedPolicy.of(self.agent)
        edits = resolve_edits(policy.labels, batch, catalog, request)
        deep = replace(batch, k=self._choose_depth(batch)) if request.diversity else batch
        begin = time.perf_counter()
        wide = replace(deep, k=max(deep.k, self.agent.width))
        answer = policy.deliberate(wide, edits)

        def limit(ranking: Ranking | None, edited: Edits | None) -> tuple[Recommended, ...]:
            assert ranking is not None
            system = System(self.agent, listed=lambda some: policy.deliberate(some, edited).ranking)  # type: ignore[arg-type, return-value]
            kept = rank_within(deep, ranking, limits if batch.candidates is None else Limits(), system)
            if request.diversity:
                kept = diversify(kept, self._likeness_to_diversify, request.diversity, batch.k)
            return self.list_items(kept, 0, batch.k)

        after = limit(answer.ranking, edits)
        seconds = time.perf_counter() - begin
        before = limit(policy.deliberate(wide).ranking, None)
        ids = [{item.id for item in items} for items in (before, after)]
        past = batch.history.row(0).tolist()
        ignored = [i for i in dict.fromkeys(past) if catalog.ids[i] in set(request.ignore)]
        assert self.agent.policy is not None
        return Answer(
            items=after,
            history=self._titles(past),
            unknown=batch.history.skipped,
            skipped=resolved.skipped,
            route=str(Route.SELF),
            by=self.agent.policy.label,
            reason="its steps were edited, so the policy itself answers",
            cutoff=self.cutoff,
            explain=lambda: tuple(answer.steps[0]),
            seconds=seconds,
            known_user=resolved.known_user,
            personalised=bool(past),
            models=self.agent.models,
            notes=list_notes(resolved, len(after), abstained=False, limited=False),
            edited=Edited(
                {name: policy.labels[name][int(label[0])] for name, label in edits.assume.items()},
                self._titles(ignored),
                tuple(item for item in after if item.id not in ids[0]),
                tuple(item for item in before if item.id not in ids[1]),
            ),
        )

    def list_items(self, ranking: Ranking, row: int, k: int) -> tuple[Recommended, ...]:
        """The items of one row of a ranking."""
        catalog = self.dataset.catalog
        found = zip(ranking.items[row, :k].tolist(), ranking.scores[row, :k].tolist(), strict=True)
        return tuple(Recommended(catalog.ids[i], catalog.titles[i], s) for i, s in found if i >= 0)

    def _titles(self, items: Iterable[int]) -> tuple[tuple[str, str], ...]:
        catalog = self.dataset.catalog
        return tuple((catalog.ids[i], catalog.titles[i]) for i in items)

    def _word(self, resolved: Resolved, outcome: Outcome, limited: bool) -> Answer:
        batch, decided = resolved.batch, outcome.decisions
        route = Route(decided.route[0])
        mine = route in (Route.SELF, Route.CONSULT)
        past = batch.history.row(0).tolist()
        by = decided.who[0] or (self.agent.policy.label if self.agent.policy else "")
        items = self.list_items(outcome.ranking, 0, batch.k)
        abstained = route is Route.ABSTAIN
        return Answer(
            items=items,
            history=self._titles(past),
            unknown=batch.history.skipped,
            skipped=resolved.skipped,
            route=str(route),
            by="" if abstained else by,
            reason=decided.reason[0],
            confidence=_number(decided.confidence[0]),
            cutoff=self.cutoff,
            risk=_number(decided.risk[0]),
            uncertainty={
                n: float(v[0])
                for n, v in outcome.uncertainty.items()
                if n in self.agent.estimators and not np.isnan(v[0])
            },
            explain=_explain(outcome if mine else None, items if limited else None),
            seconds=outcome.seconds,
            attempts=outcome.attempts.get(0, ()),
            personalised=bool(past),
            models=self.agent.models,
            known_user=resolved.known_user,
            limited=limited,
            notes=list_notes(resolved, len(items), abstained=abstained, limited=limited),
        )


def _explain(outcome: Outcome | None, limited: tuple[Recommended, ...] | None) -> Callable[[], tuple[Step, ...]]:
    """Makes the steps of a policy's answer; where it was limited, the last one says to what."""
    if outcome is None or outcome.deliberation is None:
        return tuple
    thought = outcome.deliberation

    def explain() -> tuple[Step, ...]:
        steps = tuple(thought.steps[0])
        if limited is None:
            return steps
        first = f"first of what is left: {limited[0].title}" if limited else "nothing is left"
        return (*steps, Step(StepKind.DECIDE, f"The request rules items out or reorders them; {first}."))

    return explain


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
