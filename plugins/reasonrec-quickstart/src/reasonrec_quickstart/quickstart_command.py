"""``reasonrec quickstart``: from data to a run that can be served."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from reasonrec_datasets.options import source_options

if TYPE_CHECKING:
    from reasonrec_quickstart.choices import Choices
    from reasonrec_quickstart.examine import ExaminedData

EPILOG = """\b
Examples:
  reasonrec quickstart my/shop
  reasonrec quickstart sales.csv --column user_id=customer --column item_id=sku --column timestamp=bought
  reasonrec quickstart my/shop --best --out runs/shop-best
  reasonrec quickstart my/shop --dry-run        # only the pipeline file, to be read and changed
"""


@click.command("quickstart", epilog=EPILOG)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--best",
    is_flag=True,
    help="Train the best ranking (policy chain, all items encoded) instead of a quick first answer.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run folder.  [default: runs/NAME]")
@click.option("--dry-run", is_flag=True, help="Write the pipeline file, and stop.")
@click.option("--final/--no-final", default=True, help="Fit final models, which learn from all data. [default: on]")
@source_options
def quickstart_command(
    path: Path, best: bool, out: Path | None, dry_run: bool, final: bool, source: dict[str, Any]
) -> None:
    """Look at the data in PATH, write a pipeline file for it, run it, and fit the models that are served.

    The file DIR.toml gives the reason for each choice and is yours to change: `reasonrec run DIR.toml --out DIR`. A
    first answer takes one or a few minutes, most of it for encoding texts and pictures; --best takes longer.
    """
    from reasonrec_core.cli import console
    from reasonrec_core.registry import Registry
    from reasonrec_quickstart.choices import choose_pipeline
    from reasonrec_quickstart.examine import examine_data
    from reasonrec_quickstart.pipeline_file import data_table, render_pipeline, write_pipeline

    folder = out or Path("runs") / name_run(path)
    file = folder.parent / f"{folder.name}.toml"
    registry = Registry.discover()
    with console.progress() as progress:
        examined = examine_data(path, source, progress)
    choices = choose_pipeline(examined, name_run(folder), data_table(path, source, file), registry, best=best)
    write_pipeline(render_pipeline(choices, examined, file), file)
    _show_choices(examined, choices, file)
    if dry_run:
        console.out.print(f"Run it: reasonrec run {file} --out {folder}", soft_wrap=True)
        return
    _run(file, folder, examined, final=final)


def name_run(path: Path) -> str:
    """What a run over ``path`` is called: by the file or folder, in letters that a run folder may have."""
    path = path.absolute()
    stem = path.name if path.is_dir() else path.name.partition(".")[0] or path.name
    if stem == "interactions" and path.is_file():
        stem = path.parent.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "data"


def _show_choices(examined: ExaminedData, choices: Choices, file: Path) -> None:
    from reasonrec_core.cli import console

    console.out.print(console.line(f"{examined.dataset.name}: {examined.size}"), style="bold")
    for note in examined.dataset.notes:
        console.note(console.line(f"note: {note}"))
    for warning in choices.warnings:
        console.note(console.line(f"warning: {warning}"))
    for hint in choices.hints:
        console.note(console.line(f"hint: {hint}"))
    console.out.print(f"Written: {file} (what was chosen, and why)", soft_wrap=True)


def _run(file: Path, folder: Path, examined: ExaminedData, *, final: bool) -> None:
    """Run the pipeline, fit the final models, say what came of it."""
    from reasonrec_serve.final_models import fit_final

    from reasonrec_core.cli import console
    from reasonrec_core.cli.run import load_pipeline
    from reasonrec_core.pipeline.run import run_pipeline
    from reasonrec_core.registry import Registry
    from reasonrec_quickstart.summary import list_next_commands, summarise_run

    config, _ = load_pipeline(file, (), folder)
    with console.progress() as progress:
        results = run_pipeline(config, folder, Registry.discover(), progress, say=console.note)
        said = summarise_run(results, examined.asked)
        if final:
            said += fit_final(folder, progress, say=console.note).describe()
    for sentence in filter(None, said):
        console.out.print(console.line(sentence), soft_wrap=True)
    for report in sorted(folder.glob("*.html")):
        console.out.print(f"Report: {report}", soft_wrap=True)
    context = click.get_current_context().find_root()
    verbs = context.command.list_commands(context) if isinstance(context.command, click.Group) else []
    commands = list_next_commands(folder, examined.dataset, verbs, ranks=not examined.labels)
    width = max(len(command) for command, _ in commands)
    console.out.print("Next:")
    for command, purpose in commands:
        console.out.print(console.plain(f"  {command:<{width}}  {purpose}"), soft_wrap=True)
