"""The light records that a plugin's hooks return.

Nothing here imports numpy or pydantic. Named tuples rather than dataclasses: making a dataclass takes eight times
as long, and these are made on the way to every ``reasonrec --help``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

TASKS = ("sequential", "direct", "ctr", "explain")
"""The values of `reasonrec_core.types.Task`, which this module must not import: it would bring numpy along."""


class Kind(StrEnum):
    """The kinds of component."""

    ENCODER = "encoder"
    POLICY = "policy"
    UNCERTAINTY = "uncertainty"
    DELEGATE = "delegate"


class ComponentSpec(NamedTuple):
    """A component that a plugin offers.

    Attributes:
        name: what users write in a pipeline file; lower case, digits and hyphens.
        target: ``package.module:Class``, imported when the component is used.
        summary: one line for the table of plugins.
        tasks: the tasks it can do, e.g. ``("sequential", "direct")``; empty where tasks do not apply.
    """

    name: str
    target: str
    summary: str
    tasks: tuple[str, ...] = ()


class CommandSpec(NamedTuple):
    """A subcommand that a plugin adds to ``reasonrec``.

    Attributes:
        name: of the subcommand.
        target: ``package.module:command``, a `click.Command` that is imported when it is called.
        summary: one line for ``reasonrec --help``.
    """

    name: str
    target: str
    summary: str
