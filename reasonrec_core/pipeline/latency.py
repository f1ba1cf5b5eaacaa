"""What an answer costs on this machine: requests answered one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.evaluate.schema import TimeSpent
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.routing import AskingCosts
from reasonrec_core.routing.budget import RelativeDifference, relative_difference
from reasonrec_core.types import Bool, Float64, Int64, QueryBatch

SAMPLED = 60
"""Requests that costs are measured on, at most."""
WARM_UP = 5
"""Requests that are not counted: the first ones load pages and caches."""
ROUNDS, LONG = 3, 20.0
"""How often a request is timed, and seconds of one round after which there is no other."""
LEAST_PAIRS, RESAMPLES = 6, 2000


@dataclass(frozen=True)
class Latency:
    """Seconds per request, of a sample of n requests.

    Attributes:
        rows: int64[n] which queries were asked.
        whole: float64[n] of the whole loop.
        systems: system -> float64[n] of the policy or a delegate alone, the same requests.
        replaced: bool[n], whether a delegate answered.
    """

    rows: Int64
    whole: Float64
    systems: Mapping[str, Float64]
    replaced: Bool


def measure_latency(agent: Agent, queries: QueryBatch, sample: int, k: int, seed: int) -> Latency | None:
    """A sample of queries, one by one by the loop, the policy and every delegate in turn; None if nothing is ranked."""
    if not queries.task.ranks or not len(queries):
        return None
    rows, singles = draw_requests(queries, sample, k, seed)
    replaced: list[bool] = []

    def whole(batch: QueryBatch) -> None:
        replaced.append(bool(agent.act(batch).decisions.replaced[0]))

    who = {"": whole, **list_ways_to_ask(agent)}
    times = time_in_turn(who, singles)
    warm = min(WARM_UP, len(times) - 1)
    return Latency(
        rows[warm:],
        times[warm:, 0],
        {label: times[warm:, column] for column, label in enumerate(who) if label},
        np.array(replaced[warm : len(times)], np.bool_),
    )


def measure_costs(agent: Agent, queries: QueryBatch, sample: int, seed: int) -> AskingCosts | None:
    """Median seconds of one request, to the policy and to each delegate; None where there is nothing to ask."""
    alone = replace(agent, routers={})
    timed = measure_latency(alone, queries, min(sample, SAMPLED), agent.width, seed) if agent.policy else None
    if agent.policy is None or timed is None:
        return None
    middle = {label: float(np.median(seconds)) for label, seconds in timed.systems.items()}
    return AskingCosts(policy=middle.pop(agent.policy.label), delegates=middle)


def draw_requests(queries: QueryBatch, sample: int, k: int, seed: int) -> tuple[Int64, list[QueryBatch]]:
    """int64[n]: which queries are asked, those of the warm-up first; and each as a request for ``k`` items."""
    rows = np.random.default_rng(seed).permutation(len(queries))[: sample + WARM_UP].astype(np.int64)
    return rows, [replace(queries.take(rows[i : i + 1]), k=k) for i in range(len(rows))]


def list_ways_to_ask(agent: Agent) -> dict[str, Callable[[QueryBatch], object]]:
    """Each system by itself, observation included; the policy as it answers where nothing is handed over."""
    routers = {task: router.with_state(router.config.at(0.0)) for task, router in agent.routers.items()}
    alone = replace(agent, routers=routers)

    def delegate(label: str) -> Callable[[QueryBatch], object]:
        def ask(batch: QueryBatch) -> None:
            agent.delegate(label, batch, agent.observe(batch))

        return ask

    mine: dict[str, Callable[[QueryBatch], object]] = {agent.policy.label: alone.act} if agent.policy else {}
    return {**mine, **{label: delegate(label) for label in agent.delegates}}


def time_in_turn(ways: Mapping[str, Callable[[QueryBatch], object]], batches: Sequence[QueryBatch]) -> Float64:
    """float64[n, ways] seconds of each batch by the clock, the fastest of `ROUNDS`: other programs' work is no cost.

    Whoever comes first finds the caches cold, so each comes first equally often. One round is enough if it is `LONG`.
    """
    times, answers, spent = np.full((len(batches), len(ways)), np.inf), list(ways.values()), 0.0
    for _ in range(ROUNDS):
        for row, batch in enumerate(batches):
            for turn in range(len(answers)):
                column, began = (row + turn) % len(answers), time.perf_counter()
                answers[column](batch)
                spent += (took := time.perf_counter() - began)
                times[row, column] = min(times[row, column], took)
        if spent > LONG:
            break
    return times


def compare_seconds(routed: Float64, alone: Float64, seed: int) -> RelativeDifference:
    """How far the mean of float64[n] seconds is from that of ``alone``, relative, paired; no ends for few pairs."""
    found = relative_difference(routed, alone, np.arange(len(routed)), seed=seed, resamples=RESAMPLES)
    return found if len(routed) >= LEAST_PAIRS else replace(found, low=np.nan, high=np.nan)


def summarise_seconds(values: Float64) -> TimeSpent:
    """Mean, median and 95th percentile, and of how many."""
    p50, p95 = np.quantile(values, [0.5, 0.95])
    return TimeSpent(mean=float(values.mean()), p50=float(p50), p95=float(p95), n=float(len(values)))
