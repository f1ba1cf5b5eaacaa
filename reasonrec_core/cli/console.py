"""Where verbs print: results to `out`, everything else to `err`, progress bars only on a terminal.

Colour appears only on a terminal and never with ``NO_COLOR``. Text is printed as it is: square brackets from data
are not markup, and control characters are removed by `plain`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, ConsoleDimensions
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from reasonrec_core.cli.options import line as line
from reasonrec_core.cli.options import plain as plain
from reasonrec_core.cli.options import print_json as print_json
from reasonrec_core.cli.options import terminal

PIPE_WIDTH = 160
"""Columns of a table that goes into a pipe or a file, where no terminal says how wide it is."""

ProgressFunction = Callable[[int, int, str], None]


class _Stream(Console):
    """A console that is wide where nobody measures it."""

    @property
    def size(self) -> ConsoleDimensions:
        if not self.is_terminal:
            columns = os.environ.get("COLUMNS", "")
            return ConsoleDimensions(int(columns) if columns.isdigit() and int(columns) else PIPE_WIDTH, 25)
        return super().size

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


out = _Stream(highlight=False, markup=False, emoji=False)
"""Results: stdout."""
err = _Stream(stderr=True, highlight=False, markup=False, emoji=False)
"""Notes, warnings, progress: stderr."""


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


def print_facts(facts: Iterable[tuple[str, str]], title: str = "") -> None:
    """Print names and values in two columns; control characters are removed."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    for name, value in facts:
        grid.add_row(plain(name), plain(value))
    if title:
        out.print(plain(title), style="bold")
    out.print(grid)


def note(message: str) -> None:
    """Tell the user something on stderr, unless they want quiet."""
    if not terminal.quiet:
        err.print(message, soft_wrap=True)


@contextmanager
def progress(quiet: bool | None = None) -> Iterator[ProgressFunction]:
    """Give a function ``(done, total, label)`` that draws one bar per label, with the time that is left.

    Args:
        quiet: draw nothing; by default what ``-q`` said.

    On anything but a terminal nothing is written. Bars vanish when the block ends.
    """
    if (terminal.quiet if quiet is None else quiet) or not err.is_terminal:
        yield lambda done, total, label: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        yield _Bars(bars)


class _Bars:
    """One bar per label, redrawn at most twenty times a second, so that it may be called for every row."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._drawn = 0.0

    def __call__(self, done: int, total: int, label: str) -> None:
        now = time.monotonic()
        known = label in self._tasks
        if known and done < total and now - self._drawn < 0.05:
            return
        self._drawn = now
        if not known:
            self._tasks[label] = self._bars.add_task(plain(label).replace("[", r"\["), total=total)
        self._bars.update(self._tasks[label], completed=done, total=total)
