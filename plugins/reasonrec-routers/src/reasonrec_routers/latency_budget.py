"""Who may be asked before it is decided: asking costs every request, and saves only where a delegate answers."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import cache

from reasonrec_core.routing import AskingCosts

LOG = logging.getLogger("reasonrec.router")


def affordable(costs: AskingCosts, asked: Collection[str], answers: str, share: float, overhead: float) -> bool:
    """Whether mean latency falls by ``(1 - overhead)`` times the share, if delegates are asked before deciding.

    Args:
        costs: of one request.
        asked: who is asked about every request.
        answers: who answers most of those that are replaced.
        share: of those, unless the costs are judged for another.
        overhead: part of the policy's time that a replaced request may still cost.
    """
    if not asked:
        return True
    share = share if costs.share is None else costs.share
    first = sum(costs.delegates[label] for label in asked)
    then = 0.0 if answers in asked else costs.delegates[answers]
    return (1 - share) * first + share * (first + then) <= overhead * share * costs.policy


@cache
def warn_once(what: str) -> None:
    """Say it once: a router is fitted many times over, for every fold and every delegate that is tried."""
    LOG.warning("%s", what)
