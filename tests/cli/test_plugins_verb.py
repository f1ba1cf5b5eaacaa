"""``reasonrec plugins``: the listing, the new package."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from installed import environment, install_module, reasonrec

from reasonrec_core.errors import ConfigError
from reasonrec_core.testing.scaffold import KINDS, new_plugin, template_folder

DELEGATE = """
@hookimpl
def reasonrec_delegates():
    return [ComponentSpec("mine", "reasonrec_a_impl:Mine", "My own", ("sequential",))]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    install_module(folder, "reasonrec-a", DELEGATE, version="1.2.3")
    return folder


def test_the_listing_as_json_has_every_column_and_status(site: Path) -> None:
    install_module(site, "reasonrec-broken", "raise RuntimeError('oh')")
    needy = DELEGATE.replace('"mine"', '"needy"')
    install_module(site, "reasonrec-needy", needy, requires=["no-such-thing>=2", "numpy", 'also-not; extra == "x"'])
    done = reasonrec(site, "plugins", "--json", real="reasonrec-doctor")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["mine"] == {
        "name": "mine",
        "kind": "delegate",
        "tasks": ["sequential"],
        "distribution": "reasonrec-a",
        "version": "1.2.3",
        "status": "ok",
        "summary": "My own",
    }
    assert rows["needy"]["status"] == "needs no-such-thing (pip install no-such-thing)"
    assert rows["main"]["status"] == "failed: cannot be imported: RuntimeError: oh"
    assert rows["main"]["distribution"] == "reasonrec-broken"
    assert {"popularity", "transitions", "leave-one-out", "ndcg"} <= set(rows)
    assert done.stderr.splitlines() == [
        "warning: plugin 'main' of reasonrec-broken 0.1.0 is ignored: cannot be imported: RuntimeError: oh"
    ]


def test_the_list_is_by_kind_and_without_colour_in_a_pipe(site: Path) -> None:
    done = reasonrec(site, "plugins", real="reasonrec-doctor")
    assert "\x1b" not in done.stdout
    lines = [line.strip() for line in done.stdout.splitlines()]
    at = next(i for i, line in enumerate(lines) if line.startswith("Delegates"))
    assert "mine" in lines[at + 1].split(", ")
    assert len(lines) < 60
    one = reasonrec(site, "plugins", "list", "--kind", "delegate", real="reasonrec-doctor")
    assert one.stdout.splitlines()[0].split() == ["name", "tasks", "distribution", "summary"]
    rows = [line.split() for line in one.stdout.splitlines()]
    assert ["mine", "sequential", "reasonrec-a", "My", "own"] in rows


def test_without_the_package_that_lists_it_is_named(site: Path) -> None:
    done = reasonrec(site, "plugins")
    assert done.returncode == 2
    assert "pip install reasonrec-doctor" in done.stderr


@pytest.mark.parametrize("name", ["My-Model", "1st", "a b", "../x", "", "core", "class", "x" * 3 + "-"])
def test_a_bad_name_for_a_new_plugin_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a plugin's name"):
        new_plugin("delegate", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    tmp_path.joinpath("reasonrec-x").mkdir()
    done = reasonrec(None, "plugins", "new", "delegate", "x", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert list(tmp_path.joinpath("reasonrec-x").iterdir()) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if (template_folder() / kind).is_dir()])
def test_a_new_plugin_has_nothing_left_of_the_template(tmp_path: Path, kind: str) -> None:
    folder = new_plugin(kind, "my-own-thing", tmp_path)
    assert folder == tmp_path / "reasonrec-my-own-thing"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert {"pyproject.toml", "README.md", "plugin.py", "py.typed"} <= {path.name for path in paths}
    for path in paths:
        assert "template" not in (str(path.relative_to(folder)) + path.read_text()).lower(), path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delegate"])
def test_a_new_plugin_installs_and_passes_its_tests_at_once(tmp_path: Path, kind: str) -> None:
    reasonrec(None, "plugins", "new", kind, "my-own-thing", "--out", str(tmp_path))
    package, site = tmp_path / "reasonrec-my-own-thing", tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(package)], check=True, capture_output=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=package, env=environment(site), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = json.loads(reasonrec(site, "plugins", "--json", real="reasonrec-doctor").stdout)
    mine = next(row for row in listed if row["name"] == "my-own-thing")
    assert (mine["kind"], mine["status"], mine["distribution"]) == (kind, "ok", "reasonrec-my-own-thing")


@pytest.mark.slow
def test_the_templates_are_in_the_wheel(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", str(tmp_path), str(root)], check=True, capture_output=True)
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("reasonrec_core-*.whl"))) as wheel:
        wheel.extractall(site)
    code = "import reasonrec_core.testing.scaffold as new; print(new.template_folder())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(site), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(site / "reasonrec_core" / "_template"), done.stderr
    done = reasonrec(site, "plugins", "new", "policy", "mine", "--out", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reasonrec-mine" / "src" / "reasonrec_mine" / "policy.py").is_file()
