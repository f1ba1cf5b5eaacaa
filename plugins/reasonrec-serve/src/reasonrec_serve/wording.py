"""From what was done with a request to its answer: ids, titles, words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from reasonrec_core.components import Kind
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.pipeline import Agent, Outcome
from reasonrec_core.types import Deliberation, Observation, QueryBatch, Ranking, Route, Step, StepKind
from reasonrec_core.validation import check_deliberation
from reasonrec_serve.answer import Answer, Recommended
from reasonrec_serve.causes import justify_items
from reasonrec_serve.notes import list_notes
from reasonrec_serve.resolve import Resolved

if TYPE_CHECKING:
    from reasonrec_serve.recommender import Recommender

Steps = Callable[[], tuple[Step, ...]]


@runtime_checkable
class DeliberatingDelegate(Protocol):
    """A delegate that answers by steps, as a policy does."""

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        """Its answer and the steps that led to it."""


def word_answer(service: Recommender, resolved: Resolved, outcome: Outcome, *, limited: bool) -> Answer:
    """The answer to one request; ``limited``: whether limits changed what its confidence speaks of."""
    batch, decided, agent = resolved.batch, outcome.decisions, service.agent
    catalog, route = service.dataset.catalog, Route(decided.route[0])
    past = batch.history.row(0).tolist()
    by = decided.who[0] or (agent.policy.label if agent.policy else "")
    items = list_items(catalog, outcome.ranking, batch.k)
    abstained = route is Route.ABSTAIN
    return Answer(
        items=items,
        history=name_items(catalog, past),
        unknown=batch.history.skipped,
        skipped=resolved.skipped,
        route=str(route),
        by="" if abstained else by,
        reason=decided.reason[0],
        confidence=_number(decided.confidence[0]),
        cutoff=service.cutoff,
        risk=_number(decided.risk[0]),
        uncertainty={
            n: float(v[0]) for n, v in outcome.uncertainty.items() if n in agent.estimators and not np.isnan(v[0])
        },
        explain=_explain(_find_steps(agent, batch, by, outcome), items if limited else None),
        justify=lambda steps: justify_items(service, batch, by, items, () if limited else steps),
        seconds=outcome.seconds,
        attempts=outcome.attempts.get(0, ()),
        personalised=bool(past),
        models=service.agent.models,
        known_user=resolved.known_user,
        limited=limited,
        notes=list_notes(
            resolved,
            len(items),
            abstained=abstained,
            limited=limited,
            alone="" if agent.policy else decided.reason[0],
        ),
    )


def list_items(catalog: Catalog, ranking: Ranking, k: int) -> tuple[Recommended, ...]:
    """The items of a ranking's first row."""
    row = zip(ranking.items[0, :k].tolist(), ranking.scores[0, :k].tolist(), strict=True)
    return tuple(Recommended(catalog.ids[i], catalog.titles[i], s) for i, s in row if i >= 0)


def name_items(catalog: Catalog, items: Iterable[int]) -> tuple[tuple[str, str], ...]:
    """Id and title of each."""
    return tuple((catalog.ids[i], catalog.titles[i]) for i in items)


def join_words(words: Sequence[str]) -> str:
    """ "A, B and C"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if words[1:] else "".join(words)


def _find_steps(agent: Agent, batch: QueryBatch, by: str, outcome: Outcome) -> Callable[[], Sequence[Step]]:
    """Gives the steps of whoever answered: the policy's as it took them, a delegate's by asking it again."""
    route, thought = Route(outcome.decisions.route[0]), outcome.deliberation
    if route in (Route.SELF, Route.CONSULT) and thought is not None:
        return lambda: thought.steps[0]
    named = agent.delegates.get(by) if route is Route.REPLACE else None
    if named is None or not isinstance(named.part, DeliberatingDelegate):
        return tuple
    part: DeliberatingDelegate = named.part

    def ask() -> Sequence[Step]:
        with agent.registry.guard(Kind.DELEGATE, named.name, "deliberate"):
            return check_deliberation(part.deliberate(batch, agent.observe(batch)), batch, agent.n_items).steps[0]

    return ask


def _explain(find: Callable[[], Sequence[Step]], limited: tuple[Recommended, ...] | None) -> Steps:
    """Makes the steps of an answer; where it was limited, the last one says to what."""

    def explain() -> tuple[Step, ...]:
        steps = tuple(find())
        if limited is None or not steps:
            return steps
        first = f"the first that is left: {limited[0].title}" if limited else "nothing is left"
        return (*steps, Step(StepKind.DECIDE, f"The request excludes or reorders items; {first}."))

    return explain


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
