"""How far stated confidence can be trusted on test, before and after recalibration; what abstaining comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reasonrec_core.components import Empty, Reporter
from reasonrec_core.evaluate import metric_name, reliability, summarise
from reasonrec_core.evaluate.schema import Estimate
from reasonrec_core.pipeline import (
    EvaluatedRun,
    ask_delegate,
    ask_policy,
    collect_signals,
    make_tie_keys,
    name_goals,
    score_answers,
)
from reasonrec_core.routing import CalibrationQuality, Recalibration, Router, choose_recalibration
from reasonrec_core.routing.confidence import ways_of
from reasonrec_core.types import ROUTED, Bool, Float64, Task
from reasonrec_report.measure.risk_coverage import risk_coverage
from reasonrec_report.sections import (
    AbstentionResult,
    CalibrationResult,
    ConfidenceQuality,
    RecalibratedConfidence,
    ReliabilityBin,
    RiskCurve,
)

CURVE_POINTS = 200
"""Points of the risk-coverage curve that are kept: as many as a plot can show."""
DRAWS = 200
"""Of outcomes, for the calibration error that chance alone makes."""


class CalibrationReporter(Reporter[Empty]):
    """Compares the confidence of the first task's answers with how often they were right."""

    sections = ("calibration", "risk_coverage", "abstention")

    def analyse(self, run: EvaluatedRun) -> Mapping[str, Any] | None:
        """Of clicks their probabilities; of rankings, where a router answers, the confidence that it states."""
        if run.first.task is Task.CTR:
            return {"calibration": measure_clicks(run)}
        return {**measure_confidence(run), **measure_abstention(run)}


def measure_confidence(run: EvaluatedRun) -> dict[str, Any]:
    """``calibration`` and ``risk_coverage`` of what the router states; nothing without one."""
    agent, first, seed = run.agent, run.first, run.config.seed
    router = agent.routers.get(first.task)
    if router is None or first.routed is None:
        return {}
    scores, k = first.scores[ROUTED], max(run.config.evaluate.k)
    hit = scores.per_query[metric_name("HR", k, scores.sampled)] > 0
    quality = metric_name("NDCG", k, scores.sampled)
    known = collect_signals(agent, first.cases.queries, first.answers)
    ways, raw = _as_decided(router, known, make_tie_keys(first.cases))
    stated = np.asarray(first.routed.confidence, np.float64)
    given = ~np.isnan(stated) & ~first.routed.abstained
    stated, raw, event, ways = stated[given], raw[given], hit[given], ways[given]
    routes = [
        RecalibratedConfidence(
            way=str(way),
            kind=_kind(router.state.calibration.get(way)),
            **_both(raw[ways == way], stated[ways == way], event[ways == way], seed),
        )
        for way in sorted(set(ways))
    ]
    calibration = CalibrationResult(
        of=ROUTED,
        event=f"the target is among the first {k}",
        **_both(raw, stated, event, seed),
        routes=tuple(routes),
        own=_own(run),
    )
    loss = 1.0 - scores.per_query[quality][given]
    return {"calibration": calibration, "risk_coverage": curve(stated, loss, f"1 - {quality}")}


def _as_decided(router: Router[Any], known: Mapping[str, Any], ties: Any) -> tuple[Any, Float64]:
    """How each query goes but for abstaining, and the raw confidence in its answer."""
    raw = router.with_state(abstention=None, calibration={}).decide(known, ties)
    return ways_of(raw.route, raw.who), np.asarray(raw.confidence, np.float64)


def _own(run: EvaluatedRun) -> RecalibratedConfidence | None:
    """The policy's own probability of a hit, on all queries: as it states it, and recalibrated by itself."""
    prepared, first, seed = run.prepared, run.first, run.config.seed
    assert run.agent.policy is not None
    label = run.agent.policy.label
    stated, valid = first.answers[label].mass, ask_policy(prepared, run.agent, first.task, "valid")
    if stated is None or valid.mass is None:
        return None
    cases, name = prepared.cases(first.task, "valid"), name_goals(prepared, first.scores[label])[1]
    seen = score_answers(prepared, valid, cases).per_query[name] > 0
    made = choose_recalibration(valid.mass.astype(np.float64), seen, seed)
    raw, event = stated.astype(np.float64), first.scores[label].per_query[name] > 0
    return RecalibratedConfidence(of=label, kind=made.kind, **_both(raw, made(raw), event, seed))


def measure_clicks(run: EvaluatedRun) -> CalibrationResult:
    """Click probabilities of the first system, as they are and recalibrated; the answers stay as they are."""
    prepared, agent, first, seed = run.prepared, run.agent, run.first, run.config.seed
    label, answers = next(iter(first.answers.items()))
    if agent.policy is not None and label == agent.policy.label:
        valid = ask_policy(prepared, agent, first.task, "valid")
    else:
        valid = ask_delegate(prepared, agent, label, first.task, "valid")
    cases = prepared.cases(first.task, "valid")
    assert answers.probability is not None
    assert valid.probability is not None
    assert first.cases.labels is not None
    assert cases.labels is not None
    made = choose_recalibration(valid.probability.ravel().astype(np.float64), cases.labels.ravel() > 0, seed)
    raw = answers.probability.ravel().astype(np.float64)
    return CalibrationResult(of=label, kind=made.kind, **_both(raw, made(raw), first.cases.labels.ravel() > 0, seed))


def _kind(made: Recalibration | None) -> str:
    return "none" if made is None else made.kind


def _both(raw: Float64, stated: Float64, event: Bool, seed: int) -> dict[str, Any]:
    """Fields of `RecalibratedConfidence`: quality of what is stated; ``before``: of what it was made from."""
    return {**dict(_trust(stated, event, seed)), "before": _trust(raw, event, seed)}


def _trust(stated: Float64, event: Bool, seed: int) -> ConfidenceQuality:
    """`Quality`, the mean confidence, what the errors would be by chance alone, and the bins of equal width."""
    chance = chance_error(stated, seed)
    return ConfidenceQuality(
        **CalibrationQuality.of(stated, event).model_dump(),
        mean=float(stated.mean()),
        ece_chance=chance[0],
        ece_mass_chance=chance[1],
        bins=tuple(bins(stated, event)),
    )


def chance_error(stated: Float64, seed: int) -> tuple[float, float]:
    """Mean calibration error (bins of equal width, of equal mass) of outcomes that are drawn by these probabilities.

    So many cases cannot show a smaller one even where every probability is true (Bröcker and Smith, 2007).
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.random(len(stated)) < stated for _ in range(DRAWS)]
    width, mass = ([reliability(stated, event, kind=kind).ece for event in drawn] for kind in ("width", "mass"))
    return float(np.mean(width)), float(np.mean(mass))


def bins(stated: Float64, event: Bool) -> list[ReliabilityBin]:
    """The reliability diagram's filled bins."""
    diagram = reliability(stated, event)
    return [
        ReliabilityBin(
            low=float(diagram.low[i]),
            high=float(diagram.high[i]),
            n=int(diagram.count[i]),
            confidence=float(diagram.confidence[i]),
            accuracy=float(diagram.accuracy[i]),
        )
        for i in np.flatnonzero(diagram.count)
    ]


def curve(confidence: Float64, loss: Float64, name: str) -> RiskCurve:
    """The risk-coverage curve of the loss called ``name``, thinned to what a plot can show."""
    whole = risk_coverage(confidence, loss)
    kept = np.unique(np.linspace(0, len(whole.coverage) - 1, CURVE_POINTS).round().astype(np.int64))
    return RiskCurve(
        coverage=whole.coverage[kept].tolist(),
        risk=whole.risk[kept].tolist(),
        aurc=whole.aurc,
        e_aurc=whole.e_aurc,
        loss=name,
    )


def measure_abstention(run: EvaluatedRun) -> dict[str, AbstentionResult]:
    """What abstaining comes to (`AbstentionResult`); nothing where every request gets an answer.

    Metrics of the routed system count a request without an answer as a miss; those of the answers that are given have
    95 % intervals, and ``held_back`` has means of what the policy would have answered to the others.
    """
    agent, found, settings = run.agent, run.first, run.config.evaluate
    router = agent.routers.get(found.task)
    if router is None or router.state.abstention is None or found.routed is None or agent.policy is None:
        return {}
    config, abstained = router.config, found.routed.abstained
    names = name_goals(run.prepared, found.scores[agent.policy.label])
    given = found.scores[ROUTED].take(np.flatnonzero(~abstained))
    answered = summarise(given, seed=run.config.seed, resamples=settings.resamples, metrics=names)
    name = "abstain" if config.abstain is not None else "selective_risk"
    mine = found.scores[agent.policy.label].per_query
    hit = answered.get(names[1])
    result = AbstentionResult(
        coverage=float(np.mean(~abstained)),
        wanted={name: getattr(config, name)},
        validation=router.report.get("abstention"),
        answered={each: Estimate(**value) for each, value in answered.items()},
        risk=None if hit is None else Estimate(value=1 - hit["value"], low=1 - hit["high"], high=1 - hit["low"]),
        held_back={each: float(np.nanmean(mine[each][abstained])) for each in names} if abstained.any() else {},
    )
    return {"abstention": result}
