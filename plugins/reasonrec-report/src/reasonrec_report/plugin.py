"""Registers the HTML report, and what is measured and kept for it."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, ComponentSpec, hookimpl


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """The verb that reports again."""
    target = "reasonrec_report.report_command:report_command"
    return [CommandSpec("report", target, "Write the report of a run again, or open it.")]


@hookimpl
def reasonrec_reporters() -> list[ComponentSpec]:
    """The HTML report, and what it shows beside metrics."""
    return [
        ComponentSpec("html", "reasonrec_report.reporter:HtmlReporter", "One HTML file that opens offline"),
        ComponentSpec(
            "calibration",
            "reasonrec_report.measure.calibration:CalibrationReporter",
            "How far stated confidence can be trusted, and what abstaining would bring",
        ),
        ComponentSpec(
            "delegation",
            "reasonrec_report.measure.delegation:DelegationReporter",
            "Quality at every share of delegated requests",
        ),
        ComponentSpec("costs", "reasonrec_report.measure.costs:CostReporter", "Time and tokens per request, by route"),
        ComponentSpec(
            "slices", "reasonrec_report.measure.slices:SliceReporter", "Every system on slices of the requests"
        ),
        ComponentSpec("cards", "reasonrec_report.reporter:CardReporter", "Examples of decisions and explanations"),
        ComponentSpec(
            "checks", "reasonrec_report.checks:CheckReporter", "Limits that a run must keep, for people and for CI"
        ),
    ]
