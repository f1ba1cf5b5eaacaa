"""From what a router is wanted for to where its threshold is: chosen on validation, placed for the next requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from reasonrec_core.pipeline import latency
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.predict import CHUNK
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.routing import EXPLORED, CalibrationData, Router, RouterConfig, Signals
from reasonrec_core.routing.budget import RelativeDifference, share_for_loss, share_for_time, share_for_tokens
from reasonrec_core.routing.config import BEST, FREE, GOALS
from reasonrec_core.types import Bool, Int64, QueryBatch, Task, Uncertainty, format_percent

NEXT = 4096
"""Requests that a share is placed on, at most: its standard error is below .01."""
BATCHES = (8, 32, 256)
"""Requests in a batch, where it is measured whether handing some of them over saves time."""
Goal = dict[str, Any]


@dataclass(frozen=True)
class GoalSearch:
    """Fits a router to its goal.

    Attributes:
        prepared, task: the run, and what is routed.
        agent: without routers.
        data: the validation answers.
        tokens: int64[B] what the policy spent on them, None where it says nothing.
        next_signals: what is known of the requests that come next, by the delegates that are asked first.
    """

    prepared: Prepared
    agent: Agent
    task: Task
    data: CalibrationData
    tokens: Int64 | None
    next_signals: dict[tuple[str, ...], Signals] = field(default_factory=dict)

    def fit(self, router: Router[Any]) -> tuple[Router[Any], Goal | None]:
        """The fitted router, and how its goal came to a share; None where a share or a risk is itself the goal.

        Whose answers are worth looking at depends on the share, and the share on what is looked at: it is found with
        what is worth it at one half, and again without asking anybody where that is not worth it at the share found.
        """
        wanted = router.config.given_goal
        if wanted in ("share", "risk"):
            return self._placed(router.fit(self.data)), None
        tried = self._list_delegates(router) if wanted == FREE else [router]
        found = [self._search(each, len(tried)) for each in tried]
        made, goal = max(found, key=lambda each: self._rate(*each))
        if len(tried) > 1:
            made.update(others=self.data.others(made.delegates))
        made, goal = self._placed(made), {"goal": wanted, **goal, "tried": len(tried)}
        return self._kept_if_faster(made, goal) if wanted == FREE else (made, goal)

    def _list_delegates(self, router: Router[Any]) -> list[Router[Any]]:
        """The router with each delegate that answers faster than the policy, where its kind hands over to one alone."""
        costs, config, kind = self.data.costs, router.config, type(router)
        if costs is None or config.delegate != BEST or len(self.data.delegates) < 2:
            return [router]
        if len(kind(config.at(EXPLORED)).fit(self.data.at(EXPLORED), with_confidence=False).delegates) > 1:
            return [router]
        fast = [label for label in self.data.delegates if costs.delegates[label] < costs.policy]
        return [kind(config.model_copy(update={"delegate": label})) for label in fast] or [router]

    def _search(self, router: Router[Any], tests: int) -> tuple[Router[Any], Goal]:
        """The router at the share that meets its goal, and how that was found."""
        kind, seen = type(router), self.data.at(EXPLORED)
        share, goal = self._find_share(router, tests)
        made = kind(router.config.at(share)).fit(seen)
        cheaper = None if self.data.costs is None else made.cheaper(self.data.costs, share)
        if cheaper is None:
            return made, goal
        goals = {name: getattr(router.config, name) for name in GOALS}  # what was fitted has a share for its goal
        share, goal = self._find_share(kind(cheaper.config.model_copy(update=goals)), tests)
        return kind(cheaper.config.at(share)).fit(seen), goal

    def _rate(self, made: Router[Any], goal: Goal) -> tuple[float, float]:
        """The part of the policy's time that is saved; where none is, how little might be lost."""
        costs = self.data.costs
        own = 0.0 if costs is None else costs.delegates[made.delegate] / max(costs.policy, 1e-9)
        return goal["share"] * (1 - own), goal.get("validation", {"low": 0.0})["low"]

    def _find_share(self, router: Router[Any], tests: int) -> tuple[float, Goal]:
        """The share that meets a goal, and what was found; a `ConfigError` where it is out of reach."""
        config, data, run = router.config, self.data.at(EXPLORED), self.prepared.config
        if (limit := config.tolerated_loss) is not None:
            share, found = share_for_loss(
                data, router, limit, data.keys, seed=run.seed, resamples=run.evaluate.resamples, tests=tests,
                following=None if config.stage == "after" else self._next_signals)  # fmt: skip
            return share, {"limit": limit, "share": share, "not_inferior": share, "validation": asdict(found)}
        half = type(router)(config.at(EXPLORED)).fit(data)
        if config.max_tokens is not None:
            spent = np.zeros(len(data), np.int64) if self.tokens is None else self.tokens

            def replaced(share: float) -> Bool:
                return half.at_share(share, data.signals).assign(data.signals, data.keys).replaced

            share = share_for_tokens(replaced, spent, config.stage, config.max_tokens, "router.max_tokens")
            return share, {"limit": config.max_tokens, "share": share}
        assert config.max_latency is not None
        slow, fast = (self._time(half.at_share(share, data.signals))[0] for share in (0.0, 1.0))
        share = share_for_time(slow, fast, config.max_latency / 1000, config.stage, "router.max_latency")
        reached = {"limit": config.max_latency, "share": share}
        return share, {**reached, "policy_ms": 1000 * slow, "delegates_ms": 1000 * fast}

    def _placed(self, made: Router[Any]) -> Router[Any]:
        """The same, its wanted share met by the requests that come next, not by those that it was fitted to."""
        share = made.config.share
        if share is None or made.config.stage == "after":
            return made
        return made.at_share(share, self._next_signals(made))

    def _next_queries(self, k: int) -> QueryBatch:
        """The requests that follow those of validation, whose targets are history: signals follow its length."""
        cases = self.prepared.cases(self.task, "valid").sample(NEXT, self.prepared.config.seed)
        return replace(cases.next_queries(), task=self.task, k=k)

    def _next_signals(self, router: Router[Any]) -> Signals:
        """What is known of the `_next_queries` before the policy answers them, looked at once for those it asks."""
        if router.asks in self.next_signals:
            return self.next_signals[router.asks]
        parts = list[Signals]()
        for _, batch in self._next_queries(self.agent.width).chunks(CHUNK):
            seen = self.agent.observe(batch)
            answers = {label: self.agent.delegate(label, batch, seen) for label in router.asks}
            parts.append({**self.agent.estimate("before", batch, seen, None), **self.agent.features(batch, answers)})
        made = {name: Uncertainty(np.concatenate([p[name].total for p in parts]), "before") for name in parts[0]}
        return self.next_signals.setdefault(router.asks, made)

    def _time(self, router: Router[Any]) -> tuple[float, RelativeDifference]:
        """Mean seconds of the next requests, where the share is met, and how far that is from the policy's, paired."""
        settings, seed = self.prepared.config.evaluate, self.prepared.config.seed
        agent, k = replace(self.agent, routers={self.task: router}), max(settings.k)
        timed = latency.measure_latency(agent, self._next_queries(k), settings.latency_sample, k, seed)
        assert timed is not None
        return float(timed.whole.mean()), latency.compare_seconds(timed.whole, timed.systems[self.data.policy], seed)

    def _time_batches(self, router: Router[Any]) -> dict[int, RelativeDifference]:
        """How far the seconds of a batch are from the policy's, by its size; no size that takes long to measure."""
        settings, seed = self.prepared.config.evaluate, self.prepared.config.seed
        agent, found = replace(self.agent, routers={self.task: router}), dict[int, RelativeDifference]()
        ways = {"": agent.act, "policy": latency.list_ways_to_ask(agent)[self.data.policy]}
        queries = self._next_queries(max(settings.k))
        order, took = np.random.default_rng(seed).permutation(len(queries)), 0.0
        for size in BATCHES:
            if took > latency.LONG / BATCHES[0]:
                break
            rows = np.resize(order, (max(latency.LEAST_PAIRS, settings.latency_sample // size) + 1, size))
            times = latency.time_in_turn(agent, ways, [queries.take(each) for each in rows])[1:]  # it warms up
            found[size], took = latency.compare_seconds(times[:, 0], times[:, 1], seed), float(times.sum())
        return found

    def _kept_if_faster(self, made: Router[Any], goal: Goal) -> tuple[Router[Any], Goal]:
        """The router if it saves time at its share, else one that hands nothing over; and why."""
        share, metric = goal["share"], f"NDCG@{max(self.prepared.config.evaluate.k)}"
        if not share:
            why = f"handing over any share could lose more than {format_percent(goal['limit'])} of {metric}"
            most = f", the closest of {goal['tried']} delegates," if goal["tried"] > 1 else ""
            why = f"{why}; on {len(self.data):,} validation requests, trying {made.delegate}{most} changes it by "
            return made, {**goal, "nothing": f"{why}{RelativeDifference(**goal['validation'])}"}
        if (found := self._time(made)[1]).high < 0:
            changes = self._time_batches(made)
            made.update(batches={size: change.high < 0 for size, change in changes.items()})
            batches = {str(size): asdict(change) for size, change in changes.items()}
            return made, {**goal, "time": asdict(found), "batches": batches}
        why = f"handing {format_percent(share)} to {made.delegate} saves no measurable time ({found})"
        return made.at_share(0.0, self.data.signals), {**goal, "share": 0.0, "time": asdict(found), "nothing": why}


def describe_goal(config: RouterConfig, found: Mapping[str, Any] | None) -> str:
    """What was wanted, and the share that it came to."""
    names = {"max_loss": "a loss of at most", "max_latency": "milliseconds at most", "max_tokens": "tokens at most"}
    if found is None:
        return f"share {config.share:g}" if config.share is not None else f"risk {config.risk:g}"
    wanted = FREE if found["goal"] == FREE else f"{names[found['goal']]} {found['limit']:g}"
    return f"{wanted} (a share of {format_percent(found['share'])})"
