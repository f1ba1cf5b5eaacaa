"""The hooks of ReasonRec. ``reasonrec plugins new KIND NAME`` makes a complete plugin for any of them.

A plugin is a module named by an entry point of group ``reasonrec``. Its hooks return light records; the classes
behind them are imported when they are used, so listing plugins never imports a heavy library. Nothing here imports
numpy or pydantic, and records are named tuples: making a dataclass takes eight times as long, and these are made on
the way to every ``reasonrec --help``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import pluggy

GROUP = "reasonrec"
"""The entry-point group."""
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

TASKS = ("sequential", "direct", "ctr", "explain")
"""The values of `reasonrec_core.types.Task`, which this module must not import: it would bring numpy along."""


class Kind(StrEnum):
    """The kinds of component."""

    ENCODER = "encoder"
    POLICY = "policy"
    UNCERTAINTY = "uncertainty"
    DELEGATE = "delegate"
    ROUTER = "router"
    DATA_SOURCE = "data-source"
    SPLITTER = "splitter"
    METRIC = "metric"
    REPORTER = "reporter"


class ComponentSpec(NamedTuple):
    """A component that a plugin offers.

    Attributes:
        name: what users write in a pipeline file; lower case, digits and hyphens.
        target: ``package.module:Class``, imported when the component is used; of a metric ``package.module:RECORD``,
            a `reasonrec_core.components.MetricInfo`.
        summary: one line for the table of plugins.
        tasks: the tasks it can do, e.g. ``("sequential", "direct")``; empty where tasks do not apply.
    """

    name: str
    target: str
    summary: str
    tasks: tuple[str, ...] = ()


GROUPS = ("data", "plugins", "trace")
"""The groups of verbs that a plugin can add to."""


class CommandSpec(NamedTuple):
    """A subcommand that a plugin adds to ``reasonrec``.

    Attributes:
        name: of the subcommand; ``data NAME`` for one in a group (see `GROUPS`).
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
    Kind.ROUTER: "reasonrec_routers",
    Kind.DATA_SOURCE: "reasonrec_data_sources",
    Kind.SPLITTER: "reasonrec_splitters",
    Kind.METRIC: "reasonrec_metrics",
    Kind.REPORTER: "reasonrec_reporters",
}
"""Which hook offers which kind."""


@hookspec
def reasonrec_encoders() -> Iterable[ComponentSpec]:
    """Offer encoders: item text or images to vectors (`reasonrec_core.components.Encoder`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_policies() -> Iterable[ComponentSpec]:
    """Offer reasoning policies, which answer by explicit steps (`reasonrec_core.components.ReasoningPolicy`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_uncertainty() -> Iterable[ComponentSpec]:
    """Offer estimators of how unsure the policy is (`reasonrec_core.components.UncertaintyEstimator`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_delegates() -> Iterable[ComponentSpec]:
    """Offer delegates: cheap models that may answer instead (`reasonrec_core.components.Delegate`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_routers() -> Iterable[ComponentSpec]:
    """Offer routers: who answers a request (`reasonrec_core.routing.Router`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_data_sources() -> Iterable[ComponentSpec]:
    """Offer data sources: what is at a path, stored as a dataset (`reasonrec_core.components.DataSource`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_splitters() -> Iterable[ComponentSpec]:
    """Offer splitters: which interactions train, tune and test (`reasonrec_core.components.Splitter`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_metrics() -> Iterable[ComponentSpec]:
    """Offer metrics; a target is a record (`reasonrec_core.components.MetricInfo`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_reporters() -> Iterable[ComponentSpec]:
    """Offer reporters: what is written about a finished run (`reasonrec_core.components.Reporter`)."""
    raise AssertionError("a specification is never called")


@hookspec
def reasonrec_commands() -> Iterable[CommandSpec]:
    """Offer verbs of ``reasonrec``, or of one of its groups (see `GROUPS`): click commands."""
    raise AssertionError("a specification is never called")
