"""The hooks of ReasonRec. Each docstring holds a complete plugin, which the tests run.

A plugin is a module named by an entry point of group ``reasonrec``. Its hooks return light records; the classes
behind them are imported when they are used, so listing plugins never imports a heavy library.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import pluggy

GROUP = "reasonrec"
"""The entry-point group."""
TASKS = ("sequential", "direct", "ctr", "explain")
"""The values of `reasonrec_core.types.Task`, which this module must not import: it would bring numpy along."""
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Kind(StrEnum):
    """The kinds of component."""

    ENCODER = "encoder"
    POLICY = "policy"
    UNCERTAINTY = "uncertainty"
    DELEGATE = "delegate"


@dataclass(frozen=True, slots=True)
class ComponentSpec:
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


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A subcommand that a plugin adds to ``reasonrec``.

    Attributes:
        name: of the subcommand.
        target: ``package.module:command``, a `click.Command` that is imported when it is called.
        summary: one line for ``reasonrec --help``.
    """

    name: str
    target: str
    summary: str


HOOK_OF_KIND = {
    Kind.ENCODER: "reasonrec_encoders",
    Kind.POLICY: "reasonrec_policies",
    Kind.UNCERTAINTY: "reasonrec_uncertainty",
    Kind.DELEGATE: "reasonrec_delegates",
}
"""Which hook offers which kind."""


@hookspec
def reasonrec_encoders() -> Iterable[ComponentSpec]:
    """Offer encoders: item text or images to vectors (`reasonrec_core.components.Encoder`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_policies() -> Iterable[ComponentSpec]:
    """Offer reasoning policies (`reasonrec_core.components.ReasoningPolicy`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_uncertainty() -> Iterable[ComponentSpec]:
    """Offer uncertainty estimators (`reasonrec_core.components.UncertaintyEstimator`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_delegates() -> Iterable[ComponentSpec]:
    """Offer delegates: cheap classical models (`reasonrec_core.components.Delegate`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_commands() -> Iterable[CommandSpec]:
    """Offer subcommands of ``reasonrec``."""
    raise AssertionError("a specification is never called")
