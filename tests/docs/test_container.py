"""The serving image has every package of ours that its packages need: none of them is fetched from an index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRAINING = {"reasonrec-torch", "reasonrec-chain"}
"""Installed without their dependencies: what they need to answer stands in the file, and torch is not needed."""


def read_dependencies(folder: Path) -> set[str]:
    """Packages of ours that the one in this folder depends on."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {re.split(r"[\[<>=! ]", line)[0] for line in project["dependencies"] if line.startswith("reasonrec")}


def test_the_image_installs_what_its_packages_depend_on() -> None:
    text = (ROOT / "examples" / "serve" / "Dockerfile").read_text(encoding="utf-8")
    installed = set(re.findall(r"\./plugins/(reasonrec-[a-z]+)", text)) | {"reasonrec-core"}
    assert {"reasonrec-serve", *TRAINING} < installed
    needed = {name: read_dependencies(ROOT / "plugins" / name) for name in installed - TRAINING - {"reasonrec-core"}}
    assert {name: missing for name, each in needed.items() if (missing := each - installed)} == {}
