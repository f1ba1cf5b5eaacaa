"""What answers cost on this machine, route by route: one request at a time, and in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from reasonrec_core.components import Empty, Reporter
from reasonrec_core.evaluate.schema import Estimate, TimeSpent, finite
from reasonrec_core.evaluate.significance import horizon_quartiles
from reasonrec_core.pipeline import (
    Agent,
    EvaluatedRun,
    EvaluatedTask,
    Latency,
    compare_seconds,
    list_ways_to_ask,
    summarise_seconds,
    time_in_turn,
)
from reasonrec_core.types import CONSULT, Float64, Int64, QueryBatch, Route
from reasonrec_report.measure.spending import Spending
from reasonrec_report.sections import CostResult, CostRow, HorizonCost

BATCH = 32
"""Requests that are answered together."""


class CostReporter(Reporter[Empty]):
    """Times the first task's requests."""

    sections = ("costs",)

    def analyse(self, run: EvaluatedRun) -> Mapping[str, CostResult] | None:
        """What the answers cost; None where nothing was timed."""
        found = measure_costs(run.agent, run.first, run.latency, max(run.config.evaluate.k))
        return None if found is None else {"costs": found}


def list_routes(found: EvaluatedTask, agent: Agent) -> npt.NDArray[np.object_]:
    """str[B]: how each test query went: "self", "replace: LABEL", "consult" or "abstain"."""
    n = len(found.cases)
    if found.routed is None:
        label = next(iter(agent.delegates), "")
        return np.full(n, str(Route.SELF) if agent.policy else f"{Route.REPLACE}: {label}", object)
    made = np.full(n, str(Route.SELF), object)
    made[found.routed.consulted] = str(Route.CONSULT)
    made[found.routed.replaced] = [f"{Route.REPLACE}: {who}" for who in found.routed.who[found.routed.replaced]]
    made[found.routed.abstained] = str(Route.ABSTAIN)
    return made


def measure_costs(agent: Agent, found: EvaluatedTask, latency: Latency | None, k: int) -> CostResult | None:
    """What the answers cost; None where nothing was timed.

    ``rows``: per route (``kind`` "route") and per system that answers everything (``kind`` "system") the seconds of one
    request answered by itself (``single``: mean, p50, p95, n), seconds per request where `BATCH` are answered together
    (``batched``), language-model ``tokens`` per request, and, where a component pays for its answers, money per 1,000
    of the requests that were answered together (``money``, in ``currency``). ``horizon``: times and tokens of the whole
    loop and of the policy alone, by quarter of the evidence horizon.
    """
    if latency is None or not len(latency.rows):
        return None
    routes, tokens = list_routes(found, agent), count_tokens(agent, found)
    at = routes[latency.rows]
    queries = replace(found.cases.queries.take(latency.rows), k=k)

    def act(batch: QueryBatch) -> None:
        agent.act(batch)

    ways = {"routed": act, **list_ways_to_ask(agent)}
    spending = Spending(agent)
    batched, sizes = time_batches(agent, {who: spending.count(who, way) for who, way in ways.items()}, queries)
    spent = {who: summarise_seconds(np.repeat(seconds, sizes)) for who, seconds in batched.items()}
    money = spending.per_1000
    rows = [_row("routed", "system", latency.whole, spent["routed"], tokens["routed"], money("routed"))]
    for route in sorted(set(routes), key=_place):
        mine = at == route
        if mine.any() and len(set(routes)) > 1:
            alone, counts = time_batches(agent, {route: spending.count(route, act)}, queries.take(np.flatnonzero(mine)))
            together = summarise_seconds(np.repeat(alone[route], counts))
            counted = tokens["routed"][routes == route]
            rows.append(_row(route, "route", latency.whole[mine], together, counted, money(route)))
    for label in latency.systems:
        rows.append(_row(label, "system", latency.systems[label], spent[label], tokens[label], money(label)))
    changes = dict[str, Estimate]()
    if agent.policy is not None:
        policy = agent.policy.label
        changes["single_change"] = _change(latency.whole, latency.systems[policy])
        changes["batch_change"] = _change(batched["routed"] * sizes, batched[policy] * sizes)
    horizon = _by_horizon(agent, found, latency, tokens["routed"])
    currency = spending.currency or None
    return CostResult(batch=BATCH, rows=tuple(rows), horizon=horizon, currency=currency, **changes)


def _change(routed: Float64, alone: Float64) -> Estimate:
    """Of the mean time, relative and paired; an interval that is not known is None."""
    return Estimate(**finite(vars(compare_seconds(routed, alone, seed=0))))


def count_tokens(agent: Agent, found: EvaluatedTask) -> dict[str, Int64]:
    """System -> int64[B] language-model tokens; "routed" is what the decisions cost."""
    nothing = np.zeros(len(found.cases), np.int64)
    spent = nothing
    if agent.policy is not None and (counted := found.answers[agent.policy.label].tokens) is not None:
        spent = counted
    made = dict.fromkeys(agent.delegates, nothing)
    router = agent.routers.get(found.task)
    early = router is not None and router.config.stage == "before"
    replaced = found.routed.replaced if found.routed is not None else np.full(len(nothing), agent.policy is None)
    made["routed"] = np.where(replaced, 0, spent) if early or agent.policy is None else spent
    if found.routed is not None and CONSULT in found.answers and (more := found.answers[CONSULT].tokens) is not None:
        made |= {"routed": made["routed"] + np.where(found.routed.consulted, more, 0), CONSULT: spent + more}
    return made | ({agent.policy.label: spent} if agent.policy else {})


def time_batches(
    agent: Agent, ways: Mapping[str, Callable[[QueryBatch], object]], queries: QueryBatch
) -> tuple[dict[str, Float64], Int64]:
    """Who -> seconds per request of each batch of `BATCH` requests, asked in turn; and int64 sizes of the batches."""
    batches = list(_batches(queries))
    sizes = np.array([len(batch) for batch in batches])
    return dict(zip(ways, time_in_turn(agent, ways, batches).T / sizes, strict=True)), sizes


def _batches(queries: QueryBatch) -> Iterator[QueryBatch]:
    for start in range(0, len(queries), BATCH):
        yield queries.take(np.arange(start, min(start + BATCH, len(queries))))


def _row(
    who: str, kind: str, single: Float64, batched: TimeSpent, tokens: Int64, money: float | None = None
) -> CostRow:
    mean, alone = float(tokens.mean()) if len(tokens) else 0.0, summarise_seconds(single)
    return CostRow(who=who, kind=kind, single=alone, batched=batched, tokens=mean, money=money, requests=len(tokens))


def _place(route: str) -> tuple[int, str]:
    """Whoever thinks first comes first."""
    order = [str(Route.SELF), str(Route.CONSULT), str(Route.REPLACE), str(Route.ABSTAIN)]
    return order.index(route.split(":")[0]), route


def _by_horizon(agent: Agent, found: EvaluatedTask, latency: Latency, tokens: Int64) -> tuple[HorizonCost, ...]:
    """The timed requests by quarter of the evidence horizon of all test queries, the shortest histories first."""
    names, code = horizon_quartiles(found.cases.queries.history.lengths)
    own = latency.systems.get(agent.policy.label) if agent.policy else None
    rows = []
    for number, name in enumerate(names):
        at = code[latency.rows] == number
        if at.any():
            policy = None if own is None else summarise_seconds(own[at])
            spent = float(tokens[code == number].mean())
            rows.append(
                HorizonCost(group=str(name), routed=summarise_seconds(latency.whole[at]), policy=policy, tokens=spent)
            )
    return tuple(rows)
