"""Replay: the decisions of a run under another budget or another router, and what would have come of them.

Nothing is asked again: signals, answers' quality and costs are those that the trace recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as dataclass_replace
from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate import Comparison, Scores, compare_all
from reasonrec_core.routing import Router, RouterConfig
from reasonrec_core.types import Route
from reasonrec_trace.costs import estimate_seconds, estimate_tokens, summarise_known
from reasonrec_trace.goals import (
    RelativeDifference,
    relative_difference,
    share_for_latency,
    share_for_loss,
    share_for_tokens,
)
from reasonrec_trace.reader import TraceFile
from reasonrec_trace.replay_router import (
    Replayed,
    as_recorded,
    check_signals,
    compute_quality,
    decide,
    fit_router,
    recorded_router,
)
from reasonrec_trace.schema import VALID
from reasonrec_trace.trace_arrays import Recorded, read_recorded


@dataclass(frozen=True)
class Wanted:
    """What to decide by: nothing (the recorded router, untouched), a router, a goal, or a router and a goal.

    Attributes:
        router: calibrated on the trace's validation part; the recorded one if None.
        share: of the requests that a delegate answers.
        max_latency: mean seconds per request.
        max_loss: tolerated relative loss in quality against the policy alone.
        max_tokens: mean language-model tokens per request.
    """

    router: RouterConfig | None = None
    share: float | None = None
    max_latency: float | None = None
    max_loss: float | None = None
    max_tokens: float | None = None

    @property
    def goals(self) -> int:
        """How many are given besides the router."""
        return sum(g is not None for g in (self.share, self.max_latency, self.max_loss, self.max_tokens))

    def split_goal(self) -> Wanted:
        """The same with the goal of the router's settings as a goal, where it is not a share or a risk."""
        config = self.router
        if config is None or config.given_goal in ("share", "risk"):
            return self
        bare = config.at(0.5)
        if self.goals:
            return dataclass_replace(self, router=bare)
        latency = None if config.max_latency is None else config.max_latency / 1000
        return Wanted(bare, None, latency, config.tolerated_loss, config.max_tokens)


@dataclass(frozen=True)
class Side:
    """What comes of a set of decisions.

    Attributes:
        routes: requests by route.
        share: of the requests that a delegate answers.
        quality: mean by metric; empty where no target is known.
        latency: seconds (mean, p50, p95, n), None where nothing was timed.
        tokens: mean per request, None where it is not known.
    """

    routes: dict[str, int]
    share: float
    quality: dict[str, float]
    latency: dict[str, float] | None
    tokens: float | None


@dataclass(frozen=True)
class Replay:
    """A replay against what was done.

    Attributes:
        n: requests.
        changed: of them, those that go another way.
        delegate: whom the router replaces by, None without a router.
        recorded, replayed: what came, and would have come, of the decisions.
        policy: the policy answering all, None where there is none.
        comparisons: replayed against recorded, paired by user.
        against_policy: the replayed quality against the policy alone.
        goal: for a tolerated loss: the limit, what validation said, and whether the test part confirms it.
    """

    n: int
    changed: int
    delegate: str | None
    recorded: Side
    replayed: Side
    policy: Side | None
    comparisons: tuple[Comparison, ...]
    against_policy: RelativeDifference | None
    goal: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        made = asdict(self)
        for each in made["comparisons"]:
            del each["draws"]  # of the bootstrap: arrays, and thousands of them
        return made


def replay(file: TraceFile, wanted: Wanted, *, metrics: Sequence[str] = (), seed: int | None = None) -> Replay:
    """Decide again.

    Args:
        file: the trace.
        wanted: what to decide by.
        metrics: to compare; by default those that routers are calibrated on.
        seed: of the intervals; the run's by default.

    Raises:
        ConfigError: a goal out of reach, or a router, metric or estimator that the trace does not know.
        RunError: the trace is damaged or lacks what the replay needs.
    """
    head = file.header
    seed = head.seed if seed is None else seed
    names = tuple(metrics) or tuple(name for name in (head.quality, head.hit) if name)
    needed = {*names, *(name for name in (head.quality, head.hit) if name)}
    test = read_recorded(file, needed)
    if not len(test):
        raise ConfigError("the trace contains no decisions", where=str(file.path))
    router, goal = _router(file, test, wanted, needed, seed)
    before, after = as_recorded(test), decide(test, router)
    names = tuple(name for name in names if not np.isnan(compute_quality(test, before, name)).all())
    missing = [name for name in metrics if name not in names]
    if missing:
        raise ConfigError(f"the trace has no metric {missing[0]!r}", where="--metric", fix=f"There is {head.quality}.")
    policy = _policy_alone(test, after.stage)
    against = None
    if policy is not None and head.quality in names:
        ours, theirs = (compute_quality(test, decisions, head.quality) for decisions in (after, policy))
        if np.nansum(theirs):
            against = relative_difference(ours, theirs, test.users, seed=seed, resamples=head.resamples)
    if goal and against:
        goal |= {"test": asdict(against), "confirmed": against.low >= -goal["limit"]}
    return Replay(
        len(test),
        int((~after.same(before)).sum()),
        router.delegate if router else None,
        _side(test, before, names),
        _side(test, after, names),
        _side(test, policy, names) if policy else None,
        tuple(_compared(test, before, after, names, seed)),
        against,
        goal,
    )


def _policy_alone(test: Recorded, stage: str) -> Replayed | None:
    """The policy answering all, where there is one."""
    if test.header.policy is None:
        return None
    return Replayed(np.full(len(test), str(Route.SELF), object), np.full(len(test), "", object), stage)


def _router(
    file: TraceFile, test: Recorded, wanted: Wanted, needed: set[str], seed: int
) -> tuple[Router[Any] | None, dict[str, Any] | None]:
    """The router that is wanted, and how its goal was met on validation where that is where it was chosen."""
    if wanted.goals > 1:
        raise ConfigError("give only one of share, latency, loss and tokens", where="replay")
    given, wanted = bool(wanted.goals), wanted.split_goal()
    valid = None if wanted.router is None else read_recorded(file, needed, VALID)
    router = recorded_router(test) if wanted.router is None or valid is None else fit_router(wanted.router, valid)
    if not wanted.goals:
        own = wanted.router
        if router is None or own is None or own.share is None or own.stage == "after":
            return router, None
        check_signals(test, router.signals)
        return router.at_share(own.share, test.signals), None  # as a run places it: on the requests that came next
    if router is None:
        raise ConfigError(
            "the run had no router, so no other budget can be tried",
            where=str(file.path),
            fix="Run the pipeline with a [router].",
        )
    goal: dict[str, Any] | None = None
    share = wanted.share
    if wanted.max_latency is not None:
        share = share_for_latency(test, router, wanted.max_latency)
    if wanted.max_tokens is not None:
        share = share_for_tokens(test, router, wanted.max_tokens)
    if wanted.max_loss is not None:
        known = valid or read_recorded(file, needed, VALID)
        share, found = share_for_loss(known, router, wanted.max_loss, seed=seed, resamples=file.header.resamples)
        goal = {"limit": wanted.max_loss, "share": share, "validation": asdict(found)}
    assert share is not None
    if not given and wanted.router is not None and valid is not None:
        router = fit_router(wanted.router.at(share), valid)
        if router.config.stage == "after":  # as a run with this router: on validation
            return router, goal
    check_signals(test, router.signals)
    return router.at_share(share, test.signals), goal


def _side(test: Recorded, decisions: Replayed, names: Sequence[str]) -> Side:
    kinds, counts = np.unique(decisions.routes.astype(str), return_counts=True)
    spent = estimate_tokens(test, decisions)
    return Side(
        {str(kind): int(count) for kind, count in zip(kinds, counts, strict=True)},
        decisions.share,
        {name: float(np.nanmean(compute_quality(test, decisions, name))) for name in names},
        summarise_known(estimate_seconds(test, decisions)),
        float(spent.mean()) if np.isfinite(spent).all() else None,
    )


def _compared(test: Recorded, before: Replayed, after: Replayed, names: Sequence[str], seed: int) -> list[Comparison]:
    """Replayed against recorded; one family for Holm's correction."""
    if not names:
        return []
    systems = {
        label: Scores(
            test.header.task,
            test.users.astype(np.int32),
            {name: compute_quality(test, decisions, name) for name in names},
        )
        for label, decisions in (("replayed", after), ("recorded", before))
    }
    return compare_all(systems, "recorded", names, seed=seed, resamples=test.header.resamples)
