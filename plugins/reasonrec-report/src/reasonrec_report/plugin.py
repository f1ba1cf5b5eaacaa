"""Registers the HTML report."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_reporters() -> list[ComponentSpec]:
    """The HTML report."""
    return [ComponentSpec("html", "reasonrec_report.reporter:HtmlReporter", "One HTML file that opens offline")]
