"""How long requests take in benchmarks/routing.py: one at a time and in batches, by route, on this machine.

An *answer* is a ranked list. A *served* request also has the policy's steps put into words where the policy answers, as
`Recommender.recommend` does for every request. Besides the clock there is the processor time of the thread that
answers, which other work on the machine hardly changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from routing_answers import TOP, Bank
from routing_proof import AFTER, calibration_data, kinds, unfitted

from reasonrec_core.components import Kind, UncertaintyEstimator
from reasonrec_core.observe import ObservedItems
from reasonrec_core.pipeline.agent import Agent, Named
from reasonrec_core.registry import Registry
from reasonrec_core.routing import Router
from reasonrec_core.types import QueryBatch, Task

WARM_UP, BATCH = 5, 256


def agent_of(bank: Bank, delegates: tuple[str, ...], router: Router[Any] | None) -> Agent:
    """What a run would answer with."""
    registry, seen = Registry.discover(), bank.bench.fit.observation
    policy = bank.component(bank.policy)
    estimators: dict[str, Named] = {}
    for name in AFTER:
        estimator = registry.create(Kind.UNCERTAINTY, name, {})
        assert isinstance(estimator, UncertaintyEstimator)
        estimator.attach(policy)  # type: ignore[arg-type]
        estimator.fit(bank.bench.fit)
        estimators[name] = Named(name, name, estimator)
    return Agent(
        registry,
        bank.bench.dataset.n_items,
        TOP + 1,
        ObservedItems(dict(seen.features), dict(seen.present)),
        bank.bench.horizon,  # type: ignore[arg-type]
        {label: Named(label, label, bank.component(label)) for label in delegates},
        Named(bank.policy, bank.policy, policy),
        estimators,
        {} if router is None else {Task.SEQUENTIAL: router},
        bank.popularity,
    )


def timed(bank: Bank, delegates: tuple[str, ...], name: str, share: float, sample: int) -> dict[str, Any]:
    """One router at a share: every request answered by the routed loop and by the policy alone, in turn."""
    valid, test = (calibration_data(bank, part, delegates)[0] for part in ("valid", "test"))
    router = unfitted(kinds(delegates)[name], estimators=AFTER).fit(valid).at_share(share, test.signals)
    routed, plain = agent_of(bank, delegates, router), agent_of(bank, delegates, None)
    queries = replace(bank.cases("test").queries, k=TOP)
    rows = np.random.default_rng(0).permutation(len(queries))
    singles = [queries.take(rows[i : i + 1]) for i in range(sample + WARM_UP)]
    asked: dict[str, Callable[[QueryBatch], bool]] = {
        "routed": lambda batch: bool(routed.act(batch).decisions.replaced[0]),
        "policy": lambda batch: bool(plain.act(batch).decisions.replaced[0]),
        "routed, served": lambda batch: served(routed, batch),
        "policy, served": lambda batch: served(plain, batch),
        **{label: partial(delegate, plain, label) for label in delegates},
    }
    clock, work = np.zeros((2, len(singles), len(asked)))
    gone = np.zeros((len(singles), len(asked)), np.bool_)
    for row, batch in enumerate(singles):
        for turn in range(len(asked)):
            column = (row + turn) % len(asked)
            began, worked = time.perf_counter(), time.thread_time()
            gone[row, column] = list(asked.values())[column](batch)
            clock[row, column], work[row, column] = time.perf_counter() - began, time.thread_time() - worked
    clock, work, gone = clock[WARM_UP:], work[WARM_UP:], gone[WARM_UP:]
    found: dict[str, Any] = {"router": name, "share wanted": share, "share": float(gone[:, 0].mean()), "n": sample}
    for column, label in enumerate(asked):
        ways = {label: np.ones(len(clock), np.bool_)}
        if label.startswith("routed"):
            ways |= {f"{label}: self": ~gone[:, column], f"{label}: replace": gone[:, column]}
        for way, at in ways.items():
            if at.any():
                found[way] = {"n": int(at.sum()), **told(clock[at, column], work[at, column])}
    batch = queries.take(rows[:BATCH])
    for label, agent in {"routed": routed, "policy": plain}.items():
        began, worked = time.perf_counter(), time.process_time()
        agent.act(batch)
        times = time.perf_counter() - began, time.process_time() - worked
        found[f"{label}, in a batch"] = {"mean": 1000 * times[0] / BATCH, "work": 1000 * times[1] / BATCH}
    return found


def told(clock: np.ndarray, work: np.ndarray) -> dict[str, float]:
    """Milliseconds: mean, median and 95th percentile by the clock; mean and median of processor time."""
    p50, p95 = np.quantile(clock, (0.5, 0.95))
    values = {"mean": clock.mean(), "p50": p50, "p95": p95, "work": work.mean(), "work p50": np.median(work)}
    return {name: 1000 * float(value) for name, value in values.items()}


def served(agent: Agent, batch: QueryBatch) -> bool:
    """Answer, and put the steps into words where the policy answered."""
    outcome = agent.act(batch)
    if outcome.deliberation is not None:
        tuple(outcome.deliberation.steps[0])
    outcome.decisions.reason[0]
    return bool(outcome.decisions.replaced[0])


def delegate(agent: Agent, label: str, batch: QueryBatch) -> bool:
    """A delegate by itself."""
    agent.delegate(label, batch, agent.observe(batch))
    return True
