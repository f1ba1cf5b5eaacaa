"""``reasonrec report``: writes the reports of a finished run again, and opens them."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

import click

from reasonrec_core.errors import RunError

REPORT_EXAMPLES = """\b
Examples:
  reasonrec report runs/movielens
  reasonrec report runs/movielens --open
  reasonrec report runs/movielens --reporter html --out pages
"""


@click.command("report", epilog=REPORT_EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--reporter",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this reporter, with its default settings. Repeatable.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files. [default: RUN]")
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
def report_command(run: Path, names: tuple[str, ...], out: Path | None, open_page: bool) -> None:
    """Write the reports of RUN again (such as report.html, one file that opens offline), and print the result.

    The reporters are those named under report.reporters in the run, otherwise all that are installed.
    """
    from reasonrec_core.cli.run import show_results
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
    if open_page:
        show_page(files, run)
    show_results(results, run, registry, closing="", files=files)


def show_page(files: Sequence[Path], run: Path) -> None:
    """Open the first page among the files in a browser.

    Raises:
        RunError: there is none, or no browser.
    """
    page = next((path.resolve() for path in files if path.suffix == ".html"), None)
    if page is None:
        raise RunError("no reporter of this run writes a page", where=str(run), fix="Add --reporter html.")
    if not webbrowser.open(page.as_uri()):
        raise RunError("no browser was found to open the page", where=str(page), fix="Open the file yourself.")
