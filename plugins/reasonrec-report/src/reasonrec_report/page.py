"""The page: one HTML file that needs no other and asks nobody for anything; whole without its one small script."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from reasonrec_core.evaluate.schema import Results
from reasonrec_core.io import write_text
from reasonrec_report import plots
from reasonrec_report.load_run import read_run
from reasonrec_report.number_format import format_percent
from reasonrec_report.view_model import ReportView, make_view

NAME = "report.html"
FRAME = ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "TOP", "BOTTOM")
"""What the templates know of the frame of a curve."""


def render_html(view: ReportView) -> str:
    """The report as one HTML document. Everything that comes from data is escaped."""
    script = files("reasonrec_report").joinpath("templates/report.js").read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    template = _environment().get_template("report.html.j2")
    return template.render(view=view, script=Markup(script), script_hash=f"sha256-{digest}")  # noqa: S704 - our own


def write_report(run_folder: Path, out: Path | None = None, results: Results | None = None) -> Path:
    """Render ``report.html`` from the files of a run folder, whole or not at all, and give its path.

    ``out``: where to, the run folder by default. ``results``: those of ``metrics.json``, read by default.

    Raises:
        RunError: the folder is no finished run, or one of its files is broken.
    """
    path = (out or run_folder) / NAME
    write_text(path, render_html(make_view(read_run(run_folder, results))))
    return path


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reasonrec_report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update({name: getattr(plots, name) for name in FRAME}, percent=format_percent)
    return environment


def _clean(value: Any) -> Any:
    """Text without what may not stand in HTML: control characters and halves of surrogate pairs."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(c if c in "\t\n" or unicodedata.category(c) not in {"Cc", "Cs"} else "\ufffd" for c in value)
