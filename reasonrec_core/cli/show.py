"""The results of a run on the terminal."""

from __future__ import annotations

from pathlib import Path

import click

from reasonrec_core.cli import console
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.report import render_table


def show_results(results: Results, folder: Path, *, as_json: bool) -> None:
    """Print the one table, or ``metrics.json``."""
    if as_json:
        click.echo(results.to_json())
        return
    console.out.print(render_table(results))
    console.out.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
