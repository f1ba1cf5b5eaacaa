"""The words of rationales, kept as data beside the templates."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Formatter

from reasonrec_core.errors import ConfigError, did_you_mean

NAME = "rationale.toml"
SLOTS: Mapping[str, frozenset[str]] = {
    "recent": frozenset({"count", "last"}),
    "recurs": frozenset({"labels"}),
    "empty": frozenset(),
    "preference": frozenset({"titles"}),
    "match": frozenset({"labels"}),
    "evidence": frozenset({"support", "count", "horizon"}),
    "nothing": frozenset(),
    "inferred": frozenset({"claims"}),
}
Phrases = Mapping[str, tuple[str, ...]]


def load_phrases(folder: Path | None = None) -> Phrases:
    """Ways to say each thing; a ``rationale.toml`` in the user's ``folder`` replaces those that it names.

    Raises:
        ConfigError: with ``file:line``: not TOML, an unknown key, no text, a slot that is missing, unknown or doubled.
    """
    own = (files("reasonrec_cot.words") / "templates" / NAME).read_text("utf-8")
    phrases = _read(own, NAME)
    path = folder / NAME if folder is not None else None
    if path is not None and path.is_file():
        phrases |= _read(path.read_text("utf-8"), str(path))
    return phrases


def _read(text: str, where: str) -> dict[str, tuple[str, ...]]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"is not TOML: {error}", where=f"{where}:{line[1]}" if line else where) from error
    lines = text.splitlines()
    phrases = {}
    for key, ways in table.items():
        line_of_key = next((n for n, row in enumerate(lines, 1) if re.match(rf"\s*{re.escape(key)}\s*=", row)), 1)
        place = f"{where}:{line_of_key}"
        if key not in SLOTS:
            raise ConfigError(f"unknown key {key!r}", where=place, fix=did_you_mean(key, SLOTS))
        if not isinstance(ways, list) or not ways or not all(isinstance(way, str) and way.strip() for way in ways):
            raise ConfigError(f"{key} is a list of texts", where=place)
        for way in ways:
            _check(key, way, place)
        phrases[key] = tuple(ways)
    return phrases


def _check(key: str, way: str, where: str) -> None:
    try:
        used = [slot for _, slot, _, _ in Formatter().parse(way) if slot is not None]
    except ValueError as error:
        raise ConfigError(f"{way!r} cannot be read: {error}", where=where) from error
    if sorted(used) != sorted(SLOTS[key]):
        wanted = ", ".join(f"{{{slot}}}" for slot in sorted(SLOTS[key])) or "no slot"
        raise ConfigError(f"{way!r} must hold {wanted}, each once", where=where)
