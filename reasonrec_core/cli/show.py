"""The results of a run on the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from reasonrec_core.cli import console
from reasonrec_core.report import render_table


def show_metrics(metrics: dict[str, Any], folder: Path, *, as_json: bool) -> None:
    """Print the one table, or the metrics as JSON."""
    if as_json:
        click.echo(json.dumps(metrics, indent=2, sort_keys=True))
        return
    console.out.print(render_table(metrics))
    console.out.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
