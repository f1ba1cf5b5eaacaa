"""The table of the systems, as data: for the page and for the console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reasonrec_core.report.metrics import Metric, number
from reasonrec_core.report.standing import Role, Standing, Verdict

COLUMNS = 6
"""Metrics that the main table has room for."""

MARKS = {Verdict.BETTER: "▼", Verdict.WORSE: "▲", Verdict.EVEN: "≈"}
"""Beside a system's value: how it stands to the main system, by the main system's verdict on it."""
MARK_WORDS = {
    Verdict.BETTER: "significantly worse than",
    Verdict.WORSE: "significantly better than",
    Verdict.EVEN: "not distinguishable from",
}


@dataclass(frozen=True)
class Cell:
    """A value with its interval, whether it is the best, and how it stands to the main system."""

    value: str
    interval: str
    is_best: bool
    mark: str
    mark_words: str


@dataclass(frozen=True)
class Row:
    """A system."""

    system: str
    role: Role
    is_main: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class SystemsTable:
    """Systems by metrics."""

    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]
    main: str
    has_marks: bool
    has_intervals: bool


def systems_table(standing: Standing, columns: Sequence[Metric]) -> SystemsTable:
    """The table of all systems with the given metrics."""
    best = {m.name: standing.best(m) for m in columns}
    rows = tuple(
        Row(s, standing.role(s), s == standing.main, tuple(_cell(standing, s, m, s in best[m.name]) for m in columns))
        for s in standing.systems
    )
    cells = [cell for row in rows for cell in row.cells]
    return SystemsTable(tuple(columns), rows, standing.main, any(c.mark for c in cells), any(c.interval for c in cells))


def _cell(standing: Standing, system: str, metric: Metric, is_best: bool) -> Cell:
    found = standing.estimate(system, metric)
    if found is None:
        return Cell(number(None), "", False, "", "")
    known = found.low is not None and found.high is not None and found.low < found.high
    interval = f"{number(found.low)}–{number(found.high)}" if known else ""
    difference = standing.difference(standing.main, system, metric)
    if difference is None or not metric.is_quality:
        return Cell(number(found.value), interval, is_best, "", "")
    verdict = difference.verdict
    return Cell(number(found.value), interval, is_best, MARKS[verdict], f"{MARK_WORDS[verdict]} {standing.main}")
