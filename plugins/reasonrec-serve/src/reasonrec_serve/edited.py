"""Requests that edit the policy's steps: the policy itself answers, from the edited steps."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from reasonrec_core.pipeline import EditedPolicy
from reasonrec_core.types import Edits, QueryBatch, Ranking, Route
from reasonrec_serve.answer import Answer, Edited, Recommended
from reasonrec_serve.causes import cite_evidence
from reasonrec_serve.diversity import diversify
from reasonrec_serve.limits import Limits, System, rank_within
from reasonrec_serve.notes import list_notes
from reasonrec_serve.resolve import Resolved, resolve_edits
from reasonrec_serve.wording import list_items, name_items

if TYPE_CHECKING:
    from reasonrec_serve.recommender import Recommender


def answer_edited(service: Recommender, resolved: Resolved) -> Answer:
    """The policy's answer from edited steps, and what the edits changed; within the same limits as any other.

    Raises:
        ConfigError: the policy cannot be edited so.
        DataError: an ignored item that is not in the history.
    """
    batch, request, catalog = resolved.batch, resolved.request, service.dataset.catalog
    policy = EditedPolicy.of(service.agent)
    edits = resolve_edits(policy.labels, batch, catalog, request)
    begin = time.perf_counter()
    deep = replace(batch, k=service.choose_depth(batch)) if request.diversity else batch
    wide = replace(deep, k=max(deep.k, service.agent.width))
    answer = policy.deliberate(wide, edits)

    def limit(ranking: Ranking | None, edited: Edits | None) -> tuple[Recommended, ...]:
        def rank_listed(listed: QueryBatch) -> Ranking:
            found = policy.deliberate(listed, edited).ranking
            assert found is not None
            return found

        assert ranking is not None
        limits = resolved.limits if batch.candidates is None else Limits()
        kept = rank_within(deep, ranking, limits, System(service.agent, listed=rank_listed))
        if request.diversity:
            kept = diversify(kept, service.likeness_to_diversify, request.diversity, batch.k)
        return list_items(catalog, kept, batch.k)

    after = limit(answer.ranking, edits)
    seconds = time.perf_counter() - begin
    before = limit(policy.deliberate(wide).ranking, None)
    ids = [{item.id for item in items} for items in (before, after)]
    past = batch.history.row(0).tolist()
    ignored = [i for i in dict.fromkeys(past) if catalog.ids[i] in set(request.ignore)]
    assert service.agent.policy is not None
    return Answer(
        items=after,
        history=name_items(catalog, past),
        unknown=batch.history.skipped,
        skipped=resolved.skipped,
        route=str(Route.SELF),
        by=service.agent.policy.label,
        reason="its steps were edited, so the policy answers itself",
        cutoff=service.cutoff,
        explain=lambda: tuple(answer.steps[0]),
        justify=lambda steps: cite_evidence(service, batch, after, steps),
        seconds=seconds,
        known_user=resolved.known_user,
        personalised=bool(past),
        models=service.agent.models,
        notes=list_notes(resolved, len(after), abstained=False, limited=False),
        edited=Edited(
            {name: policy.labels[name][int(label[0])] for name, label in edits.assume.items()},
            name_items(catalog, ignored),
            tuple(item for item in after if item.id not in ids[0]),
            tuple(item for item in before if item.id not in ids[1]),
        ),
    )
