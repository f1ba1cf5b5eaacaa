"""Routing in sentences: what was delegated, why, what it cost, what it saved."""

from __future__ import annotations

import re

from reasonrec_core.evaluate.schema import RoutingResult
from reasonrec_report.delegation_section import format_duration, format_relative
from reasonrec_report.metric_names import choose_headline, format_value, parse_metric
from reasonrec_report.number_format import format_percent
from reasonrec_report.sections import CostResult, DelegationCurve, ReportedResults

SIGNALS = {
    "evidence-horizon": "how little is known about the user (evidence horizon)",
    "entropy": "how spread the policy's probabilities are (entropy)",
    "margin": "how close the runner-up is (margin)",
}
KINDS = {
    "threshold": "The requests go where the delegate is most often better, and least often worse, by what validation "
    "queries like them showed.",
    "deferral": "The requests go where a regression, learned on validation queries, expects a delegate's answer to "
    "gain most or lose least.",
    "cascade": "Delegates are asked in turn, and the first whose answer is worth it answers; else the policy does.",
    "risk-control": "As much is delegated as keeps the expected loss below the wanted limit (conformal risk control).",
}
FAR = 0.05
"""How far the share of the test requests is from the wanted one where that is worth a word."""
_SHARE = re.compile(r"share (\d*\.?\d+)")
_HANDED = "replace: "
"""How the rows of `CostResult` begin that are of requests which a delegate answered."""
CHANCE = 0.5
"""Area under the ROC curve of a coin."""
EVEN = 0.03
"""Change of the time per request that is not worth a word."""


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
    parts = [f"{format_percent(facts.share)} of {of} were handed to {delegate}"]
    if routing.consulted:
        parts.append(f"on {format_percent(routing.consulted)} {policy} decided with the delegates' answers in view")
    if routing.abstained:
        parts.append(f"{format_percent(routing.abstained)} got no answer")
    return f"{', '.join(parts)}; {policy} answered the rest."


def describe_consulting(results: ReportedResults) -> str:
    """Whether deciding with delegates' answers in view pays, by the validation queries that it was tried on."""
    validation = results.routing.validation if results.routing else None
    found = validation.consult if validation else None
    if found is None:
        return ""
    if not found.queries:
        return "Consulting delegates: about no validation query so little is known that they would be consulted."
    gain = f", {format_relative(found.gain)}" if found.gain else ""
    said = (
        f"Consulting delegates: on {found.queries:,} validation queries NDCG is {format_value(found.consulted)} with "
        f"their answers in view, against {format_value(found.policy)}{gain}"
    )
    return f"{said}." if found.used else f"{said}. That is no clear gain, so nobody is consulted."


def describe_abstention(results: ReportedResults) -> str:
    """What giving no answer did to the answers that are given."""
    found = results.abstention
    head = choose_headline(parse_metric(name) for name in found.answered) if found else None
    if found is None or head is None:
        return ""
    wanted = next(((name, value) for name, value in found.wanted.items() if value is not None), None)
    goals = {"abstain": "no answer to {}", "selective_risk": "at most {} of the answers without a hit"}
    goal = f" (wanted: {goals[wanted[0]].format(format_percent(wanted[1]))})" if wanted and wanted[0] in goals else ""
    name, given = head.name, found.answered[head.name]
    interval = f" ({format_value(given.low)}–{format_value(given.high)})" if given.low is not None else ""
    parts = [
        f"Where no answer is given: {format_percent(1 - found.coverage)} of the requests{goal}, the least sure ones",
        f"the answers that are given have {name} {format_value(given.value)}{interval}",
    ]
    if found.risk and found.risk.value is not None:
        parts.append(f"{format_percent(found.risk.value)} of them miss")
    if name in found.held_back:
        parts.append(f"the policy would have had {format_value(found.held_back[name])} on the others")
    return f"{'; '.join(parts)}. All other figures count a request without an answer as a miss."


def describe_price(results: ReportedResults) -> str:
    """What delegating did to quality."""
    curve = results.delegation_curve
    if curve is None or curve.chosen is None or curve.chosen.value is None or not curve.policy:
        return ""
    chosen, base = curve.chosen, curve.policy
    assert chosen.value is not None
    values = (
        f"{curve.metric} is {format_value(chosen.value)} against {format_value(base)} if the policy answers everything"
    )
    if chosen.low is None or chosen.high is None:
        return f"What it cost: {values}."
    if chosen.low == chosen.high == base:
        return f"What it cost: nothing. {values}: whoever answers, the lists are as good."
    difference = chosen.model_copy(
        update={"value": chosen.value / base - 1, "low": chosen.low / base - 1, "high": chosen.high / base - 1}
    )
    if chosen.low > base:
        verdict = "so routing gained quality"
    elif chosen.high < base:
        verdict = "so routing lost quality"
    else:
        verdict = "so no difference can be told"
    return f"What it cost: {values}, {format_relative(difference)}; {verdict}."


def describe_saving(results: ReportedResults) -> str:
    """What delegating did to time and tokens."""
    if results.routing is None:  # nobody could be delegated to
        return ""
    rows = {row.who: row for row in results.costs.rows} if results.costs else {}
    policy = results.roles.policy if results.roles else None
    mine, whole = rows.get(policy or ""), rows.get("routed")
    if mine is None or whole is None:
        ratio = results.delegation.latency_ratio if results.delegation else None
        return "" if ratio is None else f"{_effect(ratio)}: a request takes {_ratio(ratio)} as the policy alone."
    ratio = whole.single.mean / mine.single.mean
    ours, alone = format_duration(whole.single.mean), format_duration(mine.single.mean)
    both = f"{ours} on average, against {alone} for the policy alone"
    change = (
        "no time was saved"
        if abs(ratio - 1) < EVEN
        else f"{format_percent(abs(1 - ratio))} {'less' if ratio < 1 else 'more'}"
    )
    told = f"{_effect(ratio)}: a request takes {both}: {change}."
    if mine.tokens:
        told += f" It takes {whole.tokens:,.0f} tokens, against {mine.tokens:,.0f}."
    return told


def _effect(ratio: float) -> str:
    return "What it saved" if ratio < 1 + EVEN else "What it took"


def _ratio(ratio: float) -> str:
    return "as long" if abs(ratio - 1) < EVEN else f"{ratio:.2f} times as long"


def describe_rule(routing: RoutingResult) -> str:
    """The rule: when it is decided, from what, and what was wanted."""
    stage = {"before": "before the policy thinks", "after": "after the policy has answered"}.get(routing.stage or "")
    known = [SIGNALS.get(name, name) for name in routing.estimators]
    if routing.asks:
        known.append(f"what {_list(routing.asks)} answered")
    elif routing.answer_features:
        known.append("how long and how popular the history is")
    parts = [f"Why: it is decided {stage}" if stage else "Why: it is decided"]
    parts[0] += f", from {_list(known)}." if known else "."
    parts.append(KINDS.get(routing.kind or "", ""))
    if routing.threshold is not None:
        parts.append(f"A delegate answers where the risk is above {routing.threshold:.3f}.")
    if (auc := _read_auc(routing)) is not None and auc <= CHANCE:
        parts.append(
            f"On validation these signals tell no better than chance where the delegate is better (AUC {auc:.2f}, "
            "chance is 0.50): the choice of requests is as good as random."
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
    return f"{_target(routing)} A share is placed on validation queries; the test requests may differ."


def _target(routing: RoutingResult) -> str:
    if routing.target is None:
        return ""
    reached = f", and {_amount(routing.reached)} came of it on the test requests" if routing.reached else ""
    return f"Wanted was {_amount(routing.target)}{reached}."


def describe_rest(curve: DelegationCurve | None) -> str:
    """How much could be delegated without losing more than the limit."""
    if curve is None or curve.not_inferior is None:
        return ""
    found = curve.not_inferior
    limit = f"{100 * found.limit:g}\N{NO-BREAK SPACE}%"
    if not found.share:
        return (
            f"How much could be delegated: nothing. On validation queries no share could be shown to lose at most "
            f"{limit} of {curve.metric} (lower end of the 95\N{NO-BREAK SPACE}% interval)."
        )
    confirmed = "and the test requests confirm it" if found.confirmed else "but the test requests do not confirm it"
    return (
        f"How much could be delegated: up to {format_percent(found.share)} loses at most {limit} of {curve.metric} by "
        f"the validation queries ({format_relative(found.validation)}), {confirmed} ({format_relative(found.test)})."
    )


def describe_costs(costs: CostResult | None) -> str:
    """How costs were measured."""
    if costs is None or not costs.rows:
        return ""
    n = next((row.single.n for row in costs.rows if row.single.n), None)
    sample = f"{n:,.0f} test requests, drawn at random" if n else "A sample of test requests"
    return f"{sample}, on the machine of this run. In batches, the time of a batch is divided by its requests."


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
