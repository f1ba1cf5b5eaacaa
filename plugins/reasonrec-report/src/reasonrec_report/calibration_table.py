"""How well confidence holds, way by way, before and after it was recalibrated."""

from __future__ import annotations

from reasonrec_report.delegation_section import DelegationTable, Line
from reasonrec_report.number_format import format_percent
from reasonrec_report.plots import ReliabilityDiagram, draw_reliability
from reasonrec_report.sections import CalibrationResult, ConfidenceQuality, RecalibratedConfidence

KINDS = {
    "none": "as it was",
    "temperature": "temperature",
    "platt": "Platt",
    "isotonic": "isotonic",
}


def draw_diagram_before(found: CalibrationResult) -> ReliabilityDiagram | None:
    """What the confidence looked like before, on the same axes; None where nothing was changed."""
    same = found.before is not None and found.before.bins == found.bins
    return None if found.before is None or same else draw_reliability(found.before, found)


def make_calibration_table(found: CalibrationResult) -> DelegationTable | None:
    """Errors before and after recalibration, of all answers and way by way; None where nothing was recalibrated."""
    if found.before is None:
        return None
    rows = [("All answers", found), *((_way(each.way or ""), each) for each in found.routes if len(found.routes) > 1)]
    if found.own is not None:
        rows.append((f"{found.own.of}’s own probability, all requests", found.own))
    columns = ("Answers", "Number", "Stated", "Came true", "Recalibrated by")
    errors = ("Error (bins of equal width)", "by chance", "Error (bins of equal mass)", "by chance", "Brier")
    lines = tuple(_line(name, each, name == "All answers") for name, each in rows)
    return DelegationTable(
        "Calibration on test, before → after recalibration on validation", (*columns, *errors), lines
    )


def _line(name: str, found: RecalibratedConfidence, is_main: bool) -> Line:
    before = found.before or ConfidenceQuality()
    kind = KINDS.get(found.kind or "", "by route" if is_main else "–")
    cells = (
        f"{found.cases:,}" if found.cases is not None else "–",
        _share(found.mean),
        _share(found.events),
        kind,
        _change(before.ece, found.ece),
        _number(found.ece_chance),
        _change(before.ece_mass, found.ece_mass),
        _number(found.ece_mass_chance),
        _change(before.brier, found.brier),
    )
    return Line(name, cells, is_main)


def _way(way: str) -> str:
    kind, _, delegate = way.partition(":")
    return {"self": "of the policy", "consult": "of the policy, after consulting delegates"}.get(kind, f"of {delegate}")


def _share(value: float | None) -> str:
    return "–" if value is None else format_percent(value, 1)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _change(before: float | None, after: float | None) -> str:
    return _number(after) if before is None else f"{_number(before)} → {_number(after)}"
