"""Routing in sentences: what was delegated, why, what it cost, what it saved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from reasonrec_core.evaluate.schema import RoutingResult
from reasonrec_report.delegation_section import format_duration, format_relative
from reasonrec_report.metric_names import choose_headline, format_value, parse_metric
from reasonrec_report.number_format import format_percent, format_signed
from reasonrec_report.sections import CostResult, DelegationCurve, ReportedResults

SIGNALS = {
    "evidence-horizon": "how little is known about the user (evidence horizon)",
    "entropy": "how evenly the policy spreads its probability over the items (entropy)",
    "margin": "how close the second-best item comes (margin)",
}
KINDS = {
    "threshold": "Requests are handed over if, on similar validation requests, the delegate was more often "
    "better and less often worse.",
    "deferral": "Requests are handed over if a model, learned on validation, expects the delegate to gain "
    "the most or lose the least.",
    "cascade": "Delegates are asked in turn; the first good enough answer is used, otherwise the policy answers.",
    "risk-control": "As many requests are handed over as the limit on the expected loss allows (conformal "
    "risk control).",
}
FAR = 0.05
"""How far the share of the test requests is from the wanted one where that is worth a word."""
_SHARE = re.compile(r"share (\d*\.?\d+)")
_HANDED = "replace: "
"""How the rows of `CostResult` begin that are of requests which a delegate answered."""
CHANCE = 0.5
"""Area under the ROC curve of a coin."""
NBSP = "\N{NO-BREAK SPACE}"


class Effect(StrEnum):
    """What a change did, by its interval."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Judgement:
    """An effect, and a clause that says it."""

    effect: Effect
    text: str


def describe_delegation(results: ReportedResults) -> str:
    """Who answered how many requests."""
    facts, routing, roles = results.delegation, results.routing, results.roles
    if facts is None or facts.share is None or routing is None:
        return ""
    policy = (roles.policy if roles else None) or "the policy"
    rows = results.costs.rows if results.costs else []
    answered = [row.who.removeprefix(_HANDED) for row in rows if row.who.startswith(_HANDED)]
    delegate = _list(answered) if answered else routing.delegate or "a delegate"
    n = _requests(results)
    of = f"the {n:,} test requests" if n else "the test requests"
    if not facts.share and not routing.consulted and not routing.abstained:
        why = f": {routing.nothing}" if routing.nothing else ""
        return f"{policy} answered all of {of}; nothing was handed to {delegate}{why}."
    parts = [f"{format_percent(facts.share)} of {of} were handed to {delegate}"]
    if routing.consulted:
        parts.append(f"on {format_percent(routing.consulted)} {policy} decided after seeing the delegates' answers")
    if routing.abstained:
        parts.append(f"{format_percent(routing.abstained)} got no answer")
    return f"{', '.join(parts)}; {policy} answered the rest."


def describe_batches(results: ReportedResults) -> str:
    """In batches of which sizes the policy answers alone, because handing over saved no time there."""
    extra = results.routing.validation.model_extra if results.routing and results.routing.validation else None
    measured = ((extra or {}).get("goal") or {}).get("batches") or {}
    kept = [size for size, change in measured.items() if not (change["high"] is not None and change["high"] < 0)]
    if not kept or results.routing is None or not results.routing.reached:
        return ""
    policy = (results.roles.policy if results.roles else None) or "the policy"
    every = "all measured sizes" if len(kept) == len(measured) else f"about {_list(kept)} requests"
    return f"In batches of {every}, {policy} answers alone, because handing over saves no time there."


def describe_consulting(results: ReportedResults) -> str:
    """Whether deciding with delegates' answers in view pays, by the validation queries that it was tried on."""
    validation = results.routing.validation if results.routing else None
    found = validation.consult if validation else None
    if found is None:
        return ""
    if not found.queries:
        return "Consulting delegates: enough is known about every user, so no delegate needs to be consulted."
    gain = f", {format_relative(found.gain)}" if found.gain else ""
    said = (
        f"Consulting delegates: on {found.queries:,} validation requests, NDCG is "
        f"{format_value(found.consulted)} after seeing their answers and {format_value(found.policy)} "
        f"without{gain}"
    )
    return f"{said}." if found.used else f"{said}. That is not a clear gain, so no delegate is consulted."


def describe_abstention(results: ReportedResults) -> str:
    """What giving no answer did to the answers that are given."""
    found = results.abstention
    head = choose_headline(parse_metric(name) for name in found.answered) if found else None
    if found is None or head is None:
        return ""
    wanted = next(((name, value) for name, value in found.wanted.items() if value is not None), None)
    goals = {"abstain": "{} without an answer", "selective_risk": "at most {} of the answers without a hit"}
    goal = f" (goal: {goals[wanted[0]].format(format_percent(wanted[1]))})" if wanted and wanted[0] in goals else ""
    name, given = head.name, found.answered[head.name]
    interval = f" ({format_value(given.low)}–{format_value(given.high)})" if given.low is not None else ""
    parts = [
        f"The {format_percent(1 - found.coverage)} of the requests with the least confidence get no answer{goal}",
        f"the answers given reach {name} {format_value(given.value)}{interval}",
    ]
    if found.risk and found.risk.value is not None:
        parts.append(f"{format_percent(found.risk.value)} of them miss")
    if name in found.held_back:
        parts.append(f"on the other requests the policy would have reached {format_value(found.held_back[name])}")
    return f"{'; '.join(parts)}. All other numbers count a request without an answer as a miss."


def judge_quality(results: ReportedResults) -> Judgement:
    """What delegating did to quality, against the policy answering everything."""
    curve = results.delegation_curve
    if curve is None or curve.chosen is None or curve.chosen.value is None or not curve.policy:
        return Judgement(Effect.UNKNOWN, "the quality was not compared")
    chosen, base = curve.chosen, curve.policy
    assert chosen.value is not None
    if chosen.low is None or chosen.high is None:
        both = f"{format_value(chosen.value)} against {format_value(base)} for the policy alone"
        return Judgement(Effect.UNKNOWN, f"{curve.metric} is {both}")
    change, low, high = (value / base - 1 for value in (chosen.value, chosen.low, chosen.high))
    interval = f"95{NBSP}% interval {format_signed(100 * low, 1)} to {format_signed(100 * high, 1)}{NBSP}%"
    if low > 0:
        return Judgement(Effect.BETTER, f"{curve.metric} rises by {format_percent(change, 1)} ({interval})")
    if high < 0:
        return Judgement(Effect.WORSE, f"{curve.metric} falls by {format_percent(-change, 1)} ({interval})")
    if low == high == 0:
        return Judgement(Effect.SAME, f"{curve.metric} stays the same")
    return Judgement(Effect.SAME, f"{curve.metric} does not change measurably ({interval})")


def judge_time(results: ReportedResults) -> Judgement:
    """What delegating did to the time of a request: paired by request, or nothing is claimed."""
    found = results.delegation.time if results.delegation else None
    if found is None or found.value is None or found.low is None or found.high is None:
        return Judgement(Effect.UNKNOWN, "the times were not compared")
    interval = f"95{NBSP}% interval {format_signed(100 * found.low, 0)} to {format_signed(100 * found.high, 0)}{NBSP}%"
    if found.high < 0 and results.delegation and not results.delegation.share:
        return Judgement(Effect.SAME, f"less time was measured ({interval}), but by chance: nothing was handed over")
    if found.high < 0:
        return Judgement(Effect.BETTER, f"a request takes {format_percent(-found.value)} less time ({interval})")
    if found.low > 0:
        return Judgement(Effect.WORSE, f"a request takes {format_percent(found.value)} more time ({interval})")
    return Judgement(Effect.SAME, f"the time per request does not change measurably ({interval})")


def describe_price(results: ReportedResults) -> str:
    """What delegating did to quality and time, with both means; empty where the policy answered everything."""
    facts, routing = results.delegation, results.routing
    if routing is None or not facts or not (facts.share or routing.consulted or routing.abstained):
        return ""
    quality, time = judge_quality(results), judge_time(results)
    curve, rows = results.delegation_curve, {row.who: row for row in results.costs.rows} if results.costs else {}
    policy = results.roles.policy if results.roles else None
    mine, whole = rows.get(policy or ""), rows.get("routed")
    if curve is None or curve.chosen is None:
        return ""
    means = f"{format_value(curve.chosen.value)} with delegating, {format_value(curve.policy)} with the policy alone"
    said = f"Compared with the policy answering everything, {quality.text}: {means}. {_capital(time.text)}"
    if mine is None or whole is None:
        return f"{said}."
    said += (
        f": {format_duration(whole.single.mean)} with delegating, {format_duration(mine.single.mean)} with "
        "the policy alone."
    )
    return f"{said} It uses {whole.tokens:,.0f} tokens instead of {mine.tokens:,.0f}." if mine.tokens else said


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def describe_rule(routing: RoutingResult) -> str:
    """The rule: when it is decided, from what, and what was wanted."""
    stage = {"before": "before the policy answers", "after": "after the policy has answered"}.get(routing.stage or "")
    known = [SIGNALS.get(name, name) for name in routing.estimators]
    if routing.asks:
        known.append(f"what {_list(routing.asks)} answered")
    elif routing.answer_features:
        known.append("the length and popularity of the history")
    parts = [f"How it is decided: {stage}" if stage else "How it is decided"]
    parts[0] += f", from {_list(known)}." if known else "."
    parts.append(KINDS.get(routing.kind or "", ""))
    if routing.threshold is not None:
        parts.append(f"A delegate answers if the risk is above {routing.threshold:.3f}.")
    if (auc := _read_auc(routing)) is not None and auc <= CHANCE:
        parts.append(
            "On validation, these signals predict no better than chance when the delegate is better (AUC "
            f"{auc:.2f}, chance is 0.50), so the requests might as well be chosen at random."
        )
    parts.append(_target(routing))
    return " ".join(part for part in parts if part)


def _read_auc(routing: RoutingResult) -> float | None:
    """Cross-fitted on validation: how well the router tells the requests where the policy is worse; 0.5 is chance."""
    risk = (routing.validation.model_extra or {}).get("risk") if routing.validation else None
    auc = risk.get("auc") if isinstance(risk, dict) else None
    return float(auc) if isinstance(auc, int | float) else None


def describe_missed_share(results: ReportedResults) -> str:
    """What share was wanted, where another came of it."""
    routing = results.routing
    wanted = _SHARE.fullmatch(str(routing.target)) if routing else None
    if routing is None or wanted is None or not isinstance(routing.reached, float):
        return ""
    if abs(routing.reached - float(wanted[1])) < FAR:
        return ""
    came, asked = format_percent(routing.reached), format_percent(float(wanted[1]))
    return (
        f"{came} of the test requests were handed over instead of the {asked} asked for, because the share "
        "is set on validation requests and test requests differ."
    )


def _target(routing: RoutingResult) -> str:
    if routing.target is None:
        return ""
    reached = f"; on the test requests it was {_amount(routing.reached)}" if routing.reached else ""
    if str(routing.target).startswith("free"):
        return f"The goal was to hand over only what costs nothing{reached}."
    return f"The goal was {_amount(routing.target)}{reached}."


def describe_rest(curve: DelegationCurve | None, *, enough: bool = True) -> str:
    """How much could be delegated without losing more than the limit; whether there is ``enough`` data to tell."""
    if curve is None or curve.not_inferior is None:
        return ""
    if not enough:
        return "How much could be handed over: there is too little data to tell."
    found = curve.not_inferior
    limit = f"{100 * found.limit:g}\N{NO-BREAK SPACE}%"
    if not found.share:
        return (
            f"How much could be handed over: nothing. On validation, any share could lose more than {limit} of "
            f"{curve.metric} (lower end of the 95{NBSP}% interval)."
        )
    confirmed = "The test requests confirm this" if found.confirmed else "The test requests do not confirm this"
    return (
        f"How much could be handed over: up to {format_percent(found.share)}, which loses at most {limit} of "
        f"{curve.metric} on validation: {format_relative(found.validation)}. {confirmed}: "
        f"{format_relative(found.test)}."
    )


def describe_costs(costs: CostResult | None) -> str:
    """How costs were measured."""
    if costs is None or not costs.rows:
        return ""
    n = next((row.single.n for row in costs.rows if row.single.n), None)
    sample = f"{n:,.0f} test requests, drawn at random" if n else "A sample of test requests"
    return (
        f"Measured on {sample}, on the machine of this run. In batches, the time per request is the time of "
        "the batch divided by its size."
    )


def _requests(results: ReportedResults) -> int | None:
    """How many requests were routed."""
    if results.costs and results.costs.rows:
        return results.costs.rows[0].requests
    return sum(q.n for q in results.delegation_curve.horizon) if results.delegation_curve else None


def _amount(value: float | str | None) -> str:
    """A share as percentage, also where it is said as ``share 0.35``."""
    if isinstance(value, str) and (share := _SHARE.fullmatch(value)):
        return f"a share of {format_percent(float(share[1]))}"
    return format_percent(value) if isinstance(value, float) else str(value)


def _list(names: tuple[str, ...] | list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
