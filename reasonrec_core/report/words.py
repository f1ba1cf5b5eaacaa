"""What the numbers say, in sentences."""

from __future__ import annotations

import re
import textwrap

from reasonrec_core.report.metrics import Metric, chance, number, percent, signed
from reasonrec_core.report.results import Delegation, Results, Routing
from reasonrec_core.report.standing import Difference, Role, Standing, Verdict

SUSPICIOUS_RATIO = 0.85
"""NDCG / HR above which hits stand nearly all in the first place; learned recommenders lie around 0.6 to 0.75."""

_VERDICT = {
    Verdict.BETTER: "is better than",
    Verdict.WORSE: "is worse than",
    Verdict.EVEN: "cannot be told apart from",
}


def called(standing: Standing, system: str) -> str:
    """How a sentence calls a system."""
    role = standing.role(system)
    if role is Role.ROUTED:
        return "the routed system"
    if role is Role.POLICY:
        return f"the policy alone ({system})"
    if role is Role.DELEGATE:
        count = sum(standing.role(s) is Role.DELEGATE for s in standing.systems)
        return f"the best delegate ({system})" if count > 1 and system == standing.first(role) else system
    return system


def verdict(standing: Standing) -> str:
    """The whole report in one sentence."""
    metric = standing.headline
    if metric is None:
        return "This run measured nothing."
    found = [d for rival in standing.rivals if (d := standing.difference(standing.main, rival, metric))]
    if not found:
        value = standing.estimate(standing.main, metric)
        reached = number(value.value if value else None)
        return f"{_capital(called(standing, standing.main))} reaches {metric.name} {reached}."
    parts = [f"{_VERDICT[d.verdict]} {called(standing, d.b)}" for d in found]
    if len(found) == 2 and found[0].verdict is found[1].verdict:
        both = " or from " if found[0].verdict is Verdict.EVEN else " and "
        joined = f"{parts[0]}{both}{called(standing, found[1].b)}"
        return f"On {metric.name}, {called(standing, standing.main)} {joined}."
    return f"On {metric.name}, {called(standing, standing.main)} {' and '.join(parts)}."


def comparison(standing: Standing, difference: Difference) -> str:
    """One paired comparison: both values, the difference, its interval, how sure."""
    metric = difference.metric
    values = [standing.estimate(s, metric) for s in (difference.a, difference.b)]
    both = " against ".join(number(v.value if v else None) for v in values)
    interval = _interval(difference)
    p = f", corrected {chance(difference.p)}" if difference.p is not None else ""
    who = f"{_capital(called(standing, difference.a))} {_VERDICT[difference.verdict]} {called(standing, difference.b)}"
    return f"{who}: {metric.name} {both}, a difference of {signed(difference.value)}{interval}{p}."


def _interval(difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return ""
    return f" (95\N{NO-BREAK SPACE}% interval {signed(difference.low)} to {signed(difference.high)})"


def hits(standing: Standing) -> str | None:
    """What the hit rate means for people."""
    found = [m for m in standing.metrics if m.family == "hr"]
    wanted = next((m for m in found if m.k == 10), found[0] if found else None)
    estimate = standing.estimate(standing.main, wanted) if wanted else None
    if wanted is None or estimate is None or estimate.value is None:
        return None
    among = f"among the first {wanted.k}{_candidates(wanted.protocol)}"
    return f"For {percent(estimate.value, 1)} of the queries, what the person chose next was {among}."


def _candidates(protocol: str) -> str:
    """What was ranked, where it was not everything: ``uni99`` = the target and 99 uniformly drawn items."""
    drawn = re.fullmatch(r"[a-z]+(\d+)", protocol)
    return f" of {int(drawn[1]) + 1} candidates" if drawn else f" ({protocol})" if protocol else ""


def delegation(facts: Delegation, routing: Routing | None) -> str:
    """Who answered how much, and what it saved."""
    parts = []
    delegate = (routing.delegate if routing else None) or "a delegate"
    if facts.share is not None:
        parts.append(f"{percent(facts.share)} of the queries were answered by {delegate}, the rest by the policy.")
    ratio = facts.latency_ratio
    if ratio is not None:
        change = "as long as" if abs(ratio - 1) < 0.02 else f"{ratio:.2f} times as long as"
        parts.append(f"Answering took {change} the policy alone.")
    return " ".join(parts)


def rule(routing: Routing) -> str:
    """The routing rule, what it was calibrated to, and what became of it."""
    stage = {"before": "before the policy deliberates", "after": "after the policy has answered"}
    when = stage.get(routing.stage or "", "")
    parts = [f"The router decides {when}." if when else ""]
    if routing.estimators:
        parts.append(f"It looks at {_list(routing.estimators)}.")
    if routing.threshold is not None:
        parts.append(f"It delegates where the risk is above {routing.threshold:.3f}.")
    elif routing.delegate is not None:
        parts.append("It delegates where that costs least: where being worse than the delegate outweighs being better.")
    if routing.target is not None:
        reached = f"; on the test queries {_amount(routing.reached)} were delegated" if routing.reached else ""
        parts.append(f"Wanted, and calibrated on validation queries: {_amount(routing.target)}{reached}.")
    return " ".join(part for part in parts if part)


def protocol(text: str) -> str:
    """The name of a protocol without its explanation: what stands before the first colon."""
    return textwrap.shorten(re.split("[:;]", text)[0], 80, placeholder="…")


def fingerprint(standing: Standing) -> tuple[tuple[str, float, bool], ...]:
    """NDCG / HR of full rankings at the smallest cut-off above 1, by system, and whether it is suspiciously near 1.

    Systems whose hit rate could be chance (its interval reaches 0) are left out.
    """
    full = [m for m in standing.metrics if m.k > 1 and not m.protocol]
    pairs = [(hr, m) for m in full if m.family == "ndcg" for hr in full if (hr.family, hr.k) == ("hr", m.k)]
    if not pairs:
        return ()
    hr, ndcg = min(pairs, key=lambda pair: pair[1].k)
    ratios = []
    for system in standing.systems:
        gain, rate = standing.estimate(system, ndcg), standing.estimate(system, hr)
        if gain and rate and gain.value is not None and rate.value and rate.low != 0:
            ratio = gain.value / rate.value
            ratios.append((system, ratio, ratio >= SUSPICIOUS_RATIO))
    return tuple(ratios)


def trust(results: Results) -> str | None:
    """What the calibration says."""
    found = results.calibration
    if found is None or found.ece is None:
        return None
    whose = f" of {found.of}" if found.of else ""
    before = f" (before calibration {found.ece_before:.3f})" if found.ece_before is not None else ""
    distance = f"{100 * found.ece:.1f}".rstrip("0").rstrip(".")
    return (
        f"Stated confidence{whose} and observed frequency differ by {distance} percentage points on average: "
        f"expected calibration error {found.ece:.3f}{before}."
    )


def definitions(columns: tuple[Metric, ...]) -> tuple[tuple[str, str], ...]:
    """The metrics of a table with their meaning."""
    return tuple((m.name, m.meaning) for m in columns if m.meaning)


def _amount(value: float | str | None) -> str:
    """A share as percentage, also where it is said as ``share 0.35``."""
    if isinstance(value, str) and (share := re.fullmatch(r"share (\d*\.?\d+)", value)):
        return f"a share of {percent(float(share[1]))}"
    return percent(value) if isinstance(value, float) else str(value)


def _list(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _capital(text: str) -> str:
    """A capital at the start of a sentence, but not in the name of a component."""
    return f"T{text[1:]}" if text.startswith("the ") else text
