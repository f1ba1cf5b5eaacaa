"""What makes a plugin module, or a record that its hook returned, unacceptable; pluggy checks little of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import pluggy

from reasonrec_core import hookspecs
from reasonrec_core.errors import did_you_mean
from reasonrec_core.hookspecs import GROUP, GROUPS, TASKS, CommandSpec, ComponentSpec
from reasonrec_core.plugins.metadata import missing_requirements

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(f"{GROUP}_"))
"""Names of all hooks."""
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class Rejected(Exception):
    """A plugin or a record breaks a rule; the message is the reason."""


def check_names(module: ModuleType) -> None:
    """Refuse a misspelt hook: pluggy would accept it and never call it."""
    for name, value in list(vars(module).items()):
        if not inspect.isroutine(value):
            continue
        options = getattr(value, f"{GROUP}_impl", None)
        if options is None:
            if name.startswith(f"{GROUP}_") and value.__module__ == module.__name__:
                raise Rejected(f"function {name!r} is not marked with @hookimpl, so it would never be called")
            continue
        hook = options.get("specname") or name
        if hook not in HOOKS:
            raise Rejected(f"unknown hook {hook!r}. {did_you_mean(hook, HOOKS)}")
        if options.get("wrapper") or options.get("hookwrapper"):
            raise Rejected(f"hook {hook!r} is a wrapper; wrappers of other plugins' hooks are not supported")


def register(host: pluggy.PluginManager, module: ModuleType, name: str) -> None:
    """Register ``module`` after checking it, or leave ``host`` as it was."""
    check_names(module)
    other = host.get_name(module)
    if other is not None:
        raise Rejected(f"module {module.__name__!r} is already the plugin of {other.partition(':')[0]}")
    try:
        host.register(module, name)
    except pluggy.PluginValidationError as error:
        if host.has_plugin(name):
            host.unregister(name=name)
        raise Rejected(" ".join(str(error).split()).partition(" for ")[2] or str(error)) from error
    if not host.get_hookcallers(module):
        host.unregister(name=name)
        raise Rejected(f"module {module.__name__!r} implements no hook (functions marked with @hookimpl)")


def records(host: pluggy.PluginManager, module: ModuleType, hook: str, wanted: type[Any]) -> list[Any]:
    """What one plugin's ``hook`` returns, checked; an empty list if it does not implement the hook."""
    found: list[Any] = []
    for implementation in getattr(host.hook, hook).get_hookimpls():
        if implementation.plugin is not module:
            continue
        try:
            returned = implementation.function()
            if isinstance(returned, (wanted, str, bytes)) or not isinstance(returned, Iterable):
                raise Rejected(f"hook {hook!r} returned {type(returned).__name__}, not a list of {wanted.__name__}")
            items = list(returned)
        except Rejected:
            raise
        except (Exception, SystemExit) as error:
            raise Rejected(f"hook {hook!r} raised {described(error)}") from error
        for item in items:
            if not isinstance(item, wanted):
                raise Rejected(f"hook {hook!r} returned a list with {type(item).__name__}, not {wanted.__name__}")
            check_record(hook, item)
        found.extend(items)
    return found


def check_record(hook: str, record: ComponentSpec | CommandSpec) -> None:
    """Refuse a record whose fields cannot be what they should be."""
    at = f"hook {hook!r}: "
    name = record.name
    if isinstance(record, CommandSpec) and isinstance(name, str) and " " in name:
        group, _, name = name.partition(" ")
        if group not in GROUPS:
            raise Rejected(f"{at}command {record.name!r}: there is no group {group!r}. {did_you_mean(group, GROUPS)}")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Rejected(f"{at}name {record.name!r} is not lower-case letters, digits and hyphens")
    at = f"{at}{record.name}: "
    if not isinstance(record.target, str) or not TARGET.fullmatch(record.target):
        raise Rejected(f"{at}target {record.target!r} is not 'package.module:Name'")
    if not isinstance(record.summary, str) or not record.summary.strip() or "\n" in record.summary:
        raise Rejected(f"{at}summary is not one line of text")
    if isinstance(record, ComponentSpec):
        unknown = (
            [repr(t) for t in record.tasks if t not in TASKS] if isinstance(record.tasks, tuple) else ["not a tuple"]
        )
        if unknown:
            raise Rejected(f"{at}tasks: {', '.join(unknown)}; known: {', '.join(TASKS)}")


def described(error: BaseException, distribution: str = "") -> str:
    """An exception on one line; a missing package comes with what ``distribution`` requires and does not find."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = " ".join(missing_requirements(distribution)) if distribution else ""
        return f"missing dependency: no module named {error.name!r}" + (f" (pip install {missing})" if missing else "")
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
