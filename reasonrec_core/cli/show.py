"""The results of a run on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reasonrec_core.cli import console
from reasonrec_core.cli.results_table import render_table
from reasonrec_core.config import load_config
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.io import read_json
from reasonrec_core.pipeline.reports import REPORTS, summarise_results
from reasonrec_core.registry import Registry


def show_results(results: Results, folder: Path, registry: Registry, *, as_json: bool = False) -> None:
    """Print the one table, what reporters say, and where their files are; or ``metrics.json``."""
    if as_json:
        click.echo(results.to_json())
        return
    config = load_config(folder / "config.toml").report
    console.out.print(render_table(results, summarise_results(results, config, registry)))
    show_files([folder / name for name in read_json(folder / REPORTS)] if (folder / REPORTS).exists() else [])


def show_files(files: Sequence[Path]) -> None:
    """Print where reports are."""
    for path in files:
        console.out.print(f"Report: {path}", soft_wrap=True)
