"""``reasonrec similar``: items like an item, from a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reasonrec_core.cli.options import print_json
from reasonrec_serve.options import limit_options, read_limits

EPILOG = """\b
Examples:
  reasonrec similar runs/movielens 50
  reasonrec similar runs/shop P10172 --by content --where 'price<=20'
"""


@click.command("similar", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("item", metavar="ITEM")
@click.option("--k", default=10, show_default=True, help="How many items to show.")
@click.option(
    "--by",
    metavar="WAY",
    help="How to compare: content (text, pictures, labels), together (chosen by the same users), or a "
    "policy or delegate of the run. [default: the best available for this item]",
)
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def similar_command(run: Path, item: str, k: int, by: str | None, as_json: bool, **given: Any) -> None:
    """Show items that are similar to an ITEM, and what they share."""
    from rich.table import Table

    from reasonrec_core.cli.console import note, out, plain
    from reasonrec_serve.recommender import Recommender

    found = Recommender.open(run, trace=False).similar(item, k=k, by=by, **read_limits(given))
    if as_json:
        print_json(found.to_dict())
        return
    for said in found.notes:
        (note if found.items else out.print)(plain(said))
    if not found.items:
        return
    out.print(f"Similar to {plain(found.title)}, judged by {found.method}:", soft_wrap=True)
    table = Table("#", "id", "title", "score", "shared", box=None, pad_edge=False)
    for place, each in enumerate(found.items, 1):
        table.add_row(
            str(place), plain(each.id), plain(each.title), f"{each.score:.4g}", plain("; ".join(each.reasons))
        )
    out.print(table)
