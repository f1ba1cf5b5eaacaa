"""The same request, answered by every system of a run."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from reasonrec_core.errors import ReasonRecError
from reasonrec_serve.limits import SPARE, Limits, System, rank_within
from reasonrec_serve.recommender import Recommender
from reasonrec_serve.request import Request
from reasonrec_serve.resolve import resolve
from reasonrec_serve.wording import list_items


def compare_systems(run: Recommender, request: Request) -> list[dict[str, Any]]:
    """A list of items from the policy and each delegate, within the request's limits; edits do not count.

    Returns:
        ``system``, ``policy`` (whether it is the policy), ``items`` and ``milliseconds``; or ``problem``.
    """
    resolved = resolve(run.dataset, request, run.item_filter)
    batch, agent = resolved.batch, run.agent
    limits = resolved.limits if batch.candidates is None else Limits()
    most = run.dataset.n_items if batch.candidates is None else batch.candidates.shape[1]
    wide = replace(batch, k=min(max(batch.k + (SPARE if limits else 0), agent.width), most))
    systems = ([(agent.policy.label, "")] if agent.policy else []) + [(label, label) for label in agent.delegates]
    found = list[dict[str, Any]]()
    for name, delegate in systems:
        begin = time.perf_counter()
        answer: dict[str, Any] = {"system": name, "policy": not delegate}
        try:
            seen = agent.observe(wide)
            ranking = agent.delegate(delegate, wide, seen) if delegate else agent.deliberate(wide, seen).ranking
            assert ranking is not None
            kept = rank_within(batch, ranking, limits, System(agent, delegate))
        except ReasonRecError as error:
            answer["problem"] = error.what
        else:
            answer["items"] = [asdict(item) for item in list_items(run.dataset.catalog, kept, batch.k)]
        found.append(answer | {"milliseconds": round(1000 * (time.perf_counter() - begin), 3)})
    return found
