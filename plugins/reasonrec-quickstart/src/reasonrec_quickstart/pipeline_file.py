"""The pipeline file that a person can read: settings, and above each the reason for it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from reasonrec_core.cli.console import line
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import content_hash, write_text
from reasonrec_quickstart.choices import Choices
from reasonrec_quickstart.examine import ExaminedData

WIDTH = 100
MARK = "# As quickstart wrote it: "
"""Begins the last line, which holds a hash of all before it: a file that somebody edited is not written over."""


def render_pipeline(choices: Choices, examined: ExaminedData, path: Path) -> str:
    """The text of the file that will lie at ``path``."""
    times = examined.times or "no times: the order of the rows is used instead"
    head = [
        f"Written by reasonrec quickstart. Change what you like, then: reasonrec run {path}",
        f"{examined.dataset.name}: {examined.size}; {times}.",
        "Every setting: docs/settings.md.",
    ]
    warned = [f"WARNING {each}" for each in choices.warnings]
    lines = [*_comment([*head, *warned]), "", tomli_w.dumps({"name": choices.name}).strip()]
    flat = [each for each in choices.parts if not _has_tables(each.table)]
    for each in (*flat, *(each for each in choices.parts if each not in flat)):
        lines += ["", *_comment(each.why), tomli_w.dumps(dict(each.table)).strip()]
    if choices.hints:
        lines += ["", *_comment(["What else this data could be used for:", *(f"- {hint}" for hint in choices.hints)])]
    if choices.remarks:
        of_prompts = "Only for language models, if one becomes the policy later:"
        lines += ["", *_comment([of_prompts, *(f"- {remark}" for remark in choices.remarks)])]
    text = "\n".join(lines) + "\n"
    return f"{text}{MARK}{content_hash(text)[:16]}\n"


def _has_tables(table: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Mapping) for value in table.values())


def _comment(sentences: list[str]) -> Iterator[str]:
    """Comments of one line or more; what comes from the data cannot end one."""
    for sentence in sentences:
        for part in textwrap.wrap(line(sentence), WIDTH, break_long_words=False, break_on_hyphens=False):
            yield f"# {part}"


def data_table(path: Path, source: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The table ``[data]`` of a pipeline file that lies at ``file``; a path below the working folder is relative."""
    absolute = path.absolute()
    near = absolute.is_relative_to(Path.cwd())
    stated = os.path.relpath(absolute, file.absolute().parent) if near else str(absolute)
    table: dict[str, Any] = {"path": stated}
    if source["format"] != "auto":
        table["format"] = source["format"]
    return table | {name: dict(source[name]) for name in ("columns", "options") if source[name]}


def write_pipeline(text: str, path: Path) -> None:
    """Write the file; one that quickstart wrote and nobody edited since is replaced.

    Raises:
        ConfigError: something else stands there.
    """
    if path.exists() and not is_ours(path):
        fix = f"Run it as it is (reasonrec run {path}), or choose another --out."
        raise ConfigError("this file was edited, or not written by quickstart", where=str(path), fix=fix)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def is_ours(path: Path) -> bool:
    """Whether the file is as `write_pipeline` left it."""
    try:
        head, mark, stamp = path.read_text(encoding="utf-8").rpartition(MARK)
    except (OSError, UnicodeDecodeError):
        return False
    return bool(mark) and stamp == f"{content_hash(head)[:16]}\n"
