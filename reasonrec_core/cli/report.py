"""``reasonrec report``: what reporters write about a run, made again from its files."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
Examples:
  reasonrec report runs/movielens
  reasonrec report runs/movielens --reporter html --out pages
"""


@click.command("report", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--reporter", "names", multiple=True, metavar="NAME", help="Only this one, with its defaults; repeatable."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files; RUN by default.")
def report_command(run: Path, names: tuple[str, ...], out: Path | None) -> None:
    """Write the reports of RUN (such as report.html, one file that opens offline), and print the table.

    Who reports: what the settings of the run name under report.reporters, else all reporters that are installed.
    """
    from reasonrec_core.cli.show import show_files, show_results
    from reasonrec_core.config import ComponentConfig, ReportConfig, load_config
    from reasonrec_core.evaluate.schema import Results
    from reasonrec_core.pipeline.reports import write_reports
    from reasonrec_core.pipeline.run_folder import RunFolder
    from reasonrec_core.registry import Registry

    RunFolder.open(run)
    results, registry = Results.read(run), Registry.discover()
    config = load_config(run / "config.toml").report
    if names:
        config = ReportConfig(reporters=tuple(ComponentConfig(name=name) for name in names))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    files = write_reports(results, run, config, registry, out)
    show_results(results, run, registry)
    if out is not None:
        show_files(files)
