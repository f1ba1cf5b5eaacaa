"""``reasonrec evaluate``: the second half of a run."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
Examples:
  reasonrec evaluate runs/movielens
  reasonrec evaluate runs/movielens --json > metrics.json
"""


@click.command("evaluate", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json instead of the table.")
def evaluate_command(run: Path, as_json: bool) -> None:
    """Evaluate the policy, each delegate and the routed system of a fitted RUN on the test data."""
    from reasonrec_core.cli import console
    from reasonrec_core.cli.show import show_results
    from reasonrec_core.pipeline.run import evaluate_run
    from reasonrec_core.registry import Registry

    registry = Registry.discover()
    with console.progress() as progress:
        results = evaluate_run(run, registry, progress, say=console.note)
    show_results(results, run, registry, as_json=as_json)
