"""The verbs that make a run: ``run``, ``fit``, ``evaluate``; and how they show what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from reasonrec_core.config import PipelineConfig
    from reasonrec_core.evaluate.schema import Results
    from reasonrec_core.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])


def pipeline_options(command: F) -> F:
    """PIPELINE, ``--set`` and ``--out``."""
    out = click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The run folder; runs/NAME where NAME is the pipeline's name, if not given.",
    )
    override = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a setting, e.g. --set router.share=0.5. Repeatable.",
    )
    pipeline = click.argument("pipeline", type=click.Path(path_type=Path), metavar="PIPELINE")
    return pipeline(override(out(command)))


refit_option = click.option(
    "--refit",
    multiple=True,
    is_flag=False,
    flag_value="*",
    metavar="[STAGE]",
    help="Do this again though nothing that it depends on has changed: the label of a component, or the name of a "
    "folder in RUN/stages; everything without a value. Repeatable.",
)


def load_pipeline(pipeline: Path, overrides: tuple[str, ...], out: Path | None) -> tuple[PipelineConfig, Path]:
    """The checked settings and the run folder."""
    from reasonrec_core.config import load_config

    config = load_config(pipeline, overrides)
    return config, out or Path("runs") / config.name


RUN_EXAMPLES = """\b
Examples:
  reasonrec run examples/movielens.toml
  reasonrec run examples/movielens-posters.toml --set data.path=my/ml-100k --out runs/posters
  reasonrec run pipeline.toml --set router.share=0.5 --set delegates.transitions.window=4
  reasonrec run pipeline.toml --refit transitions --refit router-sequential
  reasonrec run pipeline.toml --json | jq .systems.routed
"""


@click.command("run", epilog=RUN_EXAMPLES)
@pipeline_options
@refit_option
@click.option("--verify", is_flag=True, help="Read every file of a stage before it is used again: was it damaged?")
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json instead of the table.")
def run_command(
    pipeline: Path, overrides: tuple[str, ...], out: Path | None, refit: tuple[str, ...], verify: bool, as_json: bool
) -> None:
    """Fit, calibrate and evaluate PIPELINE, and write a run folder with a report.

    Finished stages are kept in the run folder: the same command goes on where an interrupted run stopped, and a
    changed setting, or edited code of a plugin that is installed editable,
    redoes only what depends on it.
    """
    from reasonrec_core.cli import console
    from reasonrec_core.pipeline.run import run_pipeline
    from reasonrec_core.registry import Registry

    config, folder = load_pipeline(pipeline, overrides, out)
    registry = Registry.discover()
    with console.progress() as progress:
        results = run_pipeline(config, folder, registry, progress, refit=refit, verify=verify, say=console.note)
    show_results(results, folder, registry, as_json=as_json)


FIT_EXAMPLES = """\b
Examples:
  reasonrec fit examples/movielens.toml --out runs/movielens
  reasonrec evaluate runs/movielens
"""


@click.command("fit", epilog=FIT_EXAMPLES)
@pipeline_options
@refit_option
def fit_command(pipeline: Path, overrides: tuple[str, ...], out: Path | None, refit: tuple[str, ...]) -> None:
    """Fit and calibrate PIPELINE; no test target is read."""
    from reasonrec_core.cli import console
    from reasonrec_core.pipeline.run import fit_pipeline
    from reasonrec_core.registry import Registry

    config, folder = load_pipeline(pipeline, overrides, out)
    with console.progress() as progress:
        fitted = fit_pipeline(config, folder, Registry.discover(), progress, refit=refit, say=console.note)
    for _, part in fitted.agent.parts:
        console.out.print(f"{part.label}: fitted in {part.seconds:.1f} s")
    console.out.print(f"Evaluate it: reasonrec evaluate {folder}")


EVALUATE_EXAMPLES = """\b
Examples:
  reasonrec evaluate runs/movielens
  reasonrec evaluate runs/movielens --json > metrics.json
"""


@click.command("evaluate", epilog=EVALUATE_EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json instead of the table.")
def evaluate_command(run: Path, as_json: bool) -> None:
    """Evaluate the policy, each delegate and the routed system of a fitted RUN on the test data."""
    from reasonrec_core.cli import console
    from reasonrec_core.pipeline.run import evaluate_run
    from reasonrec_core.registry import Registry

    registry = Registry.discover()
    with console.progress() as progress:
        results = evaluate_run(run, registry, progress, say=console.note)
    show_results(results, run, registry, as_json=as_json)


def show_results(results: Results, folder: Path, registry: Registry, *, as_json: bool = False) -> None:
    """Print the one table, what reporters say, and where their files are; or ``metrics.json``."""
    from reasonrec_core.cli import console
    from reasonrec_core.cli.results_table import render_table
    from reasonrec_core.config import load_config
    from reasonrec_core.io import read_json
    from reasonrec_core.pipeline.reports import REPORTS, summarise_results, tabulate_results

    if as_json:
        click.echo(results.to_json())
        return
    config = load_config(folder / "config.toml").report
    console.out.print(tabulate_results(results, config, registry) or render_table(results))
    for sentence in summarise_results(results, config, registry):
        console.out.print(console.line(sentence))
    show_files([folder / name for name in read_json(folder / REPORTS)] if (folder / REPORTS).exists() else [])


def show_files(files: Sequence[Path]) -> None:
    """Print where reports are."""
    from reasonrec_core.cli import console

    for path in files:
        console.out.print(f"Report: {path}", soft_wrap=True)
