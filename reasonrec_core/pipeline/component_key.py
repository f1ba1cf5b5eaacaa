"""What a component's work depends on: its settings, its version, and its code where that is edited in place."""

from __future__ import annotations

import json
import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import reasonrec_core
from reasonrec_core.components import Kind
from reasonrec_core.io import content_hash, hash_folder
from reasonrec_core.plugins import Registered
from reasonrec_core.registry import Registry

CORE_DISTRIBUTIONS = ("reasonrec", "reasonrec-core")
"""Their code changes all the time and decides little of what a component learns."""


def component_key(registry: Registry, kind: Kind, name: str, settings: object = None) -> dict[str, Any]:
    """What of a stage's key a component is responsible for, by its name in messages; with those that it holds."""
    plugin, parts = registry.spec(kind, name), getattr(registry.load(kind, name), "list_parts", None)
    return {
        "component": [kind, name],
        "settings": settings,
        "version": [plugin.distribution, plugin.version],
        "code": hash_source(plugin),
    } | ({"parts": [component_key(registry, *part) for part in parts(settings)]} if parts else {})


def hash_source(plugin: Registered) -> str | None:
    """Hash of a component's code where that is installed editable, so that its version does not change with it.

    It covers the package that holds the component (of the core, the subpackage), and the editable packages that its
    distribution requires, the core left out. None where nothing is editable.
    """
    module = plugin.spec.target.partition(":")[0].split(".")
    core = module[0] == reasonrec_core.__name__
    folders = [] if core else [path for name in _required(plugin.distribution) for path in _editable(name)]
    if _editable(plugin.distribution):
        found = find_spec(".".join(module[: 2 if core else 1]))
        folders += map(Path, (found and found.submodule_search_locations) or ())
        folders += [Path(found.origin)] if found and found.origin and not found.submodule_search_locations else []
    return content_hash(*map(hash_folder, folders)) if folders else None


def _required(distribution: str) -> list[str]:
    """Names of the distributions that one always requires, the core left out."""
    try:
        wanted = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    names = [found[0] for line in wanted if ";" not in line and (found := re.match(r"[A-Za-z0-9._-]+", line))]
    return [name for name in names if name not in CORE_DISTRIBUTIONS]


def _editable(distribution: str) -> list[Path]:
    """Folders with the code of a distribution that is installed editable; none for any other."""
    try:
        origin = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return []
    if not origin.get("dir_info", {}).get("editable"):
        return []
    root = Path(url2pathname(urlsplit(origin["url"]).path))
    return [root / "src" if (root / "src").is_dir() else root / distribution.replace("-", "_")]
