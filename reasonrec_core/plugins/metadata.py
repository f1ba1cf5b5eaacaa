"""Which installed distributions name a plugin.

`importlib.metadata` answers the same question, but to import it and to read 130 distributions takes 35 ms of
processor time on a machine where importing click takes 44 ms and the whole of ``reasonrec --help`` 78 ms: with it, help
would cost 2.4 times the import of click, and 2 is the limit. So the ``entry_points.txt`` files on ``sys.path`` are read
directly; where that cannot be enough (zip archives, packagers with their own finders) `importlib.metadata` is asked.
"""

from __future__ import annotations

import operator
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reasonrec_core.hookspecs import GROUP


class Distribution(NamedTuple):
    """An installed distribution that names plugins.

    Attributes:
        name: as its metadata spell it.
        version: as installed.
        entries: ``(entry-point name, module)`` pairs of this project's group.
        folder: its metadata folder, or "" where it is not a plain folder.
        doubles: versions that the same ``sys.path`` folder holds besides, left behind by a broken installation.
        requires: its ``Requires-Dist`` lines.
    """

    name: str
    version: str
    entries: tuple[tuple[str, str], ...]
    folder: str = ""
    doubles: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name in the form in which names are compared."""
        return normalised(self.name)


def normalised(name: str) -> str:
    """A distribution's name in the form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions() -> list[Distribution]:
    """Every distribution with an entry point of our group, by name; the first on ``sys.path`` hides later ones."""
    found: dict[str, Distribution] = {}
    for each in _from_metadata() if _needs_metadata() else _from_folders():
        first = found.setdefault(each.key, each)
        same_folder = os.path.dirname(first.folder) == os.path.dirname(each.folder)
        if first is not each and same_folder and first.version != each.version:
            found[each.key] = first._replace(doubles=(*first.doubles, each.version))
    return [found[key] for key in sorted(found) if found[key].entries]


def _needs_metadata() -> bool:
    finders = (getattr(finder, "__module__", "") for finder in sys.meta_path if hasattr(finder, "find_distributions"))
    foreign = any(module != "_frozen_importlib_external" for module in finders)
    return foreign or any(os.path.isfile(path) for path in sys.path)


def _from_metadata() -> Iterator[Distribution]:
    from importlib import metadata

    for found in metadata.distributions():
        entries = tuple((e.name, e.value) for e in found.entry_points if e.group == GROUP)
        folder = str(getattr(found, "_path", ""))
        requires = tuple(found.requires or ()) if entries else ()
        yield Distribution(found.metadata["Name"] or "", found.version, entries, folder, (), requires)


def _from_folders() -> Iterator[Distribution]:
    for path in dict.fromkeys(sys.path):
        try:
            names = sorted(n for n in os.listdir(path or ".") if n.endswith((".dist-info", ".egg-info")))
        except OSError:
            continue
        for name in names:
            folder = os.path.join(path or ".", name)
            text = _read(os.path.join(folder, "entry_points.txt"))
            entries = _entries(text) if f"[{GROUP}]" in text.replace(" ", "") else ()
            stem, _, version = name.rsplit(".", 1)[0].partition("-")
            requires: list[str] = []
            if entries:
                head = _read(os.path.join(folder, "METADATA")) or _read(os.path.join(folder, "PKG-INFO"))
                stem, version = _field(head, "Name") or stem, _field(head, "Version") or version
                requires = re.findall(r"^Requires-Dist:\s*(.+?)\s*$", head.partition("\n\n")[0], re.MULTILINE)
            yield Distribution(stem, version, entries, folder, (), tuple(requires))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _field(metadata: str, name: str) -> str:
    match = re.search(rf"^{name}:\s*(.+?)\s*$", metadata, re.MULTILINE)
    return match[1] if match else ""


def _entries(text: str) -> tuple[tuple[str, str], ...]:
    """The pairs of section ``[reasonrec]``."""
    section, entries = "", []
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == GROUP and line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            entries.append((name.strip(), value.strip()))
    return tuple(entries)


def conflict(requires: Iterable[str], names: Iterable[str], version: str) -> str:
    """The requirement on one of ``names`` that ``version`` does not meet, or "".

    Reads comparisons of release numbers (``>=0.2,<0.3``, ``==0.2.*``, ``~=0.2.1``); anything else is left to pip.
    """
    for line in requires:
        match = re.match(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)", line)
        if not match or ";" in line or normalised(match[1]) not in names:
            continue
        if not all(_holds(each.strip(), version) for each in match[2].split(",") if each.strip()):
            return f"{match[1]}{match[2].strip()}"
    return ""


def _holds(comparison: str, version: str) -> bool:
    match = re.fullmatch(r"(>=|<=|==|!=|~=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?", comparison)
    have = [int(part) for part in re.findall(r"\d+", re.match(r"[\d.]*", version)[0])]  # type: ignore[index]
    if not match:
        return True
    sign, want = match[1], [int(part) for part in match[2].split(".")]
    if match[3]:
        same = have[: len(want)] == want
        return same if sign == "==" else not same
    if sign == "~=":
        return have >= want and have[: len(want) - 1] == want[:-1]
    size = max(len(have), len(want))
    left, right = ([*each, *[0] * (size - len(each))] for each in (have, want))
    compare = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne}
    return bool({**compare, "<": operator.lt, ">": operator.gt}[sign](left, right))


def missing_requirements(name: str) -> list[str]:
    """Names of distributions that ``name`` always requires and that are not installed.

    Requirements with a marker (extras, other platforms) are left out, and versions are not compared: this tells
    a user what to install before a component fails to import; pip decides what fits.
    """
    from importlib.metadata import Distribution as Found

    wanted = next((found.requires or [] for found in Found.discover(name=name)), [])
    plain = (match[0] for line in wanted if ";" not in line and (match := re.match(r"[A-Za-z0-9._-]+", line)))
    return [each for each in plain if not any(Found.discover(name=each))]
