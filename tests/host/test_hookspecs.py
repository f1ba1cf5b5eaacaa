"""Every hook has a base, and a complete plugin in the template; here each is made, installed, tested and listed."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from installed import environment, install_template, reasonrec

from reasonrec_core import hookspecs
from reasonrec_core.hookspecs import TASKS
from reasonrec_core.plugins.checks import HOOKS
from reasonrec_core.testing.scaffold import KINDS, template_folder
from reasonrec_core.types import Task

MADE = [kind for kind in KINDS if (template_folder() / kind).is_dir()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One site with the template's plugins of all kinds; their sources, with their tests, lie beside it."""
    folder = tmp_path_factory.mktemp("template")
    for kind in MADE:
        install_template(folder / "site", kind, f"my-{kind}", folder)
    return folder / "site"


@pytest.fixture(scope="module")
def outcomes(site: Path) -> dict[str, list[str]]:
    """Outcomes of the tests that the template makes, by kind: all in one run."""
    folders = [str(site.parent / f"reasonrec-my-{kind}" / "tests") for kind in MADE]
    options = ["-v", "-p", "no:cacheprovider", "-W", "error", "--import-mode=importlib", "--rootdir", str(site.parent)]
    command = [sys.executable, "-m", "pytest", *options, *folders]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(site), cwd=site.parent)
    found: dict[str, list[str]] = {kind: [] for kind in MADE}
    for kind, outcome in re.findall(r"^reasonrec-my-([\w-]+)/tests/\S+ ([A-Z]+)", done.stdout, re.MULTILINE):
        found[kind].append(outcome)
    assert done.returncode == 0, done.stdout
    return found


def test_every_hook_is_a_specification_with_a_template() -> None:
    assert set(HOOKS) == {*hookspecs.HOOK_OF_KIND.values(), "reasonrec_commands"}
    assert set(hookspecs.HOOK_OF_KIND) == set(hookspecs.Kind)
    for hook in HOOKS:
        told = inspect.getdoc(getattr(hookspecs, hook)) or ""
        assert told.startswith("Offer ")
        assert len(told.splitlines()) <= 3, "the example stands in the template"


@pytest.mark.parametrize("kind", MADE)
def test_the_template_passes_its_own_tests(outcomes: dict[str, list[str]], kind: str) -> None:
    assert "PASSED" in outcomes[kind]
    assert set(outcomes[kind]) <= {"PASSED", "SKIPPED"}, "an ability that a component need not have is skipped"


def test_the_template_is_listed(site: Path) -> None:
    said = reasonrec(site, "plugins", "--json", real="reasonrec-doctor", REASONREC_STRICT_PLUGINS="1").stdout
    rows = json.loads(said)
    listed = {row["name"]: (row["kind"], row["status"]) for row in rows}
    for kind in MADE:
        assert listed[f"my-{kind}"] == (kind, "ok")


@pytest.mark.parametrize("kind", MADE)
def test_the_template_declares_what_it_imports(site: Path, kind: str) -> None:
    folder = site.parent / f"reasonrec-my-{kind}"
    code = "".join(path.read_text() for path in folder.glob("src/**/*.py"))
    used = set(
        re.findall(r"^\s*(?:from|import) (click|numpy|pyarrow|pydantic|rich|scipy|sklearn)\b", code, re.MULTILINE)
    )
    project = (folder / "pyproject.toml").read_text()
    assert set(re.findall(r'"(click|numpy|pyarrow|pydantic|rich|scipy|sklearn)[><=]', project)) == used


def test_tasks_are_spelt_as_in_the_types() -> None:
    assert tuple(Task) == TASKS
