"""Curves in a fixed frame (`WIDTH` x `HEIGHT`) that fits a phone as it is: reliability, risk over coverage, risks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_report.axes import Scale, Tick, make_axis_around, make_axis_from_zero
from reasonrec_report.number_format import format_percent
from reasonrec_report.sections import ConfidenceQuality, DecisionOrder, RiskCurve

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 56, 350, 10, 208
"""The plotting area inside the frame."""
POINTS = 160
"""A curve is thinned to about as many points as the eye can tell apart."""
RARE = 0.01
"""Share of the answers below which a group of them is left to the table, since its frequency says nothing."""
FIRST_COVERAGE = 0.02
"""Coverage below which a risk is the mean of too few answers to be drawn."""


@dataclass(frozen=True)
class Dot:
    """A group of answers: a dot with the 95 % interval of its frequency; the radius grows with its size."""

    x: float
    y: float
    low: float
    high: float
    r: float
    text: str


@dataclass(frozen=True)
class AnswerGroup:
    """A group of answers in numbers."""

    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ReliabilityDiagram:
    """Confidence against observed frequency; ``rare`` groups are in the table only."""

    dots: tuple[Dot, ...]
    groups: tuple[AnswerGroup, ...]
    rare: int
    diagonal: tuple[float, float, float, float]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Curve:
    """Risk over coverage; ``everything`` is the height of the risk of all answers, ``values`` the curve in tenths."""

    path: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    everything: float
    risk_of_all: float
    at_half: float | None
    values: tuple[tuple[str, float], ...]


ENOUGH_BARS = 2
"""A histogram with fewer says nothing."""


@dataclass(frozen=True)
class Bar:
    """A bar of the histogram of decisions: kept queries below, delegated ones above; and what it says in numbers."""

    x: float
    width: float
    kept_y: float
    kept_height: float
    delegated_y: float
    delegated_height: float
    low: float
    high: float
    kept: int
    delegated: int


@dataclass(frozen=True)
class Histogram:
    """Requests ``by`` what the router orders them by; ``threshold`` at its place and ``level`` as its value."""

    by: str
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    threshold: float | None
    level: float | None
    kept: int
    delegated: int


def draw_reliability(found: ConfidenceQuality, beside: ConfidenceQuality | None = None) -> ReliabilityDiagram | None:
    """The reliability diagram, both axes alike, also like those of the one ``beside``; None where there are no bins."""
    groups, drawn = _groups(found)
    if not drawn:
        return None
    intervals = [_wilson(g.accuracy, g.n) for g in drawn]
    shown = [*drawn, *(_groups(beside)[1] if beside else [])]
    top = [v for g in shown for v in (g.confidence, _wilson(g.accuracy, g.n)[1])]
    x = make_axis_from_zero(top, start=LEFT, end=RIGHT, limit=1.0)
    y = make_axis_from_zero(top, start=BOTTOM, end=TOP, limit=1.0)
    most = max(g.n for g in drawn)
    dots = tuple(
        Dot(x(g.confidence), y(g.accuracy), y(low), y(high), round(3 + 4 * (g.n / most) ** 0.5, 2), _describe(g))
        for g, (low, high) in zip(drawn, intervals, strict=True)
    )
    diagonal = (x(0), y(0), x(x.high), y(y.high))
    ticks = (x.ticks(percent=True), y.ticks(percent=True))
    return ReliabilityDiagram(dots, groups, len(groups) - len(drawn), diagonal, *ticks)


def _describe(group: AnswerGroup) -> str:
    promised, came = format_percent(group.confidence, 1), format_percent(group.accuracy, 1)
    return f"{group.n:,} answers: {promised} stated, {came} were right"


def _groups(found: ConfidenceQuality) -> tuple[tuple[AnswerGroup, ...], list[AnswerGroup]]:
    """All groups of answers, and those that are common enough to be drawn."""
    groups = tuple(
        AnswerGroup(b.n, b.confidence, b.accuracy)
        for b in found.bins
        if b.n > 0 and b.confidence is not None and b.accuracy is not None
    )
    return groups, [g for g in groups if g.n >= RARE * sum(each.n for each in groups)]


def _wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a frequency (Wilson, 1927)."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return middle - half, middle + half


def draw_risk_coverage(found: RiskCurve) -> Curve | None:
    """The risk-coverage curve; None where there are fewer than two points."""
    n = min(len(found.coverage), len(found.risk))
    order = np.argsort(np.asarray(found.coverage[:n]), kind="stable")
    coverage, risk = np.asarray(found.coverage[:n])[order], np.asarray(found.risk[:n])[order]
    steady = coverage >= FIRST_COVERAGE
    coverage, risk = coverage[steady], risk[steady]
    if len(coverage) < 2:
        return None
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), make_axis_around(risk.tolist(), start=BOTTOM, end=TOP)
    keep = np.unique(np.linspace(0, len(risk) - 1, min(len(risk), POINTS)).round().astype(np.intp))
    path = "M" + "L".join(f"{x(float(coverage[i]))},{y(float(risk[i]))}" for i in keep)
    half = float(np.interp(0.5, coverage, risk)) if coverage[0] <= 0.5 <= coverage[-1] else None
    tenths = [t for t in np.arange(1, 11) / 10 if coverage[0] <= t <= coverage[-1] + 1e-9]
    values = tuple((format_percent(float(t)), float(np.interp(t, coverage, risk))) for t in tenths)
    return Curve(path, x.ticks(percent=True), y.ticks(), y(float(risk[-1])), float(risk[-1]), half, values)


def draw_decisions(found: DecisionOrder) -> Histogram | None:
    """How many requests are ordered where, which of them were delegated, and from where on; None if all stand alike."""
    edges, threshold = found.edges, found.threshold
    if sum(map(bool, map(sum, zip(found.kept, found.delegated, strict=True)))) < ENOUGH_BARS:
        return None
    shown = [edges[0], edges[-1], *([] if threshold is None else [threshold])]
    x = Scale(min(shown), max(shown), LEFT, RIGHT)
    y = make_axis_from_zero([max(map(sum, zip(found.kept, found.delegated, strict=True)))], start=BOTTOM, end=TOP)
    bars = tuple(
        Bar(
            x(low),
            round(max(x(high) - x(low) - 1, 0.5), 2),
            y(kept),
            round(y(0) - y(kept), 2),
            y(kept + gone),
            round(y(kept) - y(kept + gone), 2),
            low,
            high,
            kept,
            gone,
        )
        for low, high, kept, gone in zip(edges[:-1], edges[1:], found.kept, found.delegated, strict=True)
    )
    at = None if threshold is None else x(threshold)
    ticks = (x.ticks(), y.ticks())
    return Histogram(found.by, bars, *ticks, at, threshold, sum(found.kept), sum(found.delegated))
