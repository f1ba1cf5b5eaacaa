"""Values of settings and JSON files, made at random or changed in one place."""

from __future__ import annotations

import copy
import math
from random import Random
from typing import Any

from fuzzing.mutations import NUMBERS, TEXTS

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**63 - 1, 2**63, -(2**64), 10**400, 0.0, -0.0, 0.5, 1e308, 1e-320,
    math.nan, math.inf,
    -math.inf, "", "\ud800", "a\udfffb", [], {}, [[]], [None], {"": 0}, [1, "a", None], {"name": 1}, {"a": {"b": {}}},
)  # fmt: skip


def draw_value(chance: Random, depth: int = 0) -> Any:
    """A leaf, or a small table or list."""
    kind = chance.randrange(6 if depth < 4 else 3)
    if kind == 0:
        return copy.deepcopy(chance.choice(VALUES))
    if kind == 1:
        return chance.choice((chance.randrange(-3, 20), chance.uniform(-2, 2), chance.choice(NUMBERS)))
    if kind == 2:
        return chance.choice(TEXTS)
    if kind == 3:
        return {
            chance.choice((*TEXTS, "name", "path")): draw_value(chance, depth + 1) for _ in range(chance.randrange(3))
        }
    if kind == 4:
        return [draw_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    value: Any = chance.choice(VALUES)
    for _ in range(chance.choice((2, 40, 150))):  # deeper ones are made of bytes: Python copies no deeper trees
        value = {"a": value} if chance.random() < 0.5 else [value]
    return value


def list_places(tree: Any) -> list[tuple[Any, ...]]:
    """Paths of all values in a tree, not those that lie deeper than anybody nests."""
    found: list[tuple[Any, ...]] = []
    rest: list[tuple[tuple[Any, ...], Any]] = [((), tree)]
    while rest:
        at, node = rest.pop()
        found += [at] if at else []
        below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        rest += [((*at, key), value) for key, value in below if len(at) < 8]
    return found


def change_tree(tree: Any, chance: Random) -> Any:
    """A copy in which one to three values are others, gone, doubled, or under another name."""
    tree = copy.deepcopy(tree)
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = list_places(tree)
        if not places:
            return draw_value(chance)
        *path, last = chance.choice(places)
        node = tree
        for part in path:
            node = node[part]
        _change(node, last, chance, tree, places)
    return tree


def _change(node: Any, key: Any, chance: Random, tree: Any, places: list[tuple[Any, ...]]) -> None:
    kind = chance.randrange(7)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[chance.choice((*TEXTS, "nmae", "seed"))] = node.pop(key)
    elif kind == 2 and isinstance(node, list):
        node.extend([node[key]] * chance.choice((1, 20)))
    elif kind == 3:
        value: Any = tree
        for part in chance.choice(places):
            value = value[part]
        node[key] = copy.deepcopy(value)  # what stands elsewhere
    elif kind == 4 and isinstance(node[key], int | float):
        node[key] = chance.choice(
            (-node[key], node[key] + 1, node[key] * 1000, str(node[key]), [node[key]], float(node[key]))
        )
    elif kind == 5 and isinstance(node[key], str):
        node[key] = chance.choice((node[key] + chance.choice(TEXTS), chance.choice(TEXTS) + node[key], [node[key]]))
    else:
        node[key] = draw_value(chance)
