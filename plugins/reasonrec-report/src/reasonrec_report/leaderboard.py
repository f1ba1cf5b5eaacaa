"""How the systems of a run stand to each other: who is best, which differences are real; as a table, too."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reasonrec_core.evaluate.schema import Estimate, Results
from reasonrec_core.evaluate.significance import ALPHA
from reasonrec_report.metric_names import BUILT_IN, ParsedMetric, choose_headline, format_value, parse_metric


class SystemRole(StrEnum):
    """What a system is in the run."""

    ROUTED = "routed"
    POLICY = "policy"
    DELEGATE = "delegate"
    CONSULT = "consult"
    OTHER = "other"


class Verdict(StrEnum):
    """What a comparison says about the first system."""

    BETTER = "better"
    WORSE = "worse"
    EVEN = "even"


@dataclass(frozen=True)
class SystemDifference:
    """A comparison seen from ``a``: ``value`` = metric of ``a`` minus metric of ``b``."""

    a: str
    b: str
    metric: ParsedMetric
    value: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def verdict(self) -> Verdict:
        """Better or worse only where the corrected p-value (else the interval) says so."""
        real = self.p < ALPHA if self.p is not None else self._excludes_zero
        if not real or self.value == 0:
            return Verdict.EVEN
        return Verdict.BETTER if (self.value > 0) != self.metric.lower_is_better else Verdict.WORSE

    @property
    def _excludes_zero(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Leaderboard:
    """The systems of a run in the order of a table: the routed system, the policy, the delegates by quality.

    Where there is no policy, the delegate that answers comes first, chosen on validation if there is any.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        names = {name for values in results.systems.values() for name in values}
        self.metrics: tuple[ParsedMetric, ...] = tuple(sorted(parse_metric(name, results.metrics) for name in names))
        self.headline: ParsedMetric | None = choose_headline(
            [m for m in self.metrics if m.name in {c.metric for c in results.comparisons}] or self.metrics
        )
        self.systems: tuple[str, ...] = tuple(sorted(results.systems, key=self._place))

    def role(self, system: str) -> SystemRole:
        """What ``system`` is; the system called "routed" is, even where the roles are not stated."""
        roles = self.results.roles
        if system == (roles.routed if roles and roles.routed else "routed"):
            return SystemRole.ROUTED
        if roles and system == roles.policy:
            return SystemRole.POLICY
        if roles and system in roles.delegates:
            return SystemRole.DELEGATE
        return SystemRole.CONSULT if roles and system == "consult" else SystemRole.OTHER

    @property
    def main(self) -> str:
        """The system that the report is about."""
        return self.systems[0]

    @property
    def rivals(self) -> tuple[str, ...]:
        """Whom the main system is measured against: the policy alone and the best delegate."""
        others = [s for s in self.systems if s != self.main]
        firsts = {self.role(s): s for s in reversed(others)}
        return tuple(firsts[role] for role in SystemRole if role in firsts)[:2]

    def first(self, role: SystemRole) -> str | None:
        """The best system of a role."""
        return next((s for s in self.systems if self.role(s) is role), None)

    def estimate(self, system: str, metric: ParsedMetric) -> Estimate | None:
        """A system's value, None where it was not measured."""
        found = self.results.systems[system].get(metric.name)
        return found if found is not None and found.value is not None else None

    def best(self, metric: ParsedMetric) -> frozenset[str]:
        """Whoever has the best value, none where the metric only describes or there is nobody to compare with."""
        values = {s: e.value for s in self.systems if (e := self.estimate(s, metric)) and e.value is not None}
        if not metric.is_quality or len(values) < 2:
            return frozenset()
        top = (min if metric.lower_is_better else max)(values.values())
        return frozenset(s for s, value in values.items() if value == top)

    def difference(self, a: str, b: str, metric: ParsedMetric) -> SystemDifference | None:
        """The paired comparison of two systems, turned so that ``a`` comes first; None where it was not made."""
        for c in self.results.comparisons:
            if c.metric != metric.name or {c.a, c.b} != {a, b} or a == b:
                continue
            p = c.p if c.p_corrected is None else c.p_corrected
            # The interval that the verdict follows from; runs of earlier releases have the uncorrected one alone.
            low, high = (c.low, c.high) if c.low_corrected is None else (c.low_corrected, c.high_corrected)
            if c.a == a:
                return SystemDifference(a, b, metric, c.difference, low, high, p)
            return SystemDifference(a, b, metric, -c.difference, _minus(high), _minus(low), p)
        return None

    def leans(self, a: str, b: str, metric: ParsedMetric) -> bool:
        """Whether the comparison by itself speaks for ``a``, which the correction for all that were made takes back."""
        found = self.difference(a, b, metric)
        if found is None or found.verdict is not Verdict.EVEN or (found.value > 0) == metric.lower_is_better:
            return False
        rows = [c for c in self.results.comparisons if c.metric == metric.name and {c.a, c.b} == {a, b}]
        return any(c.low is not None and c.high is not None and (c.low > 0 or c.high < 0) for c in rows)

    def count_users(self) -> int | None:
        """Test users that the headline is about; None where nothing says how many."""
        name = self.headline.name if self.headline else None
        counts = [c.n for c in self.results.comparisons if c.metric == name and c.n is not None]
        slices = [s for s in getattr(self.results, "slices", ()) if s.metric == name and s.system == self.main]
        return max(counts, default=sum(s.n or 0 for s in slices if s.slice == slices[0].slice) or None)

    def columns(self, limit: int) -> tuple[ParsedMetric, ...]:
        """The metrics that a table has room for, without those that repeat another.

        With one target per query, recall is the hit rate and precision is the hit rate over k. The headline of
        every other protocol has a place, and so has what a plugin added.
        """
        head = self.headline
        if head is None:
            return ()
        others = [m for m in self.metrics if (m.family, m.k) == (head.family, head.k) and m.protocol != head.protocol]
        added = [m for m in self.metrics if m.family not in BUILT_IN and m.protocol == head.protocol]
        others = [m for m in added if m.k in {head.k, 0} and m != head] + others
        shown: list[ParsedMetric] = []
        seen: set[tuple[float | None, ...]] = set()
        for metric in sorted(
            (m for m in self.metrics if m.protocol == head.protocol and m not in others), key=self._interest
        ):
            pattern = self._pattern(metric)
            if pattern not in seen:
                seen.add(pattern)
                shown.append(metric)
        return (*shown[: max(limit - len(others), 1)], *others)

    def _interest(self, metric: ParsedMetric) -> tuple[bool, bool, ParsedMetric]:
        """Quality and coverage before mere description, the headline's cut-off before others."""
        k = self.headline.k if self.headline else 0
        return not metric.is_quality and metric.family != "coverage", metric.k not in (k, 0), metric

    def _pattern(self, metric: ParsedMetric) -> tuple[float | None, ...]:
        """The systems' values up to a common factor."""
        values = [e.value if (e := self.estimate(s, metric)) else None for s in self.systems]
        known = [v for v in values if v]
        unit = known[0] if len(known) > 1 else 1.0
        return tuple(None if v is None else round(v / unit, 9) for v in values)

    @property
    def chosen(self) -> str | None:
        """The delegate that answers where there is no policy."""
        return self.results.roles.chosen if self.results.roles else None

    def _place(self, system: str) -> tuple[int, bool, float, str]:
        value = None
        if self.headline and (found := self.results.systems[system].get(self.headline.name)):
            value = found.value
        sign = 1 if self.headline and self.headline.lower_is_better else -1
        role = list(SystemRole).index(self.role(system))
        return role, system != self.chosen, float("inf") if value is None else sign * value, system


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


MARKS = {Verdict.BETTER: "▼", Verdict.WORSE: "▲", Verdict.EVEN: "≈"}
"""Beside a system's value: how it stands to the main system, by the main system's verdict on it."""
MARK_WORDS = {
    Verdict.BETTER: "significantly worse than",
    Verdict.WORSE: "significantly better than",
    Verdict.EVEN: "not measurably different from",
}


@dataclass(frozen=True)
class TableCell:
    """A value with its interval, whether it is the best, and how it stands to the main system."""

    value: str
    interval: str
    is_best: bool
    mark: str
    mark_words: str


@dataclass(frozen=True)
class SystemRow:
    """A system."""

    system: str
    role: SystemRole
    is_main: bool
    cells: tuple[TableCell, ...]


@dataclass(frozen=True)
class SystemsTable:
    """Systems by metrics."""

    columns: tuple[ParsedMetric, ...]
    rows: tuple[SystemRow, ...]
    main: str
    has_marks: bool
    has_intervals: bool


def make_table(board: Leaderboard, columns: Sequence[ParsedMetric]) -> SystemsTable:
    """The table of all systems with the given metrics."""
    best = {m.name: board.best(m) for m in columns}
    rows = tuple(
        SystemRow(s, board.role(s), s == board.main, tuple(_cell(board, s, m, s in best[m.name]) for m in columns))
        for s in board.systems
    )
    cells = [cell for row in rows for cell in row.cells]
    return SystemsTable(tuple(columns), rows, board.main, any(c.mark for c in cells), any(c.interval for c in cells))


def _cell(board: Leaderboard, system: str, metric: ParsedMetric, is_best: bool) -> TableCell:
    found = board.estimate(system, metric)
    if found is None:
        return TableCell(format_value(None), "", False, "", "")
    known = found.low is not None and found.high is not None and found.low < found.high
    interval = f"{format_value(found.low)}–{format_value(found.high)}" if known else ""
    difference = board.difference(board.main, system, metric)
    if difference is None or not metric.is_quality:
        return TableCell(format_value(found.value), interval, is_best, "", "")
    verdict = difference.verdict
    return TableCell(
        format_value(found.value), interval, is_best, MARKS[verdict], f"{MARK_WORDS[verdict]} {board.main}"
    )


LONGEST = 60
"""Letters of a protocol's name."""


def shorten_protocol(text: str) -> str:
    """The name of a protocol without its explanation: what stands before the first colon."""
    name = re.split("[:;]", text)[0]
    return textwrap.shorten(name if len(name) <= LONGEST else name.split(",")[0], LONGEST, placeholder="…")


def is_about_clicks(metric: ParsedMetric | None) -> bool:
    """Whether a run that is judged by this metric predicts clicks, and does not rank."""
    return metric is not None and metric.family in {"auc", "uauc", "logloss"}
