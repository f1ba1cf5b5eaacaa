"""Delegation as the page tells it: what was delegated, why, what it cost and saved, and what other shares would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reasonrec_core.evaluate.schema import Estimate, TimeSpent
from reasonrec_report.axes import Scale, Tick, make_axis_around
from reasonrec_report.metric_names import format_value
from reasonrec_report.number_format import format_digits, format_percent, format_range, format_signed
from reasonrec_report.plots import BOTTOM, LEFT, RIGHT, TOP
from reasonrec_report.sections import CostResult, CostRow, CurvePoint, DelegationCurve, HorizonCost

ROOM = 1.0
"""Heights of everything else that the oracle's curve may take above it, before it leaves the frame."""


@dataclass(frozen=True)
class Chart:
    """Quality over the share that is delegated; positions in the frame of a curve.

    Attributes:
        band: outline of the 95 % intervals. router, random, oracle: paths.
        chosen, largest: the point that was used, and the largest share that is not inferior; None where not known.
        policy: height of the policy alone.
        leaves: whether the oracle's curve leaves the frame.
    """

    metric: str
    band: str
    router: str
    random: str
    oracle: str
    leaves: bool
    policy: float
    chosen: tuple[float, float] | None
    largest: float | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    said: str


@dataclass(frozen=True)
class Line:
    """A row of a table: its name, and a cell per column."""

    name: str
    cells: tuple[str, ...]
    is_main: bool = False


@dataclass(frozen=True)
class DelegationTable:
    """A table with the names of its columns; the first is that of the rows."""

    caption: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def draw_chart(found: DelegationCurve) -> Chart | None:
    """The curve; None where there are fewer than two points."""
    points = sorted((p for p in found.points if p.value is not None), key=lambda p: p.share)
    if len(points) < 2:
        return None
    near = [v for p in points for v in (p.value, p.low, p.high, p.random) if v is not None]
    far = [p.oracle for p in points if p.oracle is not None]
    top = max(near) + ROOM * (max(near) - min(near))
    x = Scale(0.0, 1.0, LEFT, RIGHT)
    y = make_axis_around([*near, *(min(v, top) for v in far)], start=BOTTOM, end=TOP)
    at = [(p.share, p.oracle) for p in points if p.oracle is not None]
    inside, leaves = _inside(at, y.high)
    band = [(p.share, p.low) for p in points if p.low is not None]
    band += [(p.share, p.high) for p in reversed(points) if p.high is not None]
    chosen, limit = found.chosen, found.not_inferior
    return Chart(
        found.metric,
        _path(x, y, band) + "Z" if band else "",
        _path(x, y, [(p.share, p.value) for p in points if p.value is not None]),
        _path(x, y, [(p.share, p.random) for p in points if p.random is not None]),
        _path(x, y, inside),
        leaves,
        y(found.policy),
        (x(chosen.share), y(chosen.value)) if chosen is not None and chosen.value is not None else None,
        x(limit.share) if limit is not None and limit.share else None,
        x.ticks(percent=True),
        y.ticks(),
        _said(found, points),
    )


def _inside(points: Sequence[tuple[float, float]], top: float) -> tuple[list[tuple[float, float]], bool]:
    """The points of a curve up to where it leaves the frame (that place included), and whether it does."""
    made: list[tuple[float, float]] = []
    for share, value in points:
        if value > top:
            if made:
                before, low = made[-1]
                made.append((before + (share - before) * (top - low) / (value - low), top))
            return made, True
        made.append((share, value))
    return made, False


def _path(x: Scale, y: Scale, points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x(share)},{y(value)}" for share, value in points) if points else ""


def _said(found: DelegationCurve, points: Sequence[CurvePoint]) -> str:
    """What the curve shows, for who cannot see it."""
    start, end = format_value(points[0].value), format_value(points[-1].value)
    ends = f"{start} if nothing is delegated, {end} if everything is"
    best = max(points, key=lambda p: p.value or 0.0)
    top = f"; highest, {format_value(best.value)}, at {format_percent(best.share)}"
    oracle = max((p.oracle for p in points if p.oracle is not None), default=None)
    bound = f"; an oracle would reach {format_value(oracle)}" if oracle is not None else ""
    return f"{found.metric} of the router: {ends}{top}{bound}."


def make_points_table(found: DelegationCurve) -> DelegationTable:
    """The curve in numbers."""
    lines = tuple(
        Line(
            format_percent(p.share),
            (_with_interval(p), format_value(p.random), format_value(p.oracle)),
            is_main=found.chosen is not None and abs(p.share - found.chosen.share) < 1e-9,
        )
        for p in found.points
    )
    return DelegationTable(
        f"{found.metric} by share delegated", ("Delegated", "Router (95 % interval)", "Random", "Oracle"), lines
    )


def make_quarters_table(found: DelegationCurve, costs: CostResult | None) -> DelegationTable | None:
    """By quarter of the evidence horizon: share, quality, and time where it was measured."""
    if not found.horizon:
        return None
    spent = {row.group: row for row in costs.horizon} if costs else {}
    columns = ["Items in the history", "Requests", "Delegated", f"{found.metric} routed", "policy alone", "Difference"]
    columns += ["Routed: mean", "median", "95th percentile", "Policy alone: mean"] if spent else []
    with_tokens = any(row.tokens for row in spent.values())
    columns += ["Tokens"] if with_tokens else []
    lines = []
    for row in found.horizon:
        cells = [
            f"{row.n:,}",
            format_percent(row.share),
            format_value(row.routed),
            format_value(row.policy),
            format_relative(row.relative),
        ]
        bill = spent.get(row.group)
        cells += _quarter_cells(bill) if spent else []
        cells += [f"{bill.tokens:,.0f}" if bill else "–"] if with_tokens else []
        lines.append(Line(format_range(row.group), tuple(cells)))
    return DelegationTable("By length of history (evidence horizon), shortest first", tuple(columns), tuple(lines))


def _quarter_cells(bill: HorizonCost | None) -> list[str]:
    if bill is None:
        return ["–"] * 4
    return [*_times(bill.routed), format_duration(bill.policy.mean) if bill.policy else "–"]


def make_cost_table(found: CostResult, main: str = "routed") -> DelegationTable | None:
    """What each route, and each system that answers everything, costs."""
    if not found.rows:
        return None
    with_tokens = any(row.tokens for row in found.rows)
    times = ("mean", "median", "95th percentile")
    columns = ["Who answers", "Requests", f"One at a time: {times[0]}", *times[1:]]
    columns += [f"In batches of {found.batch}: {times[0]}", *times[1:], *(["Tokens"] if with_tokens else [])]
    with_money = any(row.money is not None for row in found.rows)
    named = f" ({found.currency})" if found.currency else ""
    columns += [f"1,000 requests cost{named}"] if with_money else []
    lines = tuple(_bill(row, main, with_tokens=with_tokens, with_money=with_money) for row in found.rows)
    title = "Time and money per request" if with_money else "Time per request"
    return DelegationTable(title, tuple(columns), lines)


def _bill(row: CostRow, main: str, *, with_tokens: bool, with_money: bool) -> Line:
    cells = [f"{row.requests:,}", *_times(row.single), *(_times(row.batched) if row.batched else ("–",) * 3)]
    cells += [f"{row.tokens:,.0f}"] if with_tokens else []
    cells += [_format_money(row.money)] if with_money else []
    return Line(_who(row, main), tuple(cells), is_main=row.who == main)


def _format_money(amount: float | None) -> str:
    """Four digits, never in powers of ten."""
    if amount is None:
        return "–"
    return f"{amount:,.2f}" if amount >= 1 or not amount else f"{amount:.4f}"


def _who(row: CostRow, main: str) -> str:
    if row.who == main:
        return "All requests, as routed"
    if row.kind == "system":
        return f"{row.who}, answering everything"
    way, _, delegate = row.who.partition(": ")
    words = {
        "self": "kept by the policy",
        "consult": "policy, after consulting delegates",
        "abstain": "no answer given",
    }
    return f"of these, {words.get(way, f'handed to {delegate}' if delegate else way)}"


def _times(spent: TimeSpent) -> tuple[str, str, str]:
    known = (spent.mean, spent.p50, spent.p95)
    mean, middle, late = ("–" if t is None else format_duration(t) for t in known)
    return mean, middle, late


def format_duration(seconds: float) -> str:
    """Seconds as text, with three digits that count: 592 µs, 1.93 ms, 12.4 s, 2 min 5 s."""
    for factor, unit in ((1, "s"), (1000, "ms"), (1_000_000, "µs")):
        if seconds * factor >= 60 and unit == "s":
            return f"{int(seconds) // 60} min {int(seconds) % 60} s"
        if seconds * factor >= 1 or unit == "µs":
            return f"{format_digits(seconds * factor)} {unit}"
    raise AssertionError


def format_relative(found: Estimate) -> str:
    """A relative difference with its interval: +1.2 % (−0.3 to +2.8)."""
    if found.value is None:
        return "–"
    if found.value == found.low == found.high == 0.0:
        return "no difference"
    text = f"{format_signed(100 * found.value, 1)}\N{NO-BREAK SPACE}%"
    if found.low is None or found.high is None:
        return text
    return f"{text} ({format_signed(100 * found.low, 1)} to {format_signed(100 * found.high, 1)})"


def _with_interval(found: Estimate) -> str:
    if found.low is None or found.high is None or found.low == found.high:
        return format_value(found.value)
    return f"{format_value(found.value)} ({format_value(found.low)}–{format_value(found.high)})"
