"""A router's goal as a share: latency is measured on this machine, tokens and losses are those of validation."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from reasonrec_core.act import Evidence, Router, RouterConfig, fit_router
from reasonrec_core.act.goals import share_for_loss, share_for_time, share_for_tokens
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.latency import measure
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.types import Bool, Int64, QueryBatch


def share_for_goal(
    prepared: Prepared, agent: Agent, evidence: Evidence, queries: QueryBatch, tokens: Int64 | None
) -> tuple[float, dict[str, Any]] | None:
    """The share that meets a router's goal, and what was found; None where a share or a risk is itself the goal.

    Args:
        prepared: the run.
        agent: without routers.
        evidence: the validation answers.
        queries: the validation queries.
        tokens: int64[B] what the policy spent on them, None where it says nothing.

    Raises:
        ConfigError: a goal out of reach.
    """
    config, settings = prepared.config.router, prepared.config.evaluate
    assert config is not None
    if config.max_loss is not None:
        share, found = share_for_loss(
            evidence, config, config.max_loss, evidence.keys, seed=prepared.config.seed, resamples=settings.resamples
        )
        return share, {"limit": config.max_loss, "share": share, "validation": asdict(found)}
    if config.max_latency is None and config.max_tokens is None:
        return None
    router = fit_router(config.at(0.5), evidence)
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
