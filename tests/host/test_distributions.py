"""Every distribution of this repository says under which terms it is used, where it lives and which core it needs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from reasonrec_core.config import load_config
from reasonrec_core.plugins import CORE, installed, official

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/reasonrec*/pyproject.toml"))]
VERSION = "0.2.0"


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
