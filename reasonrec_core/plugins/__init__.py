"""From entry points to checked registrations. A broken plugin is recorded and warned of; the others work.

Plugins are loaded one by one, in the order of their distributions' names, and every record keeps its owner.
The core's own components come through the same entry-point group. Environment variables:

- ``REASONREC_LOAD_PLUGINS``: comma-separated distributions; no others (but the core) are loaded.
- ``REASONREC_DISABLE_PLUGINS``: comma-separated distributions that are not loaded.
- ``REASONREC_STRICT_PLUGINS=1``: a broken plugin is an error.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from typing import NamedTuple, TypeVar

import pluggy

from reasonrec_core import hookspecs
from reasonrec_core.errors import PluginError, did_you_mean
from reasonrec_core.hookspecs import GROUP, HOOK_OF_KIND, CommandSpec, ComponentSpec, Kind
from reasonrec_core.plugins.checks import Rejected, described, records, register
from reasonrec_core.plugins.metadata import Distribution, distributions, normalised

CORE = "reasonrec-core"
"""The distribution whose components come with the core."""


class Registered(NamedTuple):
    """A component that a distribution offers."""

    kind: Kind
    spec: ComponentSpec
    distribution: str
    version: str


class RegisteredCommand(NamedTuple):
    """A subcommand that a distribution offers."""

    spec: CommandSpec
    distribution: str
    version: str


class Problem(NamedTuple):
    """Something that was left out.

    Attributes:
        distribution: whose fault it is.
        version: of that distribution.
        reason: in one line.
        kind: of the component, "command", or None where the whole plugin is concerned.
        name: of the component or command, or of the entry point.
        status: "failed", "conflict", "doubled" (works, but is installed twice) or "disabled" (by the user: no fault).
    """

    distribution: str
    version: str
    reason: str
    kind: str | None
    name: str
    status: str = "failed"

    def __str__(self) -> str:
        if self.status == "doubled":
            return f"{self.distribution} {self.version} {self.reason}"
        what = f"{self.kind} {self.name!r}" if self.kind else f"plugin {self.name!r}"
        return f"{what} of {self.distribution} {self.version} is left out: {self.reason}"


class Installed(NamedTuple):
    """All that the installed distributions offer, and what was left out."""

    components: tuple[Registered, ...]
    commands: tuple[RegisteredCommand, ...]
    problems: tuple[Problem, ...]

    @property
    def faults(self) -> tuple[Problem, ...]:
        """The problems that the user did not ask for."""
        return tuple(problem for problem in self.problems if problem.status != "disabled")


def discover() -> Installed:
    """Look at every installed distribution afresh. Nothing is printed.

    Raises:
        PluginError: a plugin is broken and ``REASONREC_STRICT_PLUGINS`` is set.
    """
    host = pluggy.PluginManager(GROUP)
    host.add_hookspecs(hookspecs)
    components: list[Registered] = []
    commands: list[RegisteredCommand] = []
    found = distributions()
    problems = _unknown_names(found)
    for distribution in found:
        why = _disabled(distribution)
        if distribution.doubles and not why:
            problems.append(_doubled(distribution))
        for entry, target in distribution.entries:
            if why:
                problems.append(Problem(distribution.name, distribution.version, why, None, entry, "disabled"))
                continue
            try:
                offered, verbs = _load(host, distribution, entry, target)
            except Rejected as error:
                problems.append(Problem(distribution.name, distribution.version, str(error), None, entry))
            else:
                components += offered
                commands += verbs
    kept, doubled = _without_doubles(components)
    verbs_kept, verbs_doubled = _without_doubles(commands)
    result = Installed(tuple(kept), tuple(verbs_kept), (*problems, *doubled, *verbs_doubled))
    _strict(result)
    return result


@lru_cache(maxsize=1)
def discovered() -> Installed:
    """What `discover` finds, looked for once per process."""
    return discover()


@lru_cache(maxsize=1)
def installed() -> Installed:
    """What `discover` finds, once per process; each problem is one warning line."""
    if discovered().faults:
        import logging

        for problem in discovered().faults:
            logging.getLogger(GROUP).warning("%s", problem)
    return discovered()


def _load(
    host: pluggy.PluginManager, distribution: Distribution, entry: str, target: str
) -> tuple[list[Registered], list[RegisteredCommand]]:
    """Import one plugin module, check it, and ask its hooks."""
    if ":" in target:
        raise Rejected(f"entry point {entry!r} names {target!r}; it must name a module")
    try:
        module = import_module(target)
    except (Exception, SystemExit) as error:
        raise Rejected(f"cannot be imported: {described(error)}") from error
    register(host, module, f"{distribution.key}:{entry}")
    owner = distribution.name, distribution.version
    offered = [
        Registered(kind, spec, *owner)
        for kind, hook in HOOK_OF_KIND.items()
        for spec in records(host, module, hook, ComponentSpec)
    ]
    verbs = [RegisteredCommand(spec, *owner) for spec in records(host, module, "reasonrec_commands", CommandSpec)]
    return offered, verbs


R = TypeVar("R", Registered, RegisteredCommand)


def _without_doubles(offers: Iterable[R]) -> tuple[list[R], list[Problem]]:
    """Keep what has its name to itself; of a name that the core has, keep the core's."""
    rivals: dict[tuple[str, str], list[R]] = defaultdict(list)
    for offer in offers:
        rivals[_kind(offer), offer.spec.name].append(offer)
    kept: list[R] = []
    problems: list[Problem] = []
    for (kind, name), group in rivals.items():
        core = [offer for offer in group if normalised(offer.distribution) == CORE]
        winners = core[:1] or (group if len(group) == 1 else [])
        kept += winners
        for offer in group:
            if offer not in winners:
                others = sorted({o.distribution for o in group if o is not offer}) or [offer.distribution]
                reason = f"{' and '.join(others)} offers the same name"
                problems.append(Problem(offer.distribution, offer.version, reason, kind, name, "conflict"))
    return kept, problems


def _kind(offer: Registered | RegisteredCommand) -> str:
    return str(offer.kind) if isinstance(offer, Registered) else "command"


def _doubled(distribution: Distribution) -> Problem:
    versions = " and ".join((distribution.version, *distribution.doubles))
    reason = f"is installed twice in one folder, as {versions}: pip install --force-reinstall {distribution.name}"
    return Problem(distribution.name, distribution.version, reason, None, distribution.name, "doubled")


def _disabled(distribution: Distribution) -> str:
    """Why the user does not want it, or ""."""
    if distribution.key == CORE:
        return ""
    allowed = _names("REASONREC_LOAD_PLUGINS")
    if allowed is not None and distribution.key not in allowed:
        return "not in REASONREC_LOAD_PLUGINS"
    return "in REASONREC_DISABLE_PLUGINS" if distribution.key in (_names("REASONREC_DISABLE_PLUGINS") or ()) else ""


def _names(variable: str) -> list[str] | None:
    value = os.environ.get(variable)
    return None if value is None else [normalised(n.strip()) for n in value.split(",") if n.strip()]


def _unknown_names(found: list[Distribution]) -> list[Problem]:
    """A name in the allow list that no distribution has: probably misspelt."""
    keys = [distribution.key for distribution in found]
    return [
        Problem(
            name,
            "",
            f"REASONREC_LOAD_PLUGINS names it, but it is not installed. {did_you_mean(name, keys)}",
            None,
            name,
        )
        for name in _names("REASONREC_LOAD_PLUGINS") or ()
        if name not in keys
    ]


def _strict(found: Installed) -> None:
    if found.faults and os.environ.get("REASONREC_STRICT_PLUGINS", "") not in {"", "0"}:
        raise PluginError(
            "; ".join(map(str, found.faults)), fix="Mend or uninstall it, or unset REASONREC_STRICT_PLUGINS."
        )
