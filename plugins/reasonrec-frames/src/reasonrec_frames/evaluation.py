"""What was measured of systems: every metric with its interval, paired comparisons, as table, frame and plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_core.evaluate.schema import Estimate, MetricFacts, PairedComparison, Results
from reasonrec_frames.html import make_paragraphs, make_table
from reasonrec_frames.native_frames import FrameKind, default_kind, write_frame

LEVEL = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Mapping[str, Mapping[str, Estimate]]):
    """Metrics by system: ``evaluation["chain"]["NDCG@10"].value``, with ``low`` and ``high`` of its 95 % interval.

    Attributes:
        systems: what was measured.
        comparisons: system ``a`` minus system ``b``, p-values corrected over all rows (Holm).
        protocol: how it was measured, in words.
        queries: how many were asked, None where that is not known.
        notes: what was left out or guessed, with counts.
        facts: what must be known of each metric.
        kind: of the frames that are given.
    """

    systems: Mapping[str, Mapping[str, Estimate]]
    comparisons: tuple[PairedComparison, ...] = ()
    protocol: str = ""
    queries: int | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, MetricFacts] = field(default_factory=dict)
    kind: FrameKind = field(default_factory=default_kind)

    @classmethod
    def of_results(cls, results: Results, kind: FrameKind) -> Evaluation:
        """What a run's ``metrics.json`` holds."""
        return cls(results.systems, results.comparisons, results.protocol, facts=results.metrics, kind=kind)

    def __getitem__(self, system: str) -> Mapping[str, Estimate]:
        return self.systems[system]

    def __iter__(self) -> Iterator[str]:
        return iter(self.systems)

    def __len__(self) -> int:
        return len(self.systems)

    @property
    def headlines(self) -> list[str]:
        """The metrics of the table: those that were compared, else NDCG and HR at the largest cut-off."""
        if compared := list(dict.fromkeys(row.metric for row in self.comparisons)):
            return compared
        names = list(next(iter(self.systems.values())))
        usual = {name.partition("@")[0]: name for name in names}  # of one family the last: cut-offs ascend
        return [usual[family] for family in ("NDCG", "HR") if family in usual] or names[:2]

    def frame(self) -> Any:
        """A row per system and metric: ``system``, ``metric``, ``value``, ``low``, ``high``."""
        rows = [
            {"system": system, "metric": name, **found.model_dump(include={"value", "low", "high"})}
            for system, metrics in self.systems.items()
            for name, found in metrics.items()
        ]
        numbers = [(name, pa.float64()) for name in ("value", "low", "high")]
        schema = pa.schema([("system", pa.string()), ("metric", pa.string()), *numbers])
        return write_frame(pa.Table.from_pylist(rows, schema), self.kind)

    def compare(self) -> Any:
        """A row per comparison: ``a``, ``b``, ``metric``, ``difference`` with ``low`` and ``high``, p-values, ``n``."""
        rows = [row.model_dump() for row in self.comparisons]
        numbers = [(name, pa.float64()) for name in ("difference", "low", "high", "p", "p_corrected")]
        schema = pa.schema([*((name, pa.string()) for name in ("a", "b", "metric")), *numbers, ("n", pa.int64())])
        return write_frame(pa.Table.from_pylist(rows, schema), self.kind)

    def plot(self, metric: str) -> Any:
        """Every system's value of a metric with its interval, as a picture (SVG) that notebooks show.

        Raises:
            ConfigError: nobody has that metric.
        """
        from reasonrec_report.forest_svg import draw_forest_svg

        found = {name: metrics[metric] for name, metrics in self.systems.items() if metric in metrics}
        if not found:
            known = {name for metrics in self.systems.values() for name in metrics}
            raise ConfigError(f"no system has the metric {metric!r}", where="plot", fix=did_you_mean(metric, known))
        return draw_forest_svg(found, metric, self.facts)

    def sentences(self) -> list[str]:
        """What the comparisons say, and what is to be known about them."""
        said = [_say(row, self.facts) for row in self.comparisons]
        asked = "" if self.queries is None else f"{self.queries:,} test queries; "
        return [*said, *([f"{asked}{self.protocol}."] if self.protocol else []), *(f"Note: {n}." for n in self.notes)]

    def _rows(self) -> list[list[str]]:
        return [[name, *(_show(found.get(m)) for m in self.headlines)] for name, found in self.systems.items()]

    def __repr__(self) -> str:
        table = [["system", *self.headlines], *self._rows()]
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join([*lines, *self.sentences()])

    def _repr_html_(self) -> str:
        best = []
        for column, metric in enumerate(self.headlines, 1):
            sign = -1 if _is_better_low(metric, self.facts) else 1
            values = [
                sign * (found[metric].value or 0.0) if metric in found else None for found in self.systems.values()
            ]
            top = max((value for value in values if value is not None), default=None)
            best += [(row, column) for row, value in enumerate(values) if value is not None and value == top]
        return make_table(["system", *self.headlines], self._rows(), best) + make_paragraphs(self.sentences())


def _is_better_low(metric: str, facts: Mapping[str, MetricFacts]) -> bool:
    family = metric.partition("@")[0].partition("[")[0].lower()
    return any(name.lower() == family and fact.better == "lower" for name, fact in facts.items())


def _show(found: Estimate | None) -> str:
    if found is None or found.value is None:
        return "-"
    if found.low is None or found.high is None or found.low == found.high:
        return f"{found.value:.4f}"
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def _say(row: PairedComparison, facts: Mapping[str, MetricFacts]) -> str:
    """``mine beats popularity: NDCG@10 +0.0123 (0.0101 to 0.0145), p = 0.0002.``"""
    p = row.p if row.p_corrected is None else row.p_corrected
    verb = "not measurably different from"
    if p is not None and p < LEVEL and row.difference:
        verb = "beats" if (row.difference > 0) != _is_better_low(row.metric, facts) else "is behind"
    interval = "" if row.low is None or row.high is None else f" ({_sign(row.low)} to {_sign(row.high)})"
    sure = "" if p is None else f", p = {p:.2g}"
    return f"{row.a} {verb} {row.b}: {row.metric} {_sign(row.difference)}{interval}{sure}."


def _sign(value: float) -> str:
    """``+0.0123``; never a negative zero."""
    return f"{round(value, 4) + 0.0:+.4f}"
