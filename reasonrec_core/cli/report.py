"""``reasonrec report``: the page of a run, made again from its files."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
Examples:
  reasonrec report runs/movielens
"""


@click.command("report", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
def report_command(run: Path) -> None:
    """Write RUN/report.html (one file that opens offline) from the results of RUN, and print the table."""
    from reasonrec_core.cli.show import show_metrics
    from reasonrec_core.io import read_json
    from reasonrec_core.pipeline.run_folder import RunFolder
    from reasonrec_core.report import write_report

    RunFolder.open(run)
    write_report(run)
    show_metrics(read_json(run / "metrics.json"), run, as_json=False)
