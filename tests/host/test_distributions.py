"""Every distribution of this repository says under which terms it is used, where it lives and which core it needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from reasonrec_core.config import load_config
from reasonrec_core.plugins import CORE, installed, official

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/reasonrec*/pyproject.toml"))]
VERSION = "0.2.0"
CALLED = {
    **{"PIL": "pillow", "faiss": "faiss-cpu", "open_clip": "open-clip-torch", "sklearn": "scikit-learn"},
    "yaml": "pyyaml",
}
"""Distributions whose package has another name."""
OPTIONAL = {
    *("duckdb", "huggingface-hub", "ipython", "psycopg", "pytest"),
    *("reasonrec-trace", "redis", "torch", "transformers"),
}
"""What may be imported inside functions (pytest: in suites) and not be there."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_terms_home_and_versions(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert project["urls"]["Homepage"] == "https://github.com/reasonrec/reasonrec"
    assert project["version"] == VERSION
    ours = [each for each in project["dependencies"] if each.startswith("reasonrec")]
    assert all(each.endswith(">=0.2,<0.3") for each in ours), ours
    assert folder == ROOT or any(each.startswith("reasonrec-core") for each in ours)


def test_every_distribution_is_in_reach_of_the_meta_distribution() -> None:
    project = tomllib.loads((ROOT / "plugins/reasonrec/pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = {*project["dependencies"], *project["optional-dependencies"]["all"]}
    named = {line.partition(">=")[0] for line in lines}
    assert named >= {folder.name for folder in FOLDERS[1:]} - {"reasonrec"}
    for extra, wanted in project["optional-dependencies"].items():
        assert extra in {"all", "weights"} or wanted == [f"reasonrec-{extra}>=0.2,<0.3"], extra


def test_the_quick_start_needs_the_meta_distribution_alone() -> None:
    project = tomllib.loads((ROOT / "plugins/reasonrec/pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = {line.partition(">=")[0] for line in project["dependencies"]} - {"reasonrec-core"}
    config = load_config(ROOT / "examples" / "quickstart.toml")
    assert config.policy is not None
    assert not config.observe
    named = [f"policy {config.policy.name}", *(f"delegate {each.name}" for each in config.delegates)]
    own = {f"{each.kind} {each.spec.name}" for each in installed().components if each.distribution == CORE}
    for offer in {*named, "command data synth"} - own:
        assert official(offer) in brought, offer


def imported(file: Path, *, everywhere: bool) -> Iterator[str]:
    """Distributions of the packages that a module imports: all, or at its top alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else tree.body:
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for top in {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names}:
            yield re.sub("_", "-", CALLED.get(top, top)).lower()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_imported_is_declared(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split("[<>=!;[ ]", each)[0].lower().replace("_", "-") for each in project["dependencies"]}
    declared.add(project["name"])
    for file in (folder / ("reasonrec_core" if folder == ROOT else "src")).rglob("*.py"):
        suites = {"pytest"} if "testing" in file.parts else set()
        assert set(imported(file, everywhere=False)) <= declared | suites, file
        assert set(imported(file, everywhere=True)) <= declared | OPTIONAL, file
