"""``reasonrec final``: the models that are served learn from everything."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
Examples:
  reasonrec final runs/shop
  reasonrec recommend runs/shop --user 42                      # answered by the final models from now on
  reasonrec recommend runs/shop --user 42 --models evaluated   # as the report has it
"""


@click.command("final", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--verify", is_flag=True, help="Check every file of a stage for damage before it is used again.")
def final_command(run: Path, verify: bool) -> None:
    """Fit RUN again to all of its data, for serving.

    A run is evaluated with models that have never seen each user's newest interactions, which were kept for
    validation and test. This command fits everything again to all interactions, with what validation chose (settings,
    epochs, weights, router, calibration). The evaluated models stay beside the final ones, and all reported numbers
    are theirs, because final models have seen the test part. Finished stages are kept, so the same command continues
    after an interruption.
    """
    from reasonrec_core.cli import console
    from reasonrec_serve.final_models import fit_final

    with console.progress() as progress:
        found = fit_final(run, progress, verify=verify, say=console.note)
    for sentence in found.describe():
        console.out.print(console.line(sentence))
    if found.fitted:
        console.out.print(f"They answer from now on: reasonrec recommend {run} --user ID", soft_wrap=True)
