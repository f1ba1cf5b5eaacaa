"""Where verbs print: results to `out`, everything else to `err`, progress bars only on a terminal.

Colour appears only on a terminal and never with ``NO_COLOR``. Text is printed as it is: square brackets from data
are not markup, and control characters are removed by `plain`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, ConsoleDimensions
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from reasonrec_core.cli.options import line as line
from reasonrec_core.cli.options import plain as plain
from reasonrec_core.cli.options import print_json as print_json
from reasonrec_core.cli.options import terminal

PIPE_WIDTH = 160
"""Columns of a table that goes into a pipe or a file, where no terminal says how wide it is."""
EVERY = 60.0
"""Seconds between a step's lines where there is no terminal; a step of many hours writes fewer."""


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


def note(message: str) -> None:
    """Tell the user something on stderr, unless they want quiet."""
    if not terminal.quiet:
        err.print(message, soft_wrap=True)


@contextmanager
def progress(quiet: bool | None = None, plan: Sequence[str] = ()) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function ``(done, total, label)`` that shows how far a verb is: ``[3/9] fit chain 0:12 / 2:10``.

    Args:
        quiet: show nothing; by default what ``-q`` said.
        plan: labels of the verb's steps, in order. What a step reports under other labels moves its own bar.

    Bars vanish when the block ends. Without a terminal, each step of a plan writes a line a minute and one at its end.
    """
    if (terminal.quiet if quiet is None else quiet) or not (err.is_terminal or plan):
        yield lambda done, total, label: None
    elif not err.is_terminal:
        yield _Bars(None, plan)
    else:
        with Progress(TextColumn("{task.description}"), BarColumn(), console=err, transient=True) as bars:
            yield _Bars(bars, plan)


class _Bars:
    """One bar per step, redrawn at most twenty times a second, so that it may be called for every row."""

    def __init__(self, bars: Progress | None, plan: Sequence[str] = ()) -> None:
        self._bars, self._plan = bars, [*plan]
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._step, self._drawn, self._due = "", 0.0, time.monotonic() + EVERY

    def __call__(self, done: int, total: int, label: str) -> None:
        now, planned, ended = time.monotonic(), label in self._plan, done >= total
        if label in self._began and not ended and now - self._drawn < 0.05:
            return
        step = label if planned or not self._step else self._step
        self._step = "" if planned and ended else step if step in self._plan else ""
        self._drawn, began = now, self._began.setdefault(step, now)
        spent = now - self._began.setdefault(label, now)
        number = f"[{self._plan.index(step) + 1}/{len(self._plan)}] " if step in self._plan else ""
        text = f"{number}{plain(step)} {_clock(now - began)}"
        if 0 < done < total and spent > 1:
            text += f" / {_clock(now - began + spent * (total / done - 1))}"
        if self._bars is not None:
            text = text.replace("[", r"\[")
            if step not in self._tasks:
                self._tasks[step] = self._bars.add_task(text, total=total)
            self._bars.update(self._tasks[step], completed=done, total=total, description=text)
        elif (planned and ended) or (step in self._plan and now >= self._due):
            err.print(text, soft_wrap=True)
            self._due = now + max(EVERY, (now - began) / 10)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
