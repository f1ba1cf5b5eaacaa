"""A file of settings as a tree of plain values, and ``--set a.b=c`` applied to it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reasonrec_core.config_errors import place_error
from reasonrec_core.errors import ConfigError

DEEPEST = 32
"""Tables and lists inside each other."""
MOST = 100_000
"""Values in one file, aliases of YAML counted each time."""


def read_settings(path: Path) -> tuple[dict[str, Any], str]:
    """The table that a TOML, YAML or JSON file holds, and the text of the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no such pipeline file", where=str(path), fix="The README has an example to copy."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the pipeline file cannot be read ({error})", where=str(path)) from error
    with _refuse_values(str(path)):
        tree = _parse(path, text)
    if not isinstance(tree, dict):
        raise ConfigError("a pipeline file must be a table of settings", where=str(path), fix="See examples/.")
    _check_values(tree, str(path), text)
    return tree, text


def _parse(path: Path, text: str) -> Any:
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return json.loads(text) if path.suffix == ".json" else _parse_yaml(path, text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"not valid JSON: {error.msg}", where=f"{path}:{error.lineno}:{error.colno}") from error


def _parse_yaml(path: Path, text: str) -> Any:
    import yaml  # runs keep their settings as TOML, so that answering requests never needs it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"not valid YAML: {getattr(error, 'problem', error)}", where=place) from error


@contextmanager
def _refuse_values(where: str) -> Iterator[None]:
    """What the parsers themselves cannot take: lists in lists without end, numbers of thousands of digits, 31 June."""
    try:
        yield
    except RecursionError as error:
        raise _too_deep(where) from error
    except ValueError as error:
        fix = "Use dates that exist and whole numbers of at most 64 bits."
        raise ConfigError(f"a value cannot be read ({str(error).partition(';')[0]})", where=where, fix=fix) from error


def _too_deep(where: str) -> ConfigError:
    return ConfigError("tables or lists are nested too deeply", where=where, fix=f"Nest at most {DEEPEST} deep.")


def _check_values(tree: dict[str, Any], where: str, text: str = "") -> None:
    """Refuse what cannot be kept in a run's settings: too much, too deep, too large, or no text."""
    rest: list[tuple[Any, tuple[str, ...]]] = [(tree, ())]
    for _ in range(MOST):
        if not rest:
            return
        value, at = rest.pop()
        if len(at) > DEEPEST:
            raise _too_deep(f"{where}: {'.'.join(at[:3])}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            problem = ConfigError("the number is too large", where=".".join(at), fix="Use at most 64 bits.")
            raise place_error(problem, at, where, text)
        if isinstance(value, str) and not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value):
            problem = ConfigError("the text is not valid Unicode", where=".".join(at), fix="Write it in UTF-8.")
            raise place_error(problem, at, where, text)
        if isinstance(value, dict):
            rest += [(key, at) for key in value]
            rest += [(each, (*at, str(key))) for key, each in value.items()]
        elif isinstance(value, list | tuple | set):
            rest += [(each, (*at, str(number))) for number, each in enumerate(value)]
    raise ConfigError("there are too many values", where=where, fix=f"Use at most {MOST:,}.")


def override_setting(tree: dict[str, Any], override: str) -> None:
    """Set ``a.b=value`` in ``tree``, in place; entries of a list are named by position, label or name."""
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"cannot read {override!r}", where="--set", fix="Write --set a.b=value.")
    with _refuse_values("--set"):
        parsed = _parse_value(value)
    *path, last = key.strip().split(".")
    node: Any = tree
    for part in path:
        node = _child(node, part, key)
    if isinstance(node, list):
        if not last.isdigit() or int(last) >= len(node):
            raise ConfigError(f"{key!r} is not an entry of the list", where="--set")
        node[int(last)] = parsed
    elif isinstance(node, dict):
        node[last] = parsed
    else:
        raise ConfigError(f"{key!r} is a value, not a table", where="--set")
    _check_values(tree, "--set")


def _parse_value(value: str) -> Any:
    try:
        return tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return value


def _child(node: Any, part: str, key: str) -> Any:
    if isinstance(node, dict):
        return node.setdefault(part, {})
    if isinstance(node, list):
        if part.isdigit() and int(part) < len(node):
            return node[int(part)]
        for position, entry in enumerate(node):
            if entry == part:
                node[position] = {"name": entry}
                return node[position]
            if isinstance(entry, dict) and part in (entry.get("label"), entry.get("name")):
                return entry
    raise ConfigError(f"{key!r}: there is no {part!r}", where="--set")
