"""From entry points to checked registrations. A broken plugin is recorded and warned of; the others work.

Plugins are loaded one by one, in the order of their distributions' names, and every record keeps its owner.
The core's own components come through the same entry-point group. Where two distributions offer one name,
``distribution:name`` chooses; a name of the core's stays the core's. Environment variables:

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
from typing import Generic, NamedTuple, TypeVar

import pluggy

from reasonrec_core import __version__, hookspecs
from reasonrec_core.errors import PluginError, did_you_mean
from reasonrec_core.hookspecs import GROUP, HOOK_OF_KIND, CommandSpec, ComponentSpec
from reasonrec_core.plugins.checks import Rejected, described, records, register
from reasonrec_core.plugins.metadata import Distribution, conflict, distributions, normalised

CORE = "reasonrec-core"
"""The distribution whose components come with the core."""
META = "reasonrec"
"""The distribution that installs the core with what a first run needs; it has the core's version."""
OFFICIAL = os.path.join(os.path.dirname(os.path.dirname(__file__)), "official.json")
"""Which of the project's own distributions offers what, by ``kind name``; made by ``docs/generate.py``."""


S = TypeVar("S", ComponentSpec, CommandSpec)


class Offer(NamedTuple, Generic[S]):
    """A component, or (of the kind "command") a subcommand, of a distribution."""

    kind: str
    spec: S
    distribution: str
    version: str

    @property
    def qualified(self) -> str:
        """``distribution:name``, behind the group of a command in one; no other offer of its kind has it."""
        group, space, name = self.spec.name.rpartition(" ")
        return f"{group}{space}{normalised(self.distribution)}:{name}"


Registered = Offer[ComponentSpec]
RegisteredCommand = Offer[CommandSpec]


class Problem(NamedTuple):
    """Something that was left out.

    Attributes:
        distribution: whose fault it is.
        version: of that distribution.
        reason: in one line.
        kind: of the component, "command", or None where the whole plugin is concerned.
        name: of the component or command, or of the entry point.
        status: "failed", "conflict" (has a name of the core's, or one name twice), "doubled" (works, but is installed
            twice), "qualified" (shares its name with another distribution's: no fault, it works under its qualified
            name) or "disabled" (by the user: no fault).
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
        if self.status == "qualified":
            return f"{what} of {self.distribution} {self.version}: {self.reason}"
        return f"{what} of {self.distribution} {self.version} is ignored: {self.reason}"


class Installed(NamedTuple):
    """All that the installed distributions offer, and what was left out.

    Attributes:
        components: those that have their name to themselves.
        commands: likewise.
        problems: what was left out or is not as it should be, and why.
        rivals: components that only their qualified names tell from those of another distribution.
        rival_commands: likewise.
    """

    components: tuple[Registered, ...]
    commands: tuple[RegisteredCommand, ...]
    problems: tuple[Problem, ...]
    rivals: tuple[Registered, ...] = ()
    rival_commands: tuple[RegisteredCommand, ...] = ()

    @property
    def faults(self) -> tuple[Problem, ...]:
        """The problems that the user did not ask for."""
        return tuple(problem for problem in self.problems if problem.status not in {"disabled", "qualified"})


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
        owner = distribution.name, distribution.version
        why = _disabled(distribution)
        if distribution.doubles and not why:
            problems.append(_doubled(distribution))
        for entry, target in distribution.entries:
            if why:
                problems.append(Problem(*owner, why, None, entry, "disabled"))
                continue
            try:
                offered, verbs = _load(host, distribution, entry, target)
            except Rejected as error:
                problems.append(Problem(*owner, str(error), None, entry))
            else:
                components += offered
                commands += verbs
    kept, rivals, doubled = _without_doubles(components)
    verbs_kept, rival_verbs, verbs_doubled = _without_doubles(commands)
    faults = (*problems, *doubled, *verbs_doubled)
    result = Installed(tuple(kept), tuple(verbs_kept), faults, tuple(rivals), tuple(rival_verbs))
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


def official(named: str) -> str:
    """The project's own distribution that offers ``named``, such as "delegate implicit-als"; "" if none does."""
    import json

    with open(OFFICIAL, encoding="utf-8") as stream:
        owners: dict[str, list[str]] = json.load(stream)
    return next((owner for owner, offers in owners.items() if named in offers), "")


def _load(
    host: pluggy.PluginManager, distribution: Distribution, entry: str, target: str
) -> tuple[list[Registered], list[RegisteredCommand]]:
    """Import one plugin module, check it, and ask its hooks."""
    unmet = conflict(distribution.requires, (CORE, META), __version__)
    if unmet:
        upgrade = f"pip install --upgrade {distribution.name} {CORE}"
        raise Rejected(f"it needs {unmet}, but {CORE} {__version__} is installed: {upgrade}")
    if ":" in target:
        raise Rejected(f"entry point {entry!r} names {target!r}; it must name a module")
    try:
        module = import_module(target)
    except (Exception, SystemExit) as error:
        raise Rejected(f"cannot be imported: {described(error, distribution.name)}") from error
    register(host, module, f"{distribution.key}:{entry}")
    owner = distribution.name, distribution.version
    offered = [
        Registered(kind, spec, *owner)
        for kind, hook in HOOK_OF_KIND.items()
        for spec in records(host, module, hook, ComponentSpec)
    ]
    specs: list[CommandSpec] = records(host, module, "reasonrec_commands", CommandSpec)
    verbs = [RegisteredCommand("command", spec, *owner) for spec in specs]
    return offered, verbs


def _without_doubles(offers: Iterable[Offer[S]]) -> tuple[list[Offer[S]], list[Offer[S]], list[Problem]]:
    """Those that have their name to themselves, those that only a qualified name tells apart, and what to say."""
    rivals: dict[tuple[str, str], list[Offer[S]]] = defaultdict(list)
    for offer in offers:
        rivals[offer.kind, offer.spec.name].append(offer)
    kept: list[Offer[S]] = []
    qualified: list[Offer[S]] = []
    problems: list[Problem] = []
    for (kind, name), group in rivals.items():
        core = [offer for offer in group if normalised(offer.distribution) == CORE]
        winners = core[:1] or (group if len(group) == 1 else [])
        kept += winners
        owners = [offer.distribution for offer in group]
        for offer in group:
            if offer in winners and len(group) == 1:
                continue
            others = sorted({owner for owner in owners if owner != offer.distribution}) or [offer.distribution]
            reason, status = f"{' and '.join(others)} offers the same name", "conflict"
            if owners.count(offer.distribution) == 1:
                qualified.append(offer)
                reason = f"{reason}; choose it as {offer.qualified!r}"
                status = "conflict" if core else "qualified"
            if offer not in winners:
                problems.append(Problem(offer.distribution, offer.version, reason, kind, name, status))
    return kept, qualified, problems


def _doubled(distribution: Distribution) -> Problem:
    versions = " and ".join((distribution.version, *distribution.doubles))
    reason = f"is installed twice in the same folder, as {versions}: pip install --force-reinstall {distribution.name}"
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
    said = "REASONREC_LOAD_PLUGINS names it, but it is not installed."
    unknown = [name for name in _names("REASONREC_LOAD_PLUGINS") or () if name not in keys]
    return [Problem(name, "", f"{said} {did_you_mean(name, keys)}", None, name) for name in unknown]


def _strict(found: Installed) -> None:
    if found.faults and os.environ.get("REASONREC_STRICT_PLUGINS", "") not in {"", "0"}:
        fix = "Repair or uninstall it, or unset REASONREC_STRICT_PLUGINS."
        raise PluginError("; ".join(map(str, found.faults)), fix=fix)
