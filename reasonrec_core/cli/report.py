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
    from reasonrec_core.cli.show import show_results
    from reasonrec_core.evaluate.schema import Results
    from reasonrec_core.pipeline.run_folder import RunFolder
    from reasonrec_core.report import write_report

    RunFolder.open(run)
    write_report(run)
    show_results(Results.read(run), run, as_json=False)
