"""What abstaining comes to, on test: how much is answered, and how good those answers are."""

from __future__ import annotations

import numpy as np

from reasonrec_core.evaluate import summarise
from reasonrec_core.evaluate.routing_schema import AbstentionResult, Estimate
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.calibrate_router import goals
from reasonrec_core.pipeline.evaluate import ROUTED, Assessed
from reasonrec_core.pipeline.prepare import Prepared


def selective(prepared: Prepared, agent: Agent, found: Assessed) -> AbstentionResult | None:
    """What `metrics.json` holds of it; None where every request gets an answer.

    ``coverage``: share of the requests that are answered; ``wanted``: the setting and its value; ``validation``: what
    calibration promised; ``answered``: per metric the mean of the answers that are given, with its 95 % interval, and
    ``risk``, the share of them without the target among the ten best; ``held_back``: means of what the policy would
    have answered to the others. Metrics of the routed system count a request without an answer as a miss.
    """
    router = agent.routers.get(found.task)
    if router is None or router.state.abstention is None or found.routed is None or agent.policy is None:
        return None
    config, held = router.config, found.routed.abstained
    names = goals(prepared, found.scores[agent.policy.label])
    given = found.scores[ROUTED].take(np.flatnonzero(~held))
    settings = prepared.config.evaluate
    answered = summarise(given, seed=prepared.config.seed, resamples=settings.resamples, metrics=names)
    name = "abstain" if config.abstain is not None else "selective_risk"
    mine = found.scores[agent.policy.label].per_query
    hit = answered.get(names[1])
    return AbstentionResult(
        coverage=float(np.mean(~held)),
        wanted={name: getattr(config, name)},
        validation=router.report.get("abstention"),
        answered={each: Estimate(**value) for each, value in answered.items()},
        risk=None if hit is None else Estimate(value=1 - hit["value"], low=1 - hit["high"], high=1 - hit["low"]),
        held_back={each: float(np.nanmean(mine[each][held])) for each in names} if held.any() else {},
    )
