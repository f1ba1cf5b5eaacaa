"""The geometry of the plots; the templates draw it as SVG and the style sheet colours it.

Interval plots use percent coordinates, so that they fill any width and their marks keep their shape. The curves
have a fixed frame (`WIDTH` x `HEIGHT`) that fits a phone as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reasonrec_core.report.folder import RiskByRoute
from reasonrec_core.report.metrics import Metric
from reasonrec_core.report.results import Calibration, Estimate, RiskCoverage, Slice
from reasonrec_core.report.scale import Scale, Tick, around, from_zero
from reasonrec_core.report.standing import Role, Standing

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 350, 10, 208
"""The plotting area inside the frame of a curve."""
LANE = 14
"""Pixels from one interval of a group to the next."""
POINTS = 160
"""A curve is thinned to about as many points as the eye can tell apart."""


@dataclass(frozen=True)
class Mark:
    """A value with its interval on a track; x in percent, y in pixels."""

    tone: Role
    label: str
    x: float
    low: float
    high: float
    y: float
    text: str


@dataclass(frozen=True)
class TrackRow:
    """One line of an interval plot."""

    label: str
    note: str
    marks: tuple[Mark, ...]
    height: int


@dataclass(frozen=True)
class Intervals:
    """An interval ("forest") plot: rows over a common axis; ``reference`` is the main system's value in percent."""

    title: str
    metric: Metric
    rows: tuple[TrackRow, ...]
    ticks: tuple[Tick, ...]
    reference: float | None = None
    legend: tuple[tuple[Role, str], ...] = ()


@dataclass(frozen=True)
class Dot:
    """A point of a reliability diagram; the radius grows with the number of answers."""

    x: float
    y: float
    r: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """Confidence against observed frequency."""

    dots: tuple[Dot, ...]
    path: str
    diagonal: tuple[float, float, float, float]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Curve:
    """Risk over coverage."""

    path: str
    area: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    everything: float
    risk_of_all: float
    at_half: float | None


@dataclass(frozen=True)
class Bar:
    """A bar of the risk histogram: kept queries below, delegated ones above."""

    x: float
    width: float
    kept_y: float
    kept_height: float
    delegated_y: float
    delegated_height: float


@dataclass(frozen=True)
class Histogram:
    """Decisions by risk."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    threshold: float | None
    kept: int
    delegated: int


def forest(standing: Standing) -> Intervals | None:
    """Every system's headline metric with its interval; None where there is only one system."""
    metric = standing.headline
    measured = [(s, e) for s in standing.systems if metric and (e := standing.estimate(s, metric))]
    if metric is None or len(measured) < 2:
        return None
    measured.sort(key=lambda pair: (pair[1].value or 0.0) * (1 if metric.lower_is_better else -1))
    scale = around(v for _, e in measured for v in (e.value, e.low, e.high))
    rows = tuple(TrackRow(s, "", (_mark(standing.role(s), s, e, scale, LANE),), 2 * LANE) for s, e in measured)
    main = standing.estimate(standing.main, metric)
    reference = scale(main.value) if main and main.value is not None else None
    return Intervals(f"{metric.name} by system", metric, rows, scale.ticks(), reference)


def slice_panels(standing: Standing) -> tuple[Intervals, ...]:
    """One interval plot per slice, all of them over the same axis."""
    head = standing.headline
    shown = {standing.main, *standing.rivals}
    cells = [c for c in standing.results.slices if head and c.metric == head.name and c.system in shown]
    if head is None or not cells:
        return ()
    scale = around(v for c in cells for v in (c.value, c.low, c.high))
    order = [s for s in standing.systems if s in shown]
    legend = tuple((standing.role(s), s) for s in order)
    names = dict.fromkeys(c.slice for c in cells)
    return tuple(_panel([c for c in cells if c.slice == n], n, head, scale, order, legend, standing) for n in names)


def _panel(
    cells: Sequence[Slice],
    name: str,
    metric: Metric,
    scale: Scale,
    order: Sequence[str],
    legend: tuple[tuple[Role, str], ...],
    standing: Standing,
) -> Intervals:
    rows = []
    for group in dict.fromkeys(c.group for c in cells):
        of = sorted((c for c in cells if c.group == group), key=lambda c: order.index(c.system))
        marks = tuple(
            _mark(standing.role(c.system), c.system, c, scale, LANE * (i + 1))
            for i, c in enumerate(c for c in of if c.value is not None)
        )
        if marks:
            rows.append(TrackRow(group, f"{max(c.n for c in of):,} queries", marks, LANE * (len(marks) + 1)))
    return Intervals(name.replace("_", " ").replace("-", " "), metric, tuple(rows), scale.ticks(), None, legend)


def _mark(tone: Role, label: str, value: Estimate | Slice, scale: Scale, y: float) -> Mark:
    middle = value.value or 0.0
    low = middle if value.low is None else value.low
    high = middle if value.high is None else value.high
    interval = "" if value.low is None or value.high is None else f" ({low:.4f}–{high:.4f})"
    return Mark(tone, label, scale(middle), scale(low), scale(high), y, f"{middle:.4f}{interval}")


def reliability(found: Calibration) -> Reliability | None:
    """The reliability diagram, both axes alike; None where there are no bins."""
    full = [b for b in found.bins if b.n > 0 and b.confidence is not None and b.accuracy is not None]
    if not full:
        return None
    pairs = [(b.n, b.confidence or 0.0, b.accuracy or 0.0) for b in full]
    top = [v for _, confidence, accuracy in pairs for v in (confidence, accuracy)]
    x = from_zero(top, start=LEFT, end=RIGHT, limit=1.0)
    y = from_zero(top, start=BOTTOM, end=TOP, limit=1.0)
    most = max(n for n, _, _ in pairs)
    dots = tuple(Dot(x(c), y(a), round(3 + 5 * (n / most) ** 0.5, 2), n, c, a) for n, c, a in pairs)
    diagonal = (x(0), y(0), x(x.high), y(y.high))
    return Reliability(dots, _path([(d.x, d.y) for d in dots]), diagonal, x.ticks(), y.ticks())


def risk_coverage(found: RiskCoverage) -> Curve | None:
    """The risk-coverage curve; None where there are fewer than two points."""
    n = min(len(found.coverage), len(found.risk))
    if n < 2:
        return None
    order = np.argsort(np.asarray(found.coverage[:n]), kind="stable")
    coverage, risk = np.asarray(found.coverage[:n])[order], np.asarray(found.risk[:n])[order]
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), from_zero(risk.tolist(), start=BOTTOM, end=TOP, limit=1.0)
    keep = np.unique(np.linspace(0, n - 1, min(n, POINTS)).round().astype(np.intp))
    points = [(x(float(coverage[i])), y(float(risk[i]))) for i in keep]
    path = _path(points)
    area = f"{path}L{points[-1][0]},{y(0)}L{points[0][0]},{y(0)}Z"
    half = float(np.interp(0.5, coverage, risk)) if coverage[0] <= 0.5 <= coverage[-1] else None
    return Curve(path, area, x.ticks(), y.ticks(), y(float(risk[-1])), float(risk[-1]), half)


def risk_histogram(routes: RiskByRoute, threshold: float | None, bins: int = 30) -> Histogram:
    """How many decisions have which risk, and which of them were delegated."""
    low, high = float(routes.risk.min()), float(routes.risk.max())
    edges = np.linspace(low, high if high > low else low + 1e-6, bins + 1)
    kept = np.histogram(routes.risk[~routes.delegated], edges)[0]
    delegated = np.histogram(routes.risk[routes.delegated], edges)[0]
    x = Scale(float(edges[0]), float(edges[-1]), LEFT, RIGHT)
    y = from_zero([float((kept + delegated).max())], start=BOTTOM, end=TOP)
    bars = tuple(
        Bar(
            x(float(edges[i])),
            round((RIGHT - LEFT) / bins - 1, 2),
            y(float(kept[i])),
            round(y(0) - y(float(kept[i])), 2),
            y(float(kept[i] + delegated[i])),
            round(y(float(kept[i])) - y(float(kept[i] + delegated[i])), 2),
        )
        for i in range(bins)
    )
    at = x(threshold) if threshold is not None and low <= threshold <= high else None
    return Histogram(bars, x.ticks(), y.ticks(), at, int(kept.sum()), int(delegated.sum()))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x},{y}" for x, y in points)
