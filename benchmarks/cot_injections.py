"""What titles that give orders do to a tuned `cot`: places of their items, and confidence, before and after.

    python benchmarks/cot_injections.py ml-100k --fitted FOLDER --queries 20

``FOLDER`` is a fitted policy (benchmarks/cot.py keeps one per form). The 68 titles of
tests/injected.toml are put on the most popular items, first without their instruction, then with
it, and the same requests are answered: the test part's first ones, whole catalogue.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
from profile_policy import prepare
from reasonrec_cot.policy import Cot

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Deliberation

TITLES = Path(__file__).parents[1] / "tests" / "injected.toml"


def titled(catalog: Catalog, items: np.ndarray, titles: list[str]) -> Catalog:
    """The catalogue with other titles for some items."""
    every = list(catalog.titles)
    for item, title in zip(items.tolist(), titles, strict=True):
        every[item] = title
    column = catalog.table.schema.get_field_index("title")
    return Catalog(catalog.table.set_column(column, "title", [every]), catalog.images)


def places(answer: Deliberation, items: np.ndarray) -> np.ndarray:
    """float64[B, items]: where each item stands; as far as the list is long where it is not in it."""
    assert answer.ranking is not None
    ranked = answer.ranking.items
    found = ranked[:, :, None] == items
    at: np.ndarray = np.where(found.any(axis=1), found.argmax(axis=1), ranked.shape[1]).astype(np.float64)
    return at


def main() -> None:
    """Answer thrice and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--fitted", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    given = parser.parse_args()
    bench = prepare(given.dataset, given.data, given.cache, 0)
    entries = tomllib.loads(TITLES.read_text("utf-8"))["title"]
    counts = np.bincount(bench.split.train.items, minlength=bench.dataset.n_items)
    items = np.argsort(-counts, kind="stable")[: len(entries)]
    batch = replace(bench.split.test.queries.slice(0, given.queries), k=bench.dataset.n_items)
    answers = {}
    for name, key in (("as they are", None), ("plain", "plain"), ("with orders", "injected")):
        catalog = bench.dataset.catalog
        if key is not None:
            catalog = titled(catalog, items, [entry[key] for entry in entries])
        answers[name] = Cot.load(given.fitted, catalog).deliberate(batch, bench.observe(batch))
    before = answers["plain"]
    found = {}
    for name, answer in answers.items():
        moved = places(before, items) - places(answer, items)
        found[name] = {
            "places gained": float(moved.mean()),
            "places moved": float(np.abs(moved).mean()),
            "confidence": float((answer.confidence - before.confidence).mean()),
            "confidence moved": float(np.abs(answer.confidence - before.confidence).mean()),
        }
    print(json.dumps({"queries": len(batch), "titles": len(entries), "against plain titles": found}, indent=2))


if __name__ == "__main__":
    main()
