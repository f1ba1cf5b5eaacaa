"""``reasonrec fit``: the first half of a run."""

from __future__ import annotations

from pathlib import Path

import click

from reasonrec_core.cli.pipeline_options import pipeline_options, refit_option

EPILOG = """\b
Examples:
  reasonrec fit examples/movielens.toml --out runs/movielens
  reasonrec evaluate runs/movielens
"""


@click.command("fit", epilog=EPILOG)
@pipeline_options
@refit_option
def fit_command(pipeline: Path, overrides: tuple[str, ...], out: Path | None, refit: tuple[str, ...]) -> None:
    """Fit and calibrate PIPELINE; no test target is read."""
    from reasonrec_core.cli import console
    from reasonrec_core.cli.pipeline_options import load_pipeline
    from reasonrec_core.pipeline.run import fit_pipeline
    from reasonrec_core.registry import Registry

    config, folder = load_pipeline(pipeline, overrides, out)
    with console.progress() as progress:
        fitted = fit_pipeline(config, folder, Registry.discover(), progress, refit=refit, say=console.note)
    for label, seconds in fitted.seconds.items():
        console.out.print(f"{label}: fitted in {seconds:.1f} s")
    console.out.print(f"Evaluate it: reasonrec evaluate {folder}")
