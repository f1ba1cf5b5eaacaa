"""The words of dialogues and rationales, kept as data: one file per task, in this package or in a folder of the user's.

A file holds ``system`` (what every dialogue of the task begins with) and ``[[template]]`` tables with ``name`` and
``ask``; `SLOTS` says what may stand in braces. A user's folder may hold some of the files: each replaces the
package's own file of that task, or adds to it where it says ``add = true``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_core.types import Task

SLOTS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "sequential": (frozenset({"history"}), frozenset({"count"})),
    "direct": (frozenset({"history", "candidates"}), frozenset({"count", "listed"})),
    "ctr": (frozenset({"history", "item"}), frozenset({"count"})),
    "explain": (frozenset({"history", "item"}), frozenset({"count", "hint", "stars"})),
}
"""Per task the slots that a template must use, and those that it may use."""
TASKS = tuple(SLOTS)
PHRASES = "rationale.toml"
PHRASE_SLOTS: Mapping[str, frozenset[str]] = {
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
HEADER = re.compile(r"^\s*\[\[\s*template\s*\]\]")
MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Template:
    """One way to put a request into words.

    Attributes:
        task: what is asked.
        name: unique within the task.
        ask: the user's turn, with slots in braces.
        where: ``file:line``.
    """

    task: Task
    name: str
    ask: str
    where: str = ""

    def pieces(self) -> list[tuple[str, str | None]]:
        """Literal texts, each with the slot that follows it (None at the end)."""
        return [(text, slot) for text, slot, _, _ in Formatter().parse(self.ask)]


@dataclass(frozen=True, slots=True)
class TaskWords:
    """All words of one task: what the system says first, and the templates."""

    system: str
    templates: tuple[Template, ...]

    def choose(self, generator: np.random.Generator) -> Template:
        """One of the templates, each as likely."""
        return self.templates[int(generator.integers(len(self.templates)))]


def load_templates(folder: Path | None = None) -> dict[Task, TaskWords]:
    """The words of all tasks.

    Args:
        folder: files of the user's own, ``<task>.toml``; None for the package's.

    Raises:
        ConfigError: with ``file:line``: the folder or a file cannot be read, a key is unknown or missing, a slot is
            unknown or missing, a name occurs twice.
    """
    own = files("reasonrec_cot.prompting") / "templates"
    words = {name: _read(name, (own / f"{name}.toml").read_text("utf-8"), f"{name}.toml")[0] for name in TASKS}
    for path in _users_files(folder) if folder is not None else ():
        read, adds = _read(path.stem, _text_of(path), str(path))
        words[path.stem] = _added(words[path.stem], read) if adds else read
    return {Task(name): words[name] for name in TASKS}


def _users_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError("is not a folder", where=str(folder), fix="Name a folder with files such as sequential.toml.")
    found = sorted(path for path in folder.glob("*.toml") if path.name != PHRASES)
    for path in found:
        if path.stem not in TASKS:
            raise ConfigError(f"there is no task {path.stem!r}", where=str(path), fix=did_you_mean(path.stem, TASKS))
    if not found and not (folder / PHRASES).is_file():
        names = ", ".join(f"{name}.toml" for name in TASKS)
        raise ConfigError("contains no templates", where=str(folder), fix=f"Put one of {names} there.")
    return found


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read ({error})", where=str(path), fix="Save it as UTF-8 text.") from error


def _added(words: TaskWords, more: TaskWords) -> TaskWords:
    names = {template.name: template.where for template in words.templates}
    for template in more.templates:
        if template.name in names:
            what = f"the name {template.name!r} is already used in {names[template.name]}"
            raise ConfigError(what, where=template.where, fix="Give the template a name of its own.")
    return TaskWords(more.system or words.system, (*words.templates, *more.templates))


def _read(task: str, text: str, where: str) -> tuple[TaskWords, bool]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"is not valid TOML: {error}", where=f"{where}:{line[1]}" if line else where) from error
    _known_keys(table, ("system", "add", "template"), f"{where}:1")
    adds, system, rows = table.get("add", False), table.get("system", ""), table.get("template", [])
    if not isinstance(adds, bool) or not isinstance(system, str) or not isinstance(rows, list):
        raise ConfigError("add must be true or false, system a text, template a list", where=f"{where}:1")
    if not rows or not (adds or system.strip()):
        missing = "[[template]]" if not rows else "system"
        raise ConfigError(f"has no {missing}", where=f"{where}:1")
    lines = [n for n, line in enumerate(text.splitlines(), 1) if HEADER.match(line)]
    places = [f"{where}:{line}" for line in lines] if len(lines) == len(rows) else [where] * len(rows)
    templates: dict[str, Template] = {}
    for row, place in zip(rows, places, strict=True):
        template = _template(task, row, place)
        if template.name in templates:
            what = f"the name {template.name!r} occurs twice (first at {templates[template.name].where})"
            raise ConfigError(what, where=place, fix="Give each template a name of its own.")
        templates[template.name] = template
    return TaskWords(system.strip(), tuple(templates.values())), adds


def _known_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown key {key!r}", where=where, fix=did_you_mean(key, known))


def _template(task: str, row: Any, where: str) -> Template:
    if not isinstance(row, dict):
        raise ConfigError("a template is a table", where=where)
    _known_keys(row, ("name", "ask"), where)
    for key in ("name", "ask"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise ConfigError(f"the template has no {key}", where=where, fix=f'Write {key} = "...".')
    if len(row["ask"]) > MOST_CHARACTERS:
        raise ConfigError(f"ask is longer than {MOST_CHARACTERS} characters", where=where)
    template = Template(Task(task), row["name"].strip(), row["ask"].strip(), where)
    required, optional = SLOTS[task]
    try:
        parsed = list(Formatter().parse(template.ask))
    except ValueError as error:
        fix = "Write {{ and }} for literal braces."
        raise ConfigError(f"ask cannot be read: {error}", where=where, fix=fix) from error
    used = [slot for _, slot, _, _ in parsed if slot is not None]
    for _, slot, form, turn in parsed:
        if slot is not None and (slot not in required | optional or form or turn):
            fix = did_you_mean(slot, required | optional)
            raise ConfigError(f"there is no slot {{{slot}}} in the task {task}", where=where, fix=fix)
    for slot in sorted(required):
        if used.count(slot) != 1:
            raise ConfigError(f"the slot {{{slot}}} must occur exactly once", where=where)
    return template


def load_phrases(folder: Path | None = None) -> Phrases:
    """Ways to say each thing; a ``rationale.toml`` in the user's ``folder`` replaces those that it names.

    Raises:
        ConfigError: with ``file:line``: not TOML, an unknown key, no text, a slot that is missing, unknown or doubled.
    """
    own = (files("reasonrec_cot.prompting") / "templates" / PHRASES).read_text("utf-8")
    phrases = _read_phrases(own, PHRASES)
    path = folder / PHRASES if folder is not None else None
    if path is not None and path.is_file():
        phrases |= _read_phrases(path.read_text("utf-8"), str(path))
    return phrases


def _read_phrases(text: str, where: str) -> dict[str, tuple[str, ...]]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"is not valid TOML: {error}", where=f"{where}:{line[1]}" if line else where) from error
    lines = text.splitlines()
    phrases = {}
    for key, ways in table.items():
        line_of_key = next((n for n, row in enumerate(lines, 1) if re.match(rf"\s*{re.escape(key)}\s*=", row)), 1)
        place = f"{where}:{line_of_key}"
        if key not in PHRASE_SLOTS:
            raise ConfigError(f"unknown key {key!r}", where=place, fix=did_you_mean(key, PHRASE_SLOTS))
        if not isinstance(ways, list) or not ways or not all(isinstance(way, str) and way.strip() for way in ways):
            raise ConfigError(f"{key} must be a list of texts", where=place)
        for way in ways:
            _check_phrase(key, way, place)
        phrases[key] = tuple(ways)
    return phrases


def _check_phrase(key: str, way: str, where: str) -> None:
    try:
        used = [slot for _, slot, _, _ in Formatter().parse(way) if slot is not None]
    except ValueError as error:
        raise ConfigError(f"{way!r} cannot be read: {error}", where=where) from error
    if sorted(used) != sorted(PHRASE_SLOTS[key]):
        wanted = ", ".join(f"{{{slot}}}" for slot in sorted(PHRASE_SLOTS[key])) or "no slot"
        raise ConfigError(f"{way!r} must contain {wanted}, each exactly once", where=where)
