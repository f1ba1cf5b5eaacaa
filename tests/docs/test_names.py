"""Names that can be looked up: one public class a name over all packages, functions that say what they do; sizes."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "reasonrec_core", *sorted((ROOT / "plugins").glob("reasonrec*/src")))

PRIVATE_WORDS = frozenset(
    {"told", "held", "spoken", "joined", "taken", "stated", "judged", "bills", "voices", "scene", "escape", "alone"}
    | {"standing", "handover"}
)
"""Words that only this project once knew; a function is called by what it does (`compute_gain`)."""

VAGUE_NAMES = frozenset({"told", "held", "spoken", "heard", "voices"})
"""Names of variables that may be anything; `PRIVATE_WORDS` has what functions may not be called, too."""

ALLOWED_FUNCTIONS = {
    "reasonrec_clip/learning.py:draw_held_out": "hold-out is a term of the field",
}
"""Public functions as ``package/path.py:name`` that bear one of `PRIVATE_WORDS`, and why."""


def public_definitions(kinds: tuple[type[ast.stmt], ...]) -> Iterator[tuple[str, str]]:
    """``(file, name)`` of the public definitions of modules (functions: of their public classes, too)."""
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
            bodies = [tree.body, *(each.body for each in tree.body if isinstance(each, ast.ClassDef) and _public(each))]
            for node in (node for body in bodies for node in body):
                if isinstance(node, kinds) and _public(node):
                    yield str(path.relative_to(source.parent if source.name != "src" else source)), node.name  # type: ignore[attr-defined]


def _public(node: ast.stmt) -> bool:
    return not getattr(node, "name", "_").startswith("_")


def test_no_two_public_classes_have_one_name() -> None:
    places = defaultdict(list)
    for path, name in public_definitions((ast.ClassDef,)):
        if name != "Config":  # every component's settings class is called so, inside the component
            places[name].append(path)
    assert len(places) > 300
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_public_function_has_a_word_of_our_own_for_a_name() -> None:
    found = {
        f"{path}:{name}"
        for path, name in public_definitions((ast.FunctionDef, ast.AsyncFunctionDef))
        if PRIVATE_WORDS & set(name.split("_")) and not name.startswith("test_")
    }
    assert found == ALLOWED_FUNCTIONS.keys()


def test_no_variable_or_attribute_has_one_either() -> None:
    """Variables, arguments and attributes as well: ``told`` may be anything, ``usage`` is known."""
    found = set()
    for path in (path for source in SOURCES for path in sorted(source.rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = next(
                (getattr(node, key) for key in ("id", "arg", "attr") if isinstance(getattr(node, key, 0), str)), ""
            )
            found |= {f"{path.name}: {name}"} if name in VAGUE_NAMES else set()
    assert found == set()


def test_a_file_is_read_in_one_sitting_and_a_function_fits_a_screen() -> None:
    long = []
    for path in (path for source in SOURCES for path in sorted(source.rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        long += [str(path)] if text.count("\n") > 300 else []
        functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
        long += [f"{path}: {node.name}" for node in functions if (node.end_lineno or 0) - node.lineno + 1 > 62]
    assert long == []
