"""``reasonrec run``: the whole pipeline."""

from __future__ import annotations

from pathlib import Path

import click

from reasonrec_core.cli.pipeline_options import pipeline_options, refit_option

EPILOG = """\b
Examples:
  reasonrec run examples/movielens.toml
  reasonrec run examples/movielens-posters.toml --set data.path=my/ml-100k --out runs/posters
  reasonrec run pipeline.toml --set router.share=0.5 --set delegates.transitions.window=4
  reasonrec run pipeline.toml --refit transitions --refit router-sequential
  reasonrec run pipeline.toml --json | jq .systems.routed
"""


@click.command("run", epilog=EPILOG)
@pipeline_options
@refit_option
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json instead of the table.")
def run_command(
    pipeline: Path, overrides: tuple[str, ...], out: Path | None, refit: tuple[str, ...], as_json: bool
) -> None:
    """Fit, calibrate and evaluate PIPELINE, and write a run folder with a report.

    Finished stages are kept in the run folder: the same command goes on where an interrupted run stopped, and a
    changed setting, or edited code of a plugin that is installed editable,
    redoes only what depends on it.
    """
    from reasonrec_core.cli import console
    from reasonrec_core.cli.pipeline_options import load_pipeline
    from reasonrec_core.cli.show import show_results
    from reasonrec_core.pipeline.run import run_pipeline
    from reasonrec_core.registry import Registry

    config, folder = load_pipeline(pipeline, overrides, out)
    registry = Registry.discover()
    with console.progress() as progress:
        results = run_pipeline(config, folder, registry, progress, refit=refit, say=console.note)
    show_results(results, folder, registry, as_json=as_json)
