"""From what was done with a request to its answer: ids, titles, words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.pipeline import Outcome
from reasonrec_core.types import Ranking, Route, Step, StepKind
from reasonrec_serve.answer import Answer, Recommended
from reasonrec_serve.causes import justify_items
from reasonrec_serve.notes import list_notes
from reasonrec_serve.resolve import Resolved

if TYPE_CHECKING:
    from reasonrec_serve.recommender import Recommender


def word_answer(service: Recommender, resolved: Resolved, outcome: Outcome, *, limited: bool) -> Answer:
    """The answer to one request; ``limited``: whether limits changed what its confidence speaks of."""
    batch, decided, agent = resolved.batch, outcome.decisions, service.agent
    catalog, route = service.dataset.catalog, Route(decided.route[0])
    past = batch.history.row(0).tolist()
    by = decided.who[0] or (agent.policy.label if agent.policy else "")
    items = list_items(catalog, outcome.ranking, batch.k)
    abstained = route is Route.ABSTAIN
    thought = outcome if route in (Route.SELF, Route.CONSULT) else None
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
        explain=_explain(thought, items if limited else None),
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


def _explain(outcome: Outcome | None, limited: tuple[Recommended, ...] | None) -> Callable[[], tuple[Step, ...]]:
    """Makes the steps of a policy's answer; where it was limited, the last one says to what."""
    if outcome is None or outcome.deliberation is None:
        return tuple
    thought = outcome.deliberation

    def explain() -> tuple[Step, ...]:
        steps = tuple(thought.steps[0])
        if limited is None:
            return steps
        first = f"the first that is left: {limited[0].title}" if limited else "nothing is left"
        return (*steps, Step(StepKind.DECIDE, f"The request excludes or reorders items; {first}."))

    return explain


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
