"""A command: what it needs is imported inside it, when it is called."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: reasonrec template data/ml-100k -k 5")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("-k", default=10, show_default=True, help="How many items.")
def template(dataset: Path, k: int) -> None:
    """Print the most popular items of DATASET (saved, or raw data that can be imported): how often, id, title."""
    import numpy as np

    from reasonrec_core.data import open_or_import

    opened = open_or_import(dataset)
    counts = np.bincount(opened.interactions.items, minlength=opened.n_items)
    for item in np.argsort(-counts, kind="stable")[:k]:
        click.echo(f"{counts[item]}\t{opened.catalog.ids[item]}\t{opened.catalog.titles[item]}")
