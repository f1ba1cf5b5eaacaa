"""What the numbers say, in sentences."""

from __future__ import annotations

from reasonrec_report.leaderboard import Leaderboard, SystemDifference, SystemRole, Verdict
from reasonrec_report.metric_names import ParsedMetric, format_value
from reasonrec_report.number_format import format_p_value, format_percent, format_signed
from reasonrec_report.sections import ReportedResults

FEW_USERS = 20
"""Fewer test users tell nothing, whatever their intervals say: those of a handful of equal values have no width."""
SUSPICIOUS_RATIO = 0.85
"""NDCG / HR above which hits stand nearly all in the first place; learned recommenders lie around 0.6 to 0.75."""

_VERDICT = {
    Verdict.BETTER: "is better than",
    Verdict.WORSE: "is worse than",
    Verdict.EVEN: "is not measurably different from",
}


def name_system(board: Leaderboard, system: str) -> str:
    """How a sentence calls a system."""
    role = board.role(system)
    if role is SystemRole.ROUTED:
        return "the routed system"
    if role is SystemRole.POLICY:
        return f"the policy alone ({system})"
    if system == board.chosen:
        return f"the delegate that answers ({system})"
    if role is SystemRole.DELEGATE:
        count = sum(board.role(s) is SystemRole.DELEGATE for s in board.systems)
        return f"the best delegate ({system})" if count > 1 and system == board.first(role) else system
    return system


def describe_shortage(board: Leaderboard) -> str | None:
    """That hardly anybody was asked, or no system is shown to answer anything right; None where one is."""
    metric = board.headline
    if metric is None:
        return None
    users = board.count_users()
    if users is not None and users < FEW_USERS:
        tested = "1 user was" if users == 1 else f"{users} users were"
        return f"There is too little data to tell: only {tested} tested, and it takes at least {FEW_USERS}."
    if metric.lower_is_better:
        return None
    found = [estimate for system in board.systems if (estimate := board.estimate(system, metric))]
    if not found or any(each.low is None or each.low > 0 for each in found):
        return None
    return (
        f"There is too little data to tell: the 95\N{NO-BREAK SPACE}% interval of every {metric.name} reaches 0. "
        "More test requests, or more interactions to learn from, would settle it."
    )


def state_value(board: Leaderboard, system: str, metric: ParsedMetric) -> str:
    """A system's value as text."""
    found = board.estimate(system, metric)
    return format_value(found.value if found else None)


def describe_comparison(board: Leaderboard, difference: SystemDifference) -> str:
    """One paired comparison: both values, the difference, its interval, how sure."""
    metric = difference.metric
    a, b = name_system(board, difference.a), name_system(board, difference.b)
    mine, theirs = (state_value(board, system, metric) for system in (difference.a, difference.b))
    p = f", corrected {format_p_value(difference.p)}" if difference.p is not None else ""
    who = f"{capital(a)} {_VERDICT[difference.verdict]} {b}"
    if difference.value == difference.low == difference.high == 0:
        return f"{capital(a)} gives the same results as {b}: {metric.name} {mine}."
    size = f"a difference of {format_signed(difference.value)}{_interval(difference)}{p}"
    return f"{who}: {metric.name} {mine} against {theirs}, {size}."


def _interval(difference: SystemDifference) -> str:
    if difference.low is None or difference.high is None:
        return ""
    return f" (95\N{NO-BREAK SPACE}% interval {format_signed(difference.low)} to {format_signed(difference.high)})"


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


def describe_calibration(results: ReportedResults, *, clicks: bool = False) -> str | None:
    """What the calibration says; of ``clicks`` in their words."""
    found = results.calibration
    if found is None or found.ece is None:
        return None
    whose = f" of {'the routed system' if found.of == 'routed' else found.of}" if found.of else ""
    earlier = found.before.ece if found.before is not None else found.ece_before
    before = f" (before recalibration {100 * earlier:.1f})" if earlier is not None else ""
    said = (
        f"On average, the {'predicted probability' if clicks else 'confidence'}{whose} differs by "
        f"{100 * found.ece:.1f} percentage points from how often {'rows were clicked' if clicks else 'it was right'}"
        f"{before}."
    )
    if found.ece_chance is not None and found.cases is not None:
        within = found.ece <= 1.5 * found.ece_chance
        said += (
            f" With {found.cases:,} answers, chance alone would make about {100 * found.ece_chance:.1f} "
            f"points{(', so it can be trusted as it is' if within else '')}."
        )
    if found.mean is not None and found.events is not None:
        done = "clicked" if clicks else "right"
        said += f" It promised {format_percent(found.mean, 1)}, and {format_percent(found.events, 1)} were {done}."
    return said


def list_definitions(columns: tuple[ParsedMetric, ...]) -> tuple[tuple[str, str], ...]:
    """The metrics of a table with their meaning."""
    return tuple((m.name, m.meaning) for m in columns if m.meaning)


def join(names: list[str]) -> str:
    """Names in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def capital(text: str) -> str:
    """A capital at the start of a sentence, but not in the name of a component."""
    return f"T{text[1:]}" if text.startswith("the ") else text


def explain_terms(board: Leaderboard, results: ReportedResults) -> tuple[tuple[str, str], ...]:
    """The words that a newcomer does not know, each with a line."""
    policy, delegates = (
        board.first(SystemRole.POLICY),
        [s for s in board.systems if board.role(s) is SystemRole.DELEGATE],
    )
    terms: list[tuple[str, str]] = []
    if policy:
        terms.append(("Policy", f"reasons in explicit steps from which its answer follows; here {policy}"))
    if delegates:
        what = "a cheap model that can answer instead of the policy" if policy else "a model that answers by itself"
        terms.append(("Delegate", f"{what}; here {join(delegates)}"))
    if results.routing is not None:
        terms.append(
            ("Routed", "the whole system: for each request, a router decides whether the policy or a delegate answers")
        )
    head = board.headline
    if head and head.meaning:
        terms.append((head.name, head.meaning))
    return tuple(terms)
