"""Quality against the share that is delegated: the calibrated router beside random and oracle routing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.components import Empty, Reporter
from reasonrec_core.evaluate.schema import Estimate, finite
from reasonrec_core.evaluate.significance import horizon_quartiles
from reasonrec_core.pipeline import (
    EvaluatedRun,
    EvaluatedTask,
    collect_calibration_data,
    collect_signals,
    make_tie_keys,
    name_goals,
)
from reasonrec_core.routing import EXPLORED, Router, Signals
from reasonrec_core.routing.budget import RelativeDifference, relative_difference, share_for_loss
from reasonrec_core.routing.decision import LARGEST, Names
from reasonrec_core.types import ROUTED, Bool, Float64, Int64
from reasonrec_report.sections import CurvePoint, DecisionOrder, DelegationCurve, HorizonQuarter, NotInferior

Rows = npt.NDArray[np.intp]

SHARES = np.linspace(0.0, 1.0, 21)
BINS = 30
"""Of the decisions, by what they are ordered by."""
LOSS = 0.01
"""Relative loss that counts as none where the router's goal names no other."""


class DelegationReporter(Reporter[Empty]):
    """Asks the router of the first task for other shares."""

    sections = ("delegation_curve",)

    def analyse(self, run: EvaluatedRun) -> Mapping[str, DelegationCurve] | None:
        """The curve; None where nothing is routed."""
        found = measure_curve(run)
        return None if found is None else {"delegation_curve": found}


@dataclass(frozen=True)
class AllAnswered:
    """The test queries of a routed task, all of which every system answered.

    Attributes:
        router: calibrated.
        known: what it may look at.
        quality: system -> float64[B] of one metric.
        policy: label of the policy.
        ties: int64[B] what breaks ties; the users.
        seed, resamples: of intervals.
    """

    router: Router[Any]
    known: Signals
    quality: Mapping[str, Float64]
    policy: str
    ties: Int64
    seed: int
    resamples: int

    @property
    def ordering(self) -> Router[Any]:
        """The router; one that hands nothing over as it would order requests if it did."""
        return self.router.at_share(EXPLORED, self.known) if self.router.config.idle else self.router

    @property
    def mine(self) -> Float64:
        """float64[B]: the quality of the policy's answers."""
        return self.quality[self.policy]

    def at(self, share: float) -> Float64:
        """float64[B]: quality where the router delegates another share; consulting and abstaining aside."""
        assigned = self.router.at_share(share, self.known).assign(self.known, self.ties)
        return self.quality_of(assigned.who)

    def quality_of(self, who: Names) -> Float64:
        """float64[B]: the quality of these delegates' answers, or of the policy's where it is ""."""
        made = self.mine.copy()
        for label in self.router.delegates:
            made[who == label] = self.quality[label][who == label]
        return made

    def oracle(self, share: float) -> float:
        """Mean quality where the requests that gain most go to the delegate that is best for each."""
        gains = np.sort(np.max([self.quality[label] for label in self.router.delegates], axis=0) - self.mine)[::-1]
        count = share * len(gains)
        whole = int(count)
        part = gains[whole] * (count - whole) if whole < len(gains) else 0.0
        return float(self.mine.mean() + (gains[:whole].sum() + part) / len(gains))

    def relative(self, values: Float64, rows: Rows | None = None) -> RelativeDifference:
        """``values`` against the policy alone, on some of the queries."""
        at: Any = slice(None) if rows is None else rows
        return relative_difference(values[at], self.mine[at], self.ties[at], seed=self.seed, resamples=self.resamples)

    def estimate(self, values: Float64) -> dict[str, float]:
        """The mean, and the 95 % interval of the difference to the policy alone, added to the policy's mean."""
        found, base = self.relative(values), float(self.mine.mean())
        return {"value": float(values.mean()), "low": base * (1 + found.low), "high": base * (1 + found.high)}


def measure_curve(run: EvaluatedRun) -> DelegationCurve | None:
    """The curve on test; None where nothing is routed.

    Random routing is the expectation over all choices of requests, which is linear in the share. The oracle is a bound
    that no router can pass.
    """
    agent, found, config = run.agent, run.first, run.config
    router = agent.routers.get(found.task)
    if router is None or found.routed is None or agent.policy is None:
        return None
    metric, _ = name_goals(run.prepared, found.scores[agent.policy.label])
    quality = {label: scores.per_query[metric] for label, scores in found.scores.items()}
    known = collect_signals(agent, found.cases.queries, found.answers)
    tested = AllAnswered(
        router, known, quality, agent.policy.label, make_tie_keys(found.cases), config.seed, config.evaluate.resamples
    )
    base = float(tested.mine.mean())
    given_away = float(tested.quality_of(tested.ordering.assign(known, tested.ties).best).mean())
    points = [
        CurvePoint(
            share=float(share),
            **tested.estimate(tested.at(float(share))),
            random=base + float(share) * (given_away - base),
            oracle=tested.oracle(float(share)),
        )
        for share in SHARES
    ]
    return DelegationCurve(
        metric=metric,
        policy=base,
        points=tuple(points),
        chosen=CurvePoint(share=float(found.routed.replaced.mean()), **tested.estimate(quality[ROUTED])),
        not_inferior=_not_inferior(run, tested),
        decisions=_count_decisions(tested, found.routed.replaced),
        horizon=_by_horizon(found, tested),
    )


def _count_decisions(tested: AllAnswered, replaced: Bool) -> DecisionOrder:
    """Requests by what the router orders them by, those that a delegate answered apart."""
    order, state = tested.ordering.assign(tested.known, tested.ties).order, tested.router.state
    low, high = float(order.min()), float(order.max())
    edges = np.linspace(low, high if high > low else low + 1e-6, BINS + 1)
    kept, delegated = (np.histogram(order[rows], edges)[0].tolist() for rows in (~replaced, replaced))
    level = state.threshold.level if abs(state.threshold.level) < LARGEST else None
    by = "gain" if state.by_score else "risk"
    return DecisionOrder(by=by, threshold=level, edges=edges.tolist(), kept=kept, delegated=delegated)


def _not_inferior(run: EvaluatedRun, tested: AllAnswered) -> NotInferior:
    """The largest share that is not inferior: chosen on validation, confirmed on test or not."""
    goal = tested.router.report.get("goal")
    if goal is not None and "not_inferior" in goal:
        made = {"limit": goal["limit"], "share": goal["not_inferior"], "validation": goal["validation"]}
    else:
        made = _chosen_on_validation(run, tested.router)
    test = tested.relative(tested.at(made["share"]))
    return NotInferior.model_validate({**made, "test": asdict(test), "confirmed": test.low > -made["limit"]})


def _chosen_on_validation(run: EvaluatedRun, router: Router[Any]) -> dict[str, Any]:
    """The share, kept in the run folder: it takes several routers to find."""
    seed, resamples, task = run.config.seed, run.config.evaluate.resamples, run.first.task

    def make() -> dict[str, Any]:
        data = collect_calibration_data(run.prepared, run.agent, task)
        share, value = share_for_loss(data, router, LOSS, data.keys, seed=seed, resamples=resamples)
        return {"limit": LOSS, "share": share, "validation": finite(asdict(value))}

    return run.keep(f"not-inferior-{task}", [router.to_dict(), LOSS, seed, resamples], make)


def _by_horizon(found: EvaluatedTask, tested: AllAnswered) -> tuple[HorizonQuarter, ...]:
    """By quarter of the evidence horizon, the shortest histories first: what was delegated, and what came of it."""
    assert found.routed is not None
    names, code = horizon_quartiles(found.cases.queries.history.lengths)
    routed, rows = tested.quality[ROUTED], []
    for number, name in enumerate(names):
        at = np.flatnonzero(code == number)
        if len(at):
            rows.append(
                HorizonQuarter(
                    group=str(name),
                    n=len(at),
                    share=float(found.routed.replaced[at].mean()),
                    routed=float(routed[at].mean()),
                    policy=float(tested.mine[at].mean()),
                    relative=Estimate(**asdict(tested.relative(routed, at))),
                )
            )
    return tuple(rows)
