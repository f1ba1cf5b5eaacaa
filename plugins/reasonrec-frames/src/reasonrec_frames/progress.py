"""Progress where there is no terminal: one bar in the output of a notebook's cell."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import Any

from reasonrec_core.cli import console

ProgressFunction = Callable[[int, int, str], None]
PAUSE = 0.2
"""Seconds between two drawings."""


def in_notebook() -> bool:
    """Whether a kernel shows what is printed; IPython is not imported for that."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def show_progress(wanted: bool) -> AbstractContextManager[ProgressFunction]:
    """Bars in a notebook or on a terminal, nothing elsewhere."""
    return _notebook_bar() if wanted and in_notebook() else console.progress(quiet=not wanted)


def say(message: str) -> None:
    """A note from a run: printed in a notebook, on stderr elsewhere."""
    if in_notebook():
        print(message)  # a notebook would show stderr as if something had gone wrong
    else:
        console.note(message)


@contextmanager
def _notebook_bar() -> Iterator[ProgressFunction]:
    """One bar, redrawn in its place and gone when the block ends."""
    import IPython.display as notebook

    page: Any = notebook  # untyped
    shown = page.display(page.HTML(""), display_id=True)
    last = 0.0

    def draw(done: int, total: int, label: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PAUSE:
            last = now
            bar = f'<progress value="{int(done)}" max="{max(int(total), 1)}"></progress>'
            shown.update(page.HTML(f"{bar} {escape(label)} {int(done):,} of {int(total):,}"))

    try:
        with warnings.catch_warnings():
            # tqdm asks for widgets, which nobody needs: this bar is the one that is shown.
            warnings.filterwarnings("ignore", "IProgress not found")
            yield draw
    finally:
        shown.update(page.HTML(""))
