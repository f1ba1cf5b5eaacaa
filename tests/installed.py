"""Real distributions in a folder: modules, metadata and entry points, as pip would leave them; no network."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from reasonrec_core.testing.scaffold import new_plugin

HOOKIMPL = "from reasonrec_core.hookspecs import CommandSpec, ComponentSpec, hookimpl\n\n"

REAL = ",".join(
    sorted({entry.dist.name for entry in metadata.entry_points(group="reasonrec") if entry.dist} - {"reasonrec-core"})
)
"""Plugins that happen to be installed here; new processes disable them, so that tests see only their own."""


def install(
    site: Path,
    name: str,
    files: Mapping[str, str],
    entries: Mapping[str, str],
    *,
    version: str = "0.1.0",
    requires: Sequence[str] = (),
) -> None:
    """Put a distribution into ``site``: ``files`` by path, ``entries`` of group ``reasonrec``."""
    for path, text in files.items():
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text), encoding="utf-8")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{needs}")
    lines = "".join(f"{entry} = {module}\n" for entry, module in entries.items())
    info.joinpath("entry_points.txt").write_text(f"[console_scripts]\n{name} = nowhere:main\n\n[reasonrec]\n{lines}")


def install_module(site: Path, name: str, code: str, *, entry: str = "main", **more: Any) -> None:
    """A distribution whose one module, ``name`` with underscores, is the plugin."""
    module = name.replace("-", "_")
    install(site, name, {f"{module}.py": HOOKIMPL + textwrap.dedent(code)}, {entry: module}, **more)


def install_template(site: Path, kind: str, name: str, where: Path) -> Path:
    """Make the template's plugin of ``kind`` in ``where`` and install it into ``site``; its folder."""
    folder = new_plugin(kind, name, where)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sources = [path for path in folder.glob("src/**/*") if path.is_file()]
    files = {str(path.relative_to(folder / "src")): path.read_text(encoding="utf-8") for path in sources}
    install(site, project["name"], files, project["entry-points"]["reasonrec"], requires=project["dependencies"])
    return folder


def environment(site: Path | None, *, real: str = "", **more: str) -> dict[str, str]:
    """This process's environment with ``site`` on the path and no plugin variables but ``more``.

    ``real`` names the installed distribution that is seen nevertheless.
    """
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("REASONREC_", "NO_COLOR", "COLUMNS", "FORCE_COLOR"))
    }
    path = os.pathsep.join(filter(None, [str(site) if site else "", kept.get("PYTHONPATH", "")]))
    hidden = [name for name in REAL.split(",") if name != real]
    blocked = ",".join(filter(None, [*hidden, more.pop("REASONREC_DISABLE_PLUGINS", "")]))
    ours = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "REASONREC_DISABLE_PLUGINS": blocked, "REAL": REAL}
    return {**kept, **ours, **more}


def python(site: Path | None, code: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a new interpreter that sees ``site``."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(site, **more), timeout=120)


def reasonrec(
    site: Path | None, *args: str, cwd: Path | None = None, real: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a new process that sees ``site``, and of what is installed ``real``."""
    command = [sys.executable, "-m", "reasonrec_core", *args]
    env = environment(site, real=real, **more)
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, cwd=cwd)
