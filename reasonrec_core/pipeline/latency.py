"""What an answer costs on this machine: requests answered one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.components import RequestMemory
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
Ask = Callable[[QueryBatch], object]


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
    times = time_in_turn(agent, who, singles)
    warm = min(WARM_UP, len(times) - 1)
    return Latency(
        rows[warm:],
        times[warm:, 0],
        {label: times[warm:, column] for column, label in enumerate(who) if label},
        np.array(replaced[warm + 1 : len(times) + 1], np.bool_),  # the first answer was not timed
    )


def measure_costs(agent: Agent, queries: QueryBatch, sample: int, seed: int) -> AskingCosts | None:
    """Median seconds of one request, to the policy and to each delegate; None where there is nothing to ask."""
    alone, most = replace(agent, routers={}), min(sample, SAMPLED)
    if agent.policy is None or (timed := measure_latency(alone, queries, most, agent.width, seed)) is None:
        return None
    middle = {label: float(np.median(seconds)) for label, seconds in timed.systems.items()}
    return AskingCosts(policy=middle.pop(agent.policy.label), delegates=middle)


def draw_requests(queries: QueryBatch, sample: int, k: int, seed: int) -> tuple[Int64, list[QueryBatch]]:
    """int64[n]: which queries are asked, those of the warm-up first; and each as a request for ``k`` items."""
    rows = np.random.default_rng(seed).permutation(len(queries))[: sample + WARM_UP].astype(np.int64)
    return rows, [replace(queries.take(rows[i : i + 1]), k=k) for i in range(len(rows))]


def list_ways_to_ask(agent: Agent) -> dict[str, Ask]:
    """Each system by itself, observation included; the policy as it answers where nothing is handed over."""
    routers = {task: router.with_state(router.config.at(0.0)) for task, router in agent.routers.items()}
    ways: dict[str, Ask] = {agent.policy.label: replace(agent, routers=routers).act} if agent.policy else {}
    for name in agent.delegates:
        ways[name] = lambda batch, name=name: agent.delegate(name, batch, agent.observe(batch))  # type: ignore[misc]
    return ways


def time_in_turn(agent: Agent, ways: Mapping[str, Ask], batches: Sequence[QueryBatch]) -> Float64:
    """float64[n, ways] seconds of each batch by the clock, the fastest of `ROUNDS`: other programs' work is no cost.

    The order is drawn anew for each batch, and systems keep nothing of it: nobody profits from another's work.
    """
    times, rng, spent = np.full((len(batches), len(ways)), np.inf), np.random.default_rng(0), 0.0
    with without_memory(agent):
        for ask in (answers := list(ways.values())):
            ask(batches[0])
        for _ in range(ROUNDS):
            for row, batch in enumerate(batches):
                for column in rng.permutation(len(answers)).tolist():
                    began = time.perf_counter()
                    answers[column](batch)
                    spent += (took := time.perf_counter() - began)
                    times[row, column] = min(times[row, column], took)
            if spent > LONG:
                break
    return times


@contextmanager
def without_memory(agent: Agent) -> Iterator[None]:
    """Within the block systems keep nothing of the requests that they answer: the same are asked several times."""
    keeping = [named.part for _, named in agent.parts if isinstance(named.part, RequestMemory)]
    for part in keeping:
        part.remember_requests(False)
    try:
        yield
    finally:
        for part in keeping:
            part.remember_requests(True)


def compare_seconds(routed: Float64, alone: Float64, seed: int) -> RelativeDifference:
    """How far the mean of float64[n] seconds is from that of ``alone``, relative, paired; no ends for few pairs."""
    found = relative_difference(routed, alone, np.arange(len(routed)), seed=seed, resamples=RESAMPLES)
    return found if len(routed) >= LEAST_PAIRS else replace(found, low=np.nan, high=np.nan)


def summarise_seconds(values: Float64) -> TimeSpent:
    """Mean, median and 95th percentile, and of how many."""
    p50, p95 = np.quantile(values, [0.5, 0.95])
    return TimeSpent(mean=float(values.mean()), p50=float(p50), p95=float(p95), n=float(len(values)))
