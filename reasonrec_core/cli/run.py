"""The verbs that make a run: ``run``, ``fit``, ``evaluate``; and how they show what came of it."""

from __future__ import annotations

import time
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
        help="The run folder. [default: runs/NAME, after the pipeline's name]",
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
    help="Do this again although nothing has changed: the label of a component, or the name of a folder in "
    "RUN/stages. Without a value: everything. Repeatable.",
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
@click.option("--verify", is_flag=True, help="Check every file of a stage for damage before it is used again.")
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json instead of the table.")
def run_command(
    pipeline: Path, overrides: tuple[str, ...], out: Path | None, refit: tuple[str, ...], verify: bool, as_json: bool
) -> None:
    """Fit, calibrate and evaluate PIPELINE, and write a run folder with a report.

    Finished stages are kept in the run folder: the same command continues an interrupted run, and after a change (a
    setting, or the code of a plugin that is installed as editable) it redoes only what depends on it.
    """
    from reasonrec_core.cli import console
    from reasonrec_core.pipeline.run import list_steps, run_pipeline
    from reasonrec_core.registry import Registry

    config, folder = load_pipeline(pipeline, overrides, out)
    registry, work = Registry.discover(), Work()
    with console.progress(plan=list_steps(config)) as progress:
        options: dict[str, Any] = {"refit": refit, "verify": verify, "say": console.note, "done": work.append}
        results = run_pipeline(config, folder, registry, progress, **options)
    show_results(results, folder, registry, as_json=as_json, closing=work.close(folder))


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
    from reasonrec_core.pipeline.run import fit_pipeline, list_steps
    from reasonrec_core.registry import Registry

    config, folder = load_pipeline(pipeline, overrides, out)
    work = Work()
    with console.progress(plan=list_steps(config, evaluate=False)) as progress:
        options: dict[str, Any] = {"refit": refit, "say": console.note, "done": work.append}
        fitted = fit_pipeline(config, folder, Registry.discover(), progress, **options)
    for _, part in fitted.agent.parts:
        console.out.print(f"{part.label}: fitted in {part.seconds:.1f} s")
    console.note(work.close(folder))
    console.out.print(f"Next: reasonrec evaluate {folder}")


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
    from reasonrec_core.config import load_config
    from reasonrec_core.pipeline.run import evaluate_run, list_steps
    from reasonrec_core.registry import Registry

    registry, work, settings = Registry.discover(), Work(), run / "config.toml"
    plan = list_steps(load_config(settings)) if settings.is_file() else []
    with console.progress(plan=plan) as progress:
        results = evaluate_run(run, registry, progress, say=console.note, done=work.append)
    show_results(results, run, registry, as_json=as_json, closing=work.close(run))


class Work(list[tuple[str, bool]]):
    """The stages of a run, and whether each was there already; told at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = time.monotonic()

    def close(self, folder: Path) -> str:
        """The closing line."""
        first = dict(reversed(self))  # what was made and then read again was made
        seconds, reused = int(time.monotonic() - self.begin), sum(first.values())
        took = f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"
        return f"Done in {took}: {len(first) - reused} stages made, {reused} reused. The run: {folder}"


def show_results(
    results: Results, run: Path, registry: Registry, *, closing: str, as_json: bool = False, files: Sequence[Path] = ()
) -> None:
    """Print what reporters say, the one table, and where the ``files`` are (by default the run's); or ``metrics.json``.

    A run that fails a check of a reporter (`Reporter.find_failures`) ends with exit code 3.
    """
    from reasonrec_core.cli import console
    from reasonrec_core.config import load_config
    from reasonrec_core.io import read_json
    from reasonrec_core.pipeline import reports

    config = load_config(run / "config.toml").report
    if as_json:
        click.echo(results.to_json())
    else:
        for sentence in reports.summarise_results(results, run, config, registry):
            console.out.print(console.line(sentence), soft_wrap=True)
        console.out.print()
        console.out.print(reports.tabulate_results(results, config, registry) or "The figures are in metrics.json.")
        known = run / reports.REPORTS
        written = [run / name for name in read_json(known)] if known.exists() else []
        for path in files or written:
            console.out.print(f"Report: {path}", soft_wrap=True)
    if closing:
        console.note(closing)
    if failed := reports.find_failures(results, config, registry):
        for sentence in failed:
            console.err.print(f"check failed: {console.line(sentence)}", soft_wrap=True)
        raise click.exceptions.Exit(3)
