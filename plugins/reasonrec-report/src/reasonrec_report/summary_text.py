"""What the numbers say, in sentences."""

from __future__ import annotations

import re

from reasonrec_report.leaderboard import Leaderboard, SystemDifference, SystemRole, Verdict
from reasonrec_report.metric_names import ParsedMetric, format_value
from reasonrec_report.number_format import format_p_value, format_percent, format_signed
from reasonrec_report.sections import ReportedResults

SUSPICIOUS_RATIO = 0.85
"""NDCG / HR above which hits stand nearly all in the first place; learned recommenders lie around 0.6 to 0.75."""

_VERDICT = {
    Verdict.BETTER: "is better than",
    Verdict.WORSE: "is worse than",
    Verdict.EVEN: "cannot be told apart from",
}


def name_system(board: Leaderboard, system: str) -> str:
    """How a sentence calls a system."""
    role = board.role(system)
    if role is SystemRole.ROUTED:
        return "the routed system"
    if role is SystemRole.POLICY:
        return f"the policy alone ({system})"
    if role is SystemRole.DELEGATE:
        count = sum(board.role(s) is SystemRole.DELEGATE for s in board.systems)
        return f"the best delegate ({system})" if count > 1 and system == board.first(role) else system
    return system


def describe_verdict(board: Leaderboard) -> str:
    """The whole report in one sentence, and whether there was enough to tell from."""
    metric = board.headline
    if metric is None:
        return "This run measured nothing."
    said = _describe_verdict(board, metric)
    return f"{said} {shortage}" if (shortage := describe_shortage(board)) else said


def describe_shortage(board: Leaderboard) -> str | None:
    """That no system can be told from one that never answers right; None where one can."""
    metric = board.headline
    if metric is None or metric.lower_is_better:
        return None
    found = [estimate for system in board.systems if (estimate := board.estimate(system, metric))]
    if not found or any(each.low is None or each.low > 0 for each in found):
        return None
    return (
        f"There is too little to tell: the 95\N{NO-BREAK SPACE}% interval of every {metric.name} reaches 0. "
        "It takes more test queries, or more interactions to learn from."
    )


def _describe_verdict(board: Leaderboard, metric: ParsedMetric) -> str:
    found = [d for rival in board.rivals if (d := board.difference(board.main, rival, metric))]
    if not found:
        value = board.estimate(board.main, metric)
        reached = format_value(value.value if value else None)
        return f"{_capital(name_system(board, board.main))} reaches {metric.name} {reached}."
    parts = [f"{_VERDICT[d.verdict]} {name_system(board, d.b)}" for d in found]
    if len(found) == 2 and found[0].verdict is found[1].verdict:
        both = " or from " if found[0].verdict is Verdict.EVEN else " and "
        joined = f"{parts[0]}{both}{name_system(board, found[1].b)}"
        return f"On {metric.name}, {name_system(board, board.main)} {joined}."
    return f"On {metric.name}, {name_system(board, board.main)} {' and '.join(parts)}."


def describe_comparison(board: Leaderboard, difference: SystemDifference) -> str:
    """One paired comparison: both values, the difference, its interval, how sure."""
    metric = difference.metric
    values = [board.estimate(s, metric) for s in (difference.a, difference.b)]
    both = " against ".join(format_value(v.value if v else None) for v in values)
    interval = _interval(difference)
    p = f", corrected {format_p_value(difference.p)}" if difference.p is not None else ""
    a, b = name_system(board, difference.a), name_system(board, difference.b)
    who = f"{_capital(a)} {_VERDICT[difference.verdict]} {b}"
    return f"{who}: {metric.name} {both}, a difference of {format_signed(difference.value)}{interval}{p}."


def _interval(difference: SystemDifference) -> str:
    if difference.low is None or difference.high is None:
        return ""
    return f" (95\N{NO-BREAK SPACE}% interval {format_signed(difference.low)} to {format_signed(difference.high)})"


def describe_hits(board: Leaderboard) -> str | None:
    """What the hit rate means for people."""
    found = [m for m in board.metrics if m.family == "hr"]
    wanted = next((m for m in found if m.k == 10), found[0] if found else None)
    estimate = board.estimate(board.main, wanted) if wanted else None
    if wanted is None or estimate is None or estimate.value is None:
        return None
    among = f"among the first {wanted.k}{_candidates(wanted.protocol)}"
    return f"For {format_percent(estimate.value, 1)} of the queries, what the person chose next was {among}."


def _candidates(protocol: str) -> str:
    """What was ranked, where it was not everything: ``uni99`` = the target and 99 uniformly drawn items."""
    drawn = re.fullmatch(r"[a-z]+(\d+)", protocol)
    return f" of {int(drawn[1]) + 1} candidates" if drawn else f" ({protocol})" if protocol else ""


def find_leak_signs(board: Leaderboard) -> tuple[tuple[str, float, bool], ...]:
    """NDCG / HR of full rankings at the smallest cut-off above 1, by system, and whether it is suspiciously near 1.

    Systems whose hit rate could be chance (its interval reaches 0) are left out.
    """
    full = [m for m in board.metrics if m.k > 1 and not m.protocol]
    pairs = [(hr, m) for m in full if m.family == "ndcg" for hr in full if (hr.family, hr.k) == ("hr", m.k)]
    if not pairs:
        return ()
    hr, ndcg = min(pairs, key=lambda pair: pair[1].k)
    ratios = []
    for system in board.systems:
        gain, rate = board.estimate(system, ndcg), board.estimate(system, hr)
        if gain and rate and gain.value is not None and rate.value and rate.low != 0:
            ratio = gain.value / rate.value
            ratios.append((system, ratio, ratio >= SUSPICIOUS_RATIO))
    return tuple(ratios)


def describe_calibration(results: ReportedResults) -> str | None:
    """What the calibration says."""
    found = results.calibration
    if found is None or found.ece is None:
        return None
    whose = f" of {found.of}" if found.of else ""
    earlier = found.before.ece if found.before is not None else found.ece_before
    before = f", before recalibration {earlier:.3f}" if earlier is not None else ""
    distance = f"{100 * found.ece:.1f}".rstrip("0").rstrip(".")
    said = (
        f"Stated confidence{whose} and observed frequency differ by {distance} percentage points on average "
        f"(expected calibration error {found.ece:.3f}{before})."
    )
    if found.ece_chance is not None and found.cases is not None:
        said += (
            f" If every confidence were true, {found.cases:,} answers would still show an error of about "
            f"{found.ece_chance:.3f} by chance."
        )
    if found.mean is not None and found.events is not None:
        said += (
            f" On average {format_percent(found.mean, 1)} was stated and {format_percent(found.events, 1)} came true."
        )
    return said


def list_definitions(columns: tuple[ParsedMetric, ...]) -> tuple[tuple[str, str], ...]:
    """The metrics of a table with their meaning."""
    return tuple((m.name, m.meaning) for m in columns if m.meaning)


def _capital(text: str) -> str:
    """A capital at the start of a sentence, but not in the name of a component."""
    return f"T{text[1:]}" if text.startswith("the ") else text
