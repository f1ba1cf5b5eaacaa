"""A file of settings as a tree of plain values, and ``--set a.b=c`` applied to it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from reasonrec_core.errors import ConfigError


def read_settings(path: Path) -> tuple[dict[str, Any], str]:
    """The table that a TOML, YAML or JSON file holds, and the text of the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError("there is no such pipeline file", where=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the pipeline file cannot be read ({error})", where=str(path)) from error
    try:
        tree = tomllib.loads(text) if path.suffix == ".toml" else _parse_yaml(path, text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from error
    if not isinstance(tree, dict):
        raise ConfigError("a pipeline file is a table of settings", where=str(path), fix="See examples/.")
    return tree, text


def _parse_yaml(path: Path, text: str) -> Any:
    import yaml  # runs keep their settings as TOML, so that answering requests never needs it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"not valid YAML: {getattr(error, 'problem', error)}", where=place) from error


def override_setting(tree: dict[str, Any], override: str) -> None:
    """Set ``a.b=value`` in ``tree``, in place; entries of a list are named by position, label or name."""
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"cannot read {override!r}", where="--set", fix="Write --set a.b=value.")
    try:
        parsed = tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *path, last = key.strip().split(".")
    node: Any = tree
    for part in path:
        node = _child(node, part, key)
    if isinstance(node, list):
        if not last.isdigit() or int(last) >= len(node):
            raise ConfigError(f"{key!r} names no entry of the list", where="--set")
        node[int(last)] = parsed
    elif isinstance(node, dict):
        node[last] = parsed
    else:
        raise ConfigError(f"{key!r} leads into a value, not a table", where="--set")


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
