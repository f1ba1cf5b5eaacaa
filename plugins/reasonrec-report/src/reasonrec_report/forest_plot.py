"""Interval ("forest") plots: values with their intervals on a common axis.

They use percent coordinates, so that they fill any width and their marks keep their shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reasonrec_core.evaluate.schema import Estimate
from reasonrec_report.axes import Scale, Tick, make_axis_around
from reasonrec_report.leaderboard import Leaderboard, SystemRole
from reasonrec_report.metric_names import ParsedMetric, format_value
from reasonrec_report.number_format import format_range
from reasonrec_report.sections import SliceEstimate

LANE = 14
"""Pixels from one interval of a group to the next."""
UNITS = {"evidence horizon": "by items in the history", "history length": "by items in the history"}
"""What the groups of a slice count, where they are ranges of numbers."""


@dataclass(frozen=True)
class Mark:
    """A value with its interval on a track; x in percent, y in pixels."""

    tone: SystemRole
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
    unit: str
    metric: ParsedMetric
    rows: tuple[TrackRow, ...]
    ticks: tuple[Tick, ...]
    reference: float | None = None
    legend: tuple[tuple[SystemRole, str], ...] = ()


def draw_forest(board: Leaderboard) -> Intervals | None:
    """Every system's headline metric with its interval; None where there is only one system."""
    metric = board.headline
    measured = [(s, e) for s in board.systems if metric and (e := board.estimate(s, metric))]
    if metric is None or len(measured) < 2:
        return None
    measured.sort(key=lambda pair: (pair[1].value or 0.0) * (1 if metric.lower_is_better else -1))
    scale = make_axis_around(v for _, e in measured for v in (e.value, e.low, e.high))
    rows = tuple(TrackRow(s, "", (_mark(board.role(s), s, e, scale, LANE),), 2 * LANE) for s, e in measured)
    main = board.estimate(board.main, metric)
    reference = scale(main.value) if main and main.value is not None else None
    return Intervals(f"{metric.name} by system", "", metric, rows, scale.ticks(), reference)


def draw_slice_panels(board: Leaderboard, slices: Sequence[SliceEstimate]) -> tuple[Intervals, ...]:
    """One interval plot per slice that divides the queries, all of them over the same axis."""
    head = board.headline
    shown = {board.main, *board.rivals}
    cells = [c for c in slices if head and c.metric == head.name and c.system in shown]
    if head is None or not cells:
        return ()
    scale = make_axis_around(v for c in cells for v in (c.value, c.low, c.high))
    order = [s for s in board.systems if s in shown]
    legend = tuple((board.role(s), s) for s in order)
    names = dict.fromkeys(c.slice for c in cells)
    panels = (_panel([c for c in cells if c.slice == n], n, head, scale, order, legend, board) for n in names)
    return tuple(panel for panel in panels if len(panel.rows) > 1)


def _panel(
    cells: Sequence[SliceEstimate],
    name: str,
    metric: ParsedMetric,
    scale: Scale,
    order: Sequence[str],
    legend: tuple[tuple[SystemRole, str], ...],
    board: Leaderboard,
) -> Intervals:
    rows = []
    for group in dict.fromkeys(c.group for c in cells):
        of = sorted((c for c in cells if c.group == group), key=lambda c: order.index(c.system))
        marks = tuple(
            _mark(board.role(c.system), c.system, c, scale, LANE * (i + 1))
            for i, c in enumerate(c for c in of if c.value is not None)
        )
        if marks:
            rows.append(TrackRow(format_range(group), _count(max(c.n for c in of)), marks, LANE * (len(marks) + 1)))
    title = name.replace("_", " ").replace("-", " ")
    return Intervals(title, UNITS.get(title, ""), metric, tuple(rows), scale.ticks(3), None, legend)


def _mark(tone: SystemRole, label: str, value: Estimate | SliceEstimate, scale: Scale, y: float) -> Mark:
    middle = value.value or 0.0
    low = middle if value.low is None else value.low
    high = middle if value.high is None else value.high
    interval = "" if value.low is None or value.high is None else f" ({format_value(low)}–{format_value(high)})"
    return Mark(tone, label, scale(middle), scale(low), scale(high), y, f"{format_value(middle)}{interval}")


def _count(requests: int) -> str:
    return "1 request" if requests == 1 else f"{requests:,} requests"
