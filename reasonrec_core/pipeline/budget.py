"""A router's goal as a share: latency is measured on this machine, tokens and losses are those of validation."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.latency import measure
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.routing import Evidence, Router, RouterConfig, fit_router
from reasonrec_core.routing.budget import share_for_loss, share_for_time, share_for_tokens
from reasonrec_core.routing.costs import EXPLORED
from reasonrec_core.types import Bool, Int64, QueryBatch


def router_for_goal(
    prepared: Prepared, agent: Agent, evidence: Evidence, queries: QueryBatch, tokens: Int64 | None
) -> tuple[Router, dict[str, Any] | None]:
    """The calibrated router, and how its goal came to a share; None where a share or a risk is itself the goal.

    Which clues are worth their time depends on the share, and which share meets the goal on the clues. So the share
    is found with those that are worth it where half of the requests are delegated; where they are not at the share
    that is found, it is found again without clues.
    """
    config, seen = prepared.config.router, evidence.at(EXPLORED)
    assert config is not None
    found = _share_for_goal(prepared, agent, config, seen, queries, tokens)
    if found is None:
        return fit_router(config, evidence), None
    router = fit_router(config.at(found[0]), seen)
    costs, asks = evidence.costs, () if router.in_turn else router.asks
    if costs is None or config.clues != "auto" or costs.affordable(asks, router.delegate, found[0], config.overhead):
        return router, found[1]
    bare = config.model_copy(update={"clues": "none"})
    found = _share_for_goal(prepared, agent, bare, seen, queries, tokens)
    assert found is not None
    return fit_router(bare.at(found[0]), seen), found[1]


def _share_for_goal(
    prepared: Prepared,
    agent: Agent,
    config: RouterConfig,
    evidence: Evidence,
    queries: QueryBatch,
    tokens: Int64 | None,
) -> tuple[float, dict[str, Any]] | None:
    """The share that meets a router's goal, and what was found; None where a share or a risk is itself the goal.

    Args:
        prepared: the run.
        agent: without routers.
        config: of the router.
        evidence: the validation answers.
        queries: the validation queries.
        tokens: int64[B] what the policy spent on them, None where it says nothing.

    Raises:
        ConfigError: a goal out of reach.
    """
    settings = prepared.config.evaluate
    if config.max_loss is not None:
        share, found = share_for_loss(
            evidence, config, config.max_loss, evidence.keys, seed=prepared.config.seed, resamples=settings.resamples
        )
        return share, {"limit": config.max_loss, "share": share, "validation": asdict(found)}
    if config.max_latency is None and config.max_tokens is None:
        return None
    router = fit_router(config.at(EXPLORED), evidence)
    if config.max_tokens is not None:
        spent = np.zeros(len(evidence), np.int64) if tokens is None else tokens

        def replaced(share: float) -> Bool:
            return router.at_share(share, evidence.signals).replace(evidence.signals, evidence.keys)

        share = share_for_tokens(replaced, spent, config.stage, config.max_tokens, "router.max_tokens")
        return share, {"limit": config.max_tokens, "share": share}
    assert config.max_latency is not None
    slow, fast = (_seconds(prepared, agent, router.at_share(s, evidence.signals), queries) for s in (0.0, 1.0))
    share = share_for_time(slow, fast, config.max_latency / 1000, config.stage, "router.max_latency")
    return share, {"limit": config.max_latency, "share": share, "policy_ms": 1000 * slow, "delegates_ms": 1000 * fast}


def goal_in_words(config: RouterConfig, found: dict[str, Any] | None) -> str:
    """What was wanted, and the share that it came to."""
    names = {"max_loss": "a loss of at most", "max_latency": "milliseconds at most", "max_tokens": "tokens at most"}
    if found is None:
        return f"share {config.share:g}" if config.share is not None else f"risk {config.risk:g}"
    return f"{names[found['goal']]} {found['limit']:g} (a share of {found['share']:.0%})"


def _seconds(prepared: Prepared, agent: Agent, router: Router, queries: QueryBatch) -> float:
    """Mean seconds of the whole loop, one request at a time."""
    settings = prepared.config.evaluate
    alone = replace(agent, routers={queries.task: router})
    timed = measure(alone, queries, settings.latency_sample, max(settings.k), prepared.config.seed)
    assert timed is not None
    return float(timed.whole.mean())
