"""The walks that CONTRIBUTING tells go through files and names that exist, each through at most twelve files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (ROOT / "reasonrec_core", *ROOT.glob("plugins/*/src"))
"""A walk names files of the core by their room, those of plugins by their package."""
SECTION = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Two walks")[2].partition("\n## ")[0]
WALKS = [part for part in SECTION.split("\n**") if re.search(r"^1\. ", part, re.MULTILINE)]


def test_two_walks_are_told() -> None:
    assert len(WALKS) == 2


@pytest.mark.parametrize("walk", WALKS, ids=["row", "share"])
def test_a_walk_names_what_is_there(walk: str) -> None:
    steps = re.findall(r"^\d+\. (.*)$", walk, re.MULTILINE)
    paths = [path for step in steps for path in re.findall(r"`([\w/]+\.py)`", step)]
    assert 5 < len(set(paths)) <= 12
    for step in steps:
        names = re.findall(r"`([\w/]+\.py)`", step)
        files = [next(room / name for room in ROOMS if (room / name).is_file()) for name in names]
        defined = {
            node.name
            for file in files
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        used = {name for file in files for name in re.findall(r"\w+", file.read_text(encoding="utf-8"))}
        names = re.findall(r"`([A-Za-z_]+)`", step)
        assert files
        assert set(names) <= used
        assert not names or set(names) & defined
