"""An interval plot as one SVG of its own, for notebooks and documents: values, 95 % intervals, a common axis."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from reasonrec_core.evaluate.schema import Estimate, MetricFacts
from reasonrec_core.io import write_text
from reasonrec_report.axes import Scale, make_axis_around
from reasonrec_report.metric_names import format_value, parse_metric

LABELS, PLOT, VALUES, ROW, TOP, AXIS = 170, 360, 170, 26, 34, 30
"""Pixels: width of names, plot and numbers; height of a row, of the title, of the axis."""
INK, QUIET, BEST = "#1f2933", "#9aa5b1", "#0b6e99"


@dataclass(frozen=True)
class SvgPlot:
    """A drawing that notebooks show; ``svg`` is its text, ``title`` what it shows."""

    svg: str = field(repr=False)
    title: str = ""

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing to a file, whole or not at all."""
        write_text(Path(path), self.svg)
        return Path(path)


def draw_forest_svg(
    systems: Mapping[str, Estimate], metric: str, facts: Mapping[str, MetricFacts] | None = None
) -> SvgPlot:
    """Every system's value of a metric with its interval, the best first; names are escaped."""
    parsed = parse_metric(metric, facts)
    rows = [(name, each) for name, each in systems.items() if each.value is not None]
    rows.sort(key=lambda row: (row[1].value or 0.0) * (1 if parsed.lower_is_better else -1))
    scale = make_axis_around((v for _, e in rows for v in (e.value, e.low, e.high)), start=LABELS, end=LABELS + PLOT)
    bottom = TOP + ROW * len(rows)
    parts = [f'<text x="0" y="18" font-weight="bold" fill="{INK}">{escape(metric)}</text>']
    if parsed.meaning:
        parts.append(f'<text x="{LABELS}" y="18" fill="{QUIET}">{escape(_cut(parsed.meaning, 80))}</text>')
    for tick in scale.ticks():
        parts.append(f'<line x1="{tick.at}" x2="{tick.at}" y1="{TOP}" y2="{bottom}" stroke="#e4e7eb"/>')
        parts.append(
            f'<text x="{tick.at}" y="{bottom + 18}" text-anchor="middle" fill="{QUIET}">{escape(tick.label)}</text>'
        )
    for number, (name, each) in enumerate(rows):
        parts += _draw_row(name, each, scale, TOP + ROW * number + ROW // 2, BEST if number == 0 else INK)
    width, height = LABELS + PLOT + VALUES, bottom + AXIS
    label = "; ".join(f"{name} {_word(each)}" for name, each in rows)
    return SvgPlot(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(f"{metric}: {label}")}" font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="{width}" height="{height}" fill="white"/>{"".join(parts)}</svg>',
        metric,
    )


def _draw_row(name: str, each: Estimate, scale: Scale, y: int, colour: str) -> list[str]:
    value = each.value or 0.0
    low, high = (value if bound is None else bound for bound in (each.low, each.high))
    title = f"<title>{escape(name)}</title>"
    return [
        f'<text x="0" y="{y + 4}" fill="{INK}">{title}{escape(_cut(name, 24))}</text>',
        f'<line x1="{scale(low)}" x2="{scale(high)}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>',
        f'<circle cx="{scale(value)}" cy="{y}" r="4" fill="{colour}"/>',
        f'<text x="{LABELS + PLOT + 12}" y="{y + 4}" fill="{INK}">{_word(each)}</text>',
    ]


def _word(each: Estimate) -> str:
    interval = "" if each.low is None or each.high is None else f" ({format_value(each.low)}–{format_value(each.high)})"
    return f"{format_value(each.value)}{interval}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
