"""Every hook's docstring holds a complete plugin; here each is installed and used."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from installed import documented_plugin, environment, install, python, reasonrec

from reasonrec_core import hookspecs
from reasonrec_core.hookspecs import TASKS
from reasonrec_core.plugins.checks import HOOKS
from reasonrec_core.testing import tiny_dataset
from reasonrec_core.types import Task

SUITES = {
    "reasonrec_encoders": ("EncoderConformance", "trigrams"),
    "reasonrec_policies": ("PolicyConformance", "loyal"),
    "reasonrec_uncertainty": ("UncertaintyConformance", "rarity"),
    "reasonrec_delegates": ("DelegateConformance", "trending"),
}

DOCUMENTED = (*SUITES, "reasonrec_commands")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for hook in DOCUMENTED:
        install(folder, *documented_plugin(inspect.getdoc(getattr(hookspecs, hook)) or ""))
    return folder


def test_every_hook_is_a_specification_with_a_plugin_in_its_docstring() -> None:
    assert set(HOOKS) == {*hookspecs.HOOK_OF_KIND.values(), "reasonrec_commands"}
    for hook in DOCUMENTED:
        name, files, entries = documented_plugin(inspect.getdoc(getattr(hookspecs, hook)) or "")
        assert name.startswith("reasonrec-")
        assert entries
        assert any(f"def {hook}()" in text for text in files.values())


def test_the_plugins_of_the_docstrings_register(site: Path) -> None:
    done = python(
        site,
        """
        from reasonrec_core.plugins import discover
        found = discover()
        mine = [c for c in (*found.components, *found.commands) if c.distribution != "reasonrec-core"]
        print(*sorted(c.spec.name for c in mine))
        """,
        REASONREC_STRICT_PLUGINS="1",
        REASONREC_LOAD_PLUGINS="reasonrec-trigrams,reasonrec-loyal,reasonrec-rarity,reasonrec-trending,reasonrec-fields",
    )
    assert done.stdout.split() == ["fields", "loyal", "rarity", "trending", "trigrams"], done.stderr


@pytest.fixture(scope="module")
def outcomes(site: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The conformance suites of all four kinds, run over the documented plugins: outcomes by component."""
    folder = tmp_path_factory.mktemp("suites")
    lines = [f"from reasonrec_core.testing import {', '.join(suite for suite, _ in SUITES.values())}"]
    for suite, component in SUITES.values():
        lines.append(f'class Test_{component}({suite}):\n    component = "{component}"')
    folder.joinpath("test_documented.py").write_text("\n".join(lines))
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-W", "error", "test_documented.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(site), cwd=folder)
    found: dict[str, list[str]] = {component: [] for _, component in SUITES.values()}
    for component, outcome in re.findall(r"::Test_(\w+)::\S+ ([A-Z]+)", done.stdout):
        found[component].append(outcome)
    assert done.returncode == 0, done.stdout
    return found


def test_the_plugins_of_the_docstrings_conform(outcomes: dict[str, list[str]]) -> None:
    for component, found in outcomes.items():
        assert len(found) >= 12, component
        assert set(found) == {"PASSED"}, component


def test_the_command_of_a_docstring_runs(site: Path, tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path)
    done = reasonrec(site, "fields", str(dataset.folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(dataset.catalog.fields)
    assert "Print the item fields of a dataset." in reasonrec(site, "--help").stdout


def test_tasks_are_spelt_as_in_the_types() -> None:
    assert tuple(Task) == TASKS
