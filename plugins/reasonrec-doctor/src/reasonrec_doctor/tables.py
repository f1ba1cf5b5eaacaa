"""Tables of the package's verbs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.table import Table
from rich.text import Text

from reasonrec_core.cli.console import out, plain


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str | Text]], *, whole: Collection[str] = ()) -> None:
    """Print rows below bold titles.

    Args:
        titles: of the columns.
        rows: a cell a column; control characters are removed.
        whole: titles of the columns that are never wrapped.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in whole)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else plain(cell) for cell in row))
    out.print(table)
