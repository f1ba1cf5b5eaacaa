"""What an answer costs on this machine: requests answered one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.types import QueryBatch

WARM_UP = 5
"""Requests that are not counted: the first ones load pages and caches."""


@dataclass(frozen=True)
class Latency:
    """Seconds per request.

    Attributes:
        routed: float64[n] of the whole loop.
        policy: float64[n] of the policy alone, the same requests.
        delegate: float64[n] of the router's delegate alone.
        replaced: bool[n], whether the delegate answered.
    """

    routed: npt.NDArray[np.float64]
    policy: npt.NDArray[np.float64]
    delegate: npt.NDArray[np.float64]
    replaced: npt.NDArray[np.bool_]

    @property
    def ratio(self) -> float:
        """Mean latency of the routed system over that of the policy alone."""
        return float(self.routed.mean() / self.policy.mean())

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Mean and quantiles in seconds, per system and per route."""
        kinds = {"routed": self.routed, "policy": self.policy, "delegate": self.delegate}
        kinds |= {"self": self.routed[~self.replaced], "replace": self.routed[self.replaced]}
        return {
            name: {
                "mean": float(values.mean()),
                "p50": float(np.quantile(values, 0.5)),
                "p95": float(np.quantile(values, 0.95)),
                "n": float(len(values)),
            }
            for name, values in kinds.items()
            if len(values)
        }


def measure(agent: Agent, queries: QueryBatch, sample: int, k: int, seed: int) -> Latency | None:
    """Answer a random sample of queries one by one, each by all three in turn; None without a router."""
    router = agent.routers.get(queries.task)
    if router is None or agent.policy is None or not len(queries):
        return None
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(queries))[: sample + WARM_UP]
    singles = [queries.take(rows[i : i + 1]) for i in range(len(rows))]
    singles = [QueryBatch(q.task, q.users, q.history, k, q.candidates, q.times) for q in singles]
    label = router.delegate

    replaced: list[bool] = []

    def routed(batch: QueryBatch) -> None:
        replaced.append(bool(agent.act(batch).replaced[0]))

    def policy(batch: QueryBatch) -> None:
        agent.deliberate(batch, agent.observe(batch))

    def delegate(batch: QueryBatch) -> None:
        agent.delegate(label, batch, agent.observe(batch))

    who = (routed, policy, delegate)
    times = np.zeros((len(singles), len(who)))
    for row, batch in enumerate(singles):
        # Whoever comes first finds the caches cold, so each comes first equally often.
        for turn in range(len(who)):
            column = (row + turn) % len(who)
            times[row, column] = _seconds(who[column], batch)
    warm = min(WARM_UP, len(times) - 1)
    table = times[warm:]
    return Latency(table[:, 0], table[:, 1], table[:, 2], np.array(replaced[warm:], np.bool_))


def _seconds(answer: Callable[[QueryBatch], None], batch: QueryBatch) -> float:
    begin = time.perf_counter()
    answer(batch)
    return time.perf_counter() - begin
