"""How verbs about data print names and values, for the verbs of other packages too."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from reasonrec_core.cli.console import out, plain


def print_facts(facts: Iterable[tuple[str, str]], title: str = "") -> None:
    """Print names and values in two columns; control characters are removed."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    for name, value in facts:
        grid.add_row(plain(name), plain(value))
    if title:
        out.print(plain(title), style="bold")
    out.print(grid)
