"""What a person reads: the console table and the one-file HTML report."""

from reasonrec_core.report.console import render_table
from reasonrec_core.report.folder import Run, read_run
from reasonrec_core.report.page import render_html, write_report
from reasonrec_core.report.view import ReportView, make_view

__all__ = ["ReportView", "Run", "make_view", "read_run", "render_html", "render_table", "write_report"]
