"""What every verb understands: ``-q``, ``-v`` and ``--debug``; and text made harmless for a terminal."""

from __future__ import annotations

import json
import os
import re
from functools import partial
from typing import Any

import click


class Terminal:
    """How much the user wants to see.

    Attributes:
        verbosity: -1 quiet (results and errors only), 0 normal, 1 more, 2 everything.
        debug: whether an error shows its traceback.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what an earlier command line of this process asked for."""
        self.verbosity = 0
        self.debug = os.environ.get("REASONREC_DEBUG", "") not in {"", "0"}

    @property
    def quiet(self) -> bool:
        """Whether progress, notes and warnings are unwanted."""
        return self.verbosity < 0


terminal = Terminal()


def set_up_logging() -> None:
    """Send this project's log records to stderr, at the level that the user wants."""
    from reasonrec_core.cli import logs

    logs.set_up_logging(terminal.verbosity)


def _set_verbosity(context: click.Context, parameter: click.Parameter, value: int) -> None:
    if value:
        terminal.verbosity = -1 if parameter.name == "quiet" else min(2, value)
        set_up_logging()


def _debugging(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        terminal.debug = True


def common_options() -> list[click.Option]:
    """The options that every command gets; their values go to `terminal`, not to the command."""
    silent = partial(click.Option, expose_value=False)
    return [
        silent(["-q", "--quiet"], is_flag=True, callback=_set_verbosity, help="Show only results and errors."),
        silent(["-v", "--verbose"], count=True, callback=_set_verbosity, help="Show more; -vv shows everything."),
        silent(["--debug"], is_flag=True, callback=_debugging, help="Show the traceback of an error."),
    ]


def with_common_options(command: click.Command) -> click.Command:
    """Add the common options that ``command`` does not define itself."""
    taken = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    command.params.extend(option for option in common_options() if not taken & set(option.opts))
    return command


TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that turn the direction of what follows, so that it reads as something else."""


def plain(text: str) -> str:
    """``text`` without control characters: a title may hold an escape sequence that would steer the terminal."""
    if text.isprintable():
        return text
    import unicodedata

    def harmless(c: str) -> bool:
        return c in "\t\n" or (unicodedata.category(c) not in {"Cc", "Cs"} and c not in TURNING)

    return "".join(c if harmless(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def line(text: str) -> str:
    """`plain` text on one line, so that data cannot write lines of its own."""
    return plain(re.sub(r"[^\S\u00a0\u202f]+", " ", text).strip())  # no-break spaces stay


def print_json(value: Any, indent: int | None = 2) -> None:
    """Print ``value`` as JSON: letters as they are, what steers a terminal or cannot be seen escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    click.echo(text)
