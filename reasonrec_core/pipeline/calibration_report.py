"""How far stated confidence can be trusted on test, before and after recalibration; what abstaining comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reasonrec_core.evaluate import metric_name, reliability, risk_coverage, summarise
from reasonrec_core.evaluate.routing_schema import (
    AbstentionResult,
    CalibrationResult,
    ConfidenceQuality,
    Estimate,
    RecalibratedConfidence,
    ReliabilityBin,
    RouterReport,
    RoutingResult,
)
from reasonrec_core.evaluate.schema import RiskCurve
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.calibrate_router import goal_in_words, goals, keys, scored, signals
from reasonrec_core.pipeline.evaluate import EvaluatedTask
from reasonrec_core.pipeline.predict import delegate_answers, policy_answers
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.routing import FEATURE, CalibrationQuality, Decisions, Recalibration, Router, choose_recalibration
from reasonrec_core.routing.confidence import ways_of
from reasonrec_core.types import ROUTED, Bool, Float64, Task

CURVE_POINTS = 200
"""Points of the risk-coverage curve that are kept: as many as a plot can show."""
DRAWS = 200
"""Of outcomes, for the calibration error that chance alone makes."""


def report_confidence(prepared: Prepared, agent: Agent, first: EvaluatedTask) -> dict[str, Any]:
    """The fields of `Results` that speak of confidence and of the router."""
    if first.task is Task.CTR:
        return {"calibration": _clicks(prepared, agent, first)}
    if first.task is Task.EXPLAIN:
        return {}
    router = agent.routers.get(first.task)
    if router is None or first.routed is None:
        return {}
    scores, k = first.scores[ROUTED], max(prepared.config.evaluate.k)
    hit = scores.per_query[metric_name("HR", k, scores.sampled)] > 0
    quality = metric_name("NDCG", k, scores.sampled)
    known = signals(agent, first.cases.queries, first.answers)
    ways, raw = _as_decided(router, known, keys(first.cases))
    seed, stated = prepared.config.seed, np.asarray(first.routed.confidence, np.float64)
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
        event=f"target in top {k}",
        **_both(raw, stated, event, seed),
        routes=tuple(routes),
        own=_own(prepared, agent, first),
    )
    return {
        "calibration": calibration,
        "risk_coverage": curve(stated, 1.0 - scores.per_query[quality][given], f"1 - {quality}"),
        "routing": describe_routing(router, first.routed),
    }


def describe_routing(router: Router[Any], routed: Decisions) -> RoutingResult:
    """The rule, and what it came to."""
    config, report = router.config, router.report
    return RoutingResult(
        kind=config.kind,
        stage=config.stage,
        delegate=" or ".join(router.delegates),
        estimators=tuple(name for name in router.signals if not name.startswith(FEATURE)),
        answer_features=any(name.startswith(FEATURE) for name in router.signals),
        asks=tuple(router.asks),
        threshold=float(report["level"]) if config.risk is not None else None,
        target=goal_in_words(config, report.get("goal")),
        reached=float(routed.replaced.mean()),
        consulted=float(routed.consulted.mean()),
        abstained=float(routed.abstained.mean()),
        validation=RouterReport.model_validate(report),
    )


def _as_decided(router: Router[Any], known: Mapping[str, Any], ties: Any) -> tuple[Any, Float64]:
    """How each query goes but for abstaining, and the raw confidence in its answer."""
    raw = router.with_state(abstention=None, calibration={}).decide(known, ties)
    return ways_of(raw.route, raw.who), np.asarray(raw.confidence, np.float64)


def _own(prepared: Prepared, agent: Agent, first: EvaluatedTask) -> RecalibratedConfidence | None:
    """The policy's own probability of a hit, on all queries: as it states it, and recalibrated by itself."""
    assert agent.policy is not None
    label, task = agent.policy.label, first.task
    stated, valid = first.answers[label].mass, policy_answers(prepared, agent, task, "valid")
    if stated is None or valid.mass is None:
        return None
    cases, name = prepared.cases(task, "valid"), goals(prepared, first.scores[label])[1]
    seen = scored(prepared, valid, cases).per_query[name] > 0
    made = choose_recalibration(valid.mass.astype(np.float64), seen, prepared.config.seed)
    raw, event = stated.astype(np.float64), first.scores[label].per_query[name] > 0
    return RecalibratedConfidence(of=label, kind=made.kind, **_both(raw, made(raw), event, prepared.config.seed))


def _clicks(prepared: Prepared, agent: Agent, first: EvaluatedTask) -> CalibrationResult:
    """Click probabilities of the first system, as they are and recalibrated; the answers stay as they are."""
    label, answers = next(iter(first.answers.items()))
    if agent.policy is not None and label == agent.policy.label:
        valid = policy_answers(prepared, agent, first.task, "valid")
    else:
        valid = delegate_answers(prepared, agent, label, first.task, "valid")
    cases = prepared.cases(first.task, "valid")
    assert answers.probability is not None
    assert valid.probability is not None
    assert first.cases.labels is not None
    assert cases.labels is not None
    seed = prepared.config.seed
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


def report_abstention(prepared: Prepared, agent: Agent, found: EvaluatedTask) -> AbstentionResult | None:
    """What abstaining comes to; None where every request gets an answer.

    ``coverage``: share of the requests that are answered; ``wanted``: the setting and its value; ``validation``: what
    calibration promised; ``answered``: per metric the mean of the answers that are given, with its 95 % interval, and
    ``risk``, the share of them without the target among the ten best; ``held_back``: means of what the policy would
    have answered to the others. Metrics of the routed system count a request without an answer as a miss.
    """
    router = agent.routers.get(found.task)
    if router is None or router.state.abstention is None or found.routed is None or agent.policy is None:
        return None
    config, held = router.config, found.routed.abstained
    names = goals(prepared, found.scores[agent.policy.label])
    given = found.scores[ROUTED].take(np.flatnonzero(~held))
    settings = prepared.config.evaluate
    answered = summarise(given, seed=prepared.config.seed, resamples=settings.resamples, metrics=names)
    name = "abstain" if config.abstain is not None else "selective_risk"
    mine = found.scores[agent.policy.label].per_query
    hit = answered.get(names[1])
    return AbstentionResult(
        coverage=float(np.mean(~held)),
        wanted={name: getattr(config, name)},
        validation=router.report.get("abstention"),
        answered={each: Estimate(**value) for each, value in answered.items()},
        risk=None if hit is None else Estimate(value=1 - hit["value"], low=1 - hit["high"], high=1 - hit["low"]),
        held_back={each: float(np.nanmean(mine[each][held])) for each in names} if held.any() else {},
    )
