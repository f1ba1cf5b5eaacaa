"""The house in numbers and in one picture, both made from the code.

python docs/house.py --counts              # files and lines of every room and package
python docs/house.py --counts v0.1.0       # the same at a commit, a branch or a tag
python docs/house.py                       # the picture that CONTRIBUTING shows (Mermaid)
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
CORE = "reasonrec_core"


def packages() -> dict[str, Path]:
    """Import name and folder of the core and of every package of ``plugins/``."""
    found = {path.parent.name: path.parent for path in sorted(ROOT.glob("plugins/reasonrec*/src/*/__init__.py"))}
    return {CORE: ROOT / CORE, **found}


def sources(revision: str | None) -> dict[str, str]:
    """Text of every Python file of the packages by path, in the working tree or at ``revision``."""
    if revision is None:
        paths = (path for folder in packages().values() for path in folder.rglob("*.py"))
        return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603, S607
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        files = {
            each.name: archive.extractfile(each) for each in archive if each.isfile() and each.name.endswith(".py")
        }
        return {name: file.read().decode() for name, file in files.items() if file is not None}


def place(path: str) -> tuple[str, str] | None:
    """Package and room of a file; None for what is no part of a package (tests, the template)."""
    parts = path.removesuffix(".py").split("/")
    if parts[0] == CORE:
        return ("core", parts[1]) if len(parts) > 2 else ("core", "(root)")
    if parts[0] == "plugins" and len(parts) > 4 and parts[2] == "src":
        return "plugins", parts[1]
    return None


def counts(files: Mapping[str, str]) -> str:
    """A Markdown table: files and lines (with docstrings and blank lines) by package, and by room of the core."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for path, text in files.items():
        where = place(path)
        if where is not None and "_template" not in path:
            group, room = where
            for key in ((group, room), *([] if room == "testing" else [(group, "")])):
                found[key][0] += 1
                found[key][1] += len(text.splitlines())
    rows = ["| part | room | files | lines |", "|---|---|---|---|"]
    rows += [
        f"| {group} | {room or ('**all but testing**' if group == 'core' else '**all**')} | {n} | {lines:,} |"
        for (group, room), (n, lines) in sorted(found.items())
    ]
    return "\n".join(rows)


def edges() -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Who imports whom: rooms of the core, and packages; imports for type checkers alone are left out."""
    graph = grimp.build_graph(*packages(), exclude_type_checking_imports=True)
    rooms: set[tuple[str, str]] = set()
    among: set[tuple[str, str]] = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            ends = module.split("."), imported.split(".")
            if ends[0][0] != ends[1][0]:
                among.add((ends[0][0], ends[1][0]))
            elif ends[0][0] == CORE and all(len(end) > 1 for end in ends) and ends[0][1] != ends[1][1]:
                rooms.add((ends[0][1], ends[1][1]))
    return rooms, among


def reduced(arrows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The arrows that no longer way replaces, sorted."""
    after: dict[str, set[str]] = defaultdict(set)
    for start, end in arrows:
        after[start].add(end)

    def reach(node: str, seen: set[str]) -> set[str]:
        for each in after.get(node, set()) - seen:
            seen.add(each)
            reach(each, seen)
        return seen

    beyond = {node: set().union(*(reach(each, set()) for each in ends - {node})) for node, ends in after.items()}
    return sorted((start, end) for start, ends in after.items() for end in ends if end not in beyond[start])


def picture() -> str:
    """A Mermaid diagram: an arrow means "imports"; what follows from other arrows is left out."""
    rooms, among = edges()
    lines = ["```mermaid", "graph TD", "  subgraph reasonrec_core"]
    lines += [f"    {start} --> {end}" for start, end in reduced(rooms)]
    lines += ["  end", *(f"  {start} --> {end}" for start, end in reduced(among)), "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", nargs="?", const="", metavar="REVISION", help="a table of files and lines")
    given = parser.parse_args()
    print(picture() if given.counts is None else counts(sources(given.counts or None)))


if __name__ == "__main__":
    main()
