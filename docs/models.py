"""The tables of docs/models.md: which delegates there are, and what benchmarks/models.py measured of them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from reasonrec_core.hookspecs import Kind
from reasonrec_core.registry import Registry

MEASURED = Path(__file__).parents[1] / "benchmarks" / "results" / "models.json"
LIBRARIES = {
    "reasonrec-cornac": "Cornac, Apache-2.0",
    "reasonrec-implicit": "implicit, MIT",
    "reasonrec-index": "faiss, MIT",
    "reasonrec-lightgbm": "LightGBM, MIT",
}
"""Packages whose models are other people's code."""
ELSEWHERE = {
    "ann-index": "ann_index",
    "click-rate": "click_rate",
    "cot-fusion": "cot_sources",
    "distilled": "distil",
    "implicit-bpr": "delegates",
    "lightgbm-rank": "lightgbm_rank",
    "policy": "levels",
}
"""Delegates that are measured by a benchmark of their own, and its page in benchmarks/results."""
PAGES = "../benchmarks/results"
Row = Mapping[str, Any]


def read_measured() -> dict[str, Row]:
    """What was measured, by ``data | name | seed``."""
    found: dict[str, Row] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


def delegate_table(registry: Registry) -> str:
    """A row per delegate of this repository: what it is and after whom, whose code, licence, where it was measured."""
    seen: dict[str, set[str]] = {}
    for key, row in read_measured().items():
        seen.setdefault(row["model"], set()).add(key.split(" | ")[0])
    rows = ["| delegate | what it is | package | code and licence | measured on |", "|---|---|---|---|---|"]
    for item in registry.components():
        name, package = item.spec.name, item.distribution
        if item.kind is Kind.DELEGATE and package.startswith("reasonrec"):
            text = inspect.getdoc(registry.load(Kind.DELEGATE, name)) or item.spec.summary
            first = re.split(r"(?<=[^A-Z]\.) |\n\n", " ".join(text.split("\n\n")[0].split()))[0]
            licence = f"{LIBRARIES[package]}; " if package in LIBRARIES else ""
            licence += f"ours, {metadata(package)['License-Expression']}"
            own = [f"[a page of its own]({PAGES}/{ELSEWHERE[name]}.md)"] if name in ELSEWHERE else []
            where = ", ".join([*sorted(seen.get(name, ())), *own]) or "nothing yet"
            rows.append(f"| `{name}` | {first.replace('|', chr(92) + '|')} | `{package}` | {licence} | {where} |")
    return "\n".join([*rows, ""])


def result_tables() -> str:
    """A section per data set; means over seeds, best first by validation."""
    groups: dict[str, dict[str, list[Row]]] = {}
    for key, row in read_measured().items():
        dataset, name, _ = key.split(" | ")
        groups.setdefault(dataset, {}).setdefault(name, []).append(row)
    return "\n".join(line for dataset, models in groups.items() for line in _make_table(dataset, models))


def _make_table(dataset: str, models: Mapping[str, list[Row]]) -> list[str]:
    some = next(iter(models.values()))[0]
    metrics = sorted({m for runs in models.values() for run in runs for m in run["valid"]}, key=lambda m: (" " in m, m))
    chief = next((m for m in metrics if m.startswith("NDCG") and " " not in m), metrics[0])
    head = [f"validation {m}" for m in metrics] + [f"test {m}" for m in metrics]
    head = ["delegate", "seeds", *head, "fit, s", "fit, processor s", "request, ms", "peak, MB"]
    lines = [f"### {dataset}", "", f"Protocol: {some['protocol']}.", ""]
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in sorted(models, key=lambda each: -(_mean(models[each], "valid", chief) or 0)):
        runs = models[name]
        cells = [_show(_mean(runs, part, m), 4) for part in ("valid", "test") for m in metrics]
        cells += [_show(_mean(runs, "", key), places) for key, places in COSTS]
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} | {max(run['peak_mb'] for run in runs):,} |")
    settings = [
        f"- {name}: `{json.dumps(runs[0]['settings'])}`" for name, runs in models.items() if runs[0]["settings"]
    ]
    return [*lines, "", *(["Settings that differ from the defaults:", "", *settings, ""] if settings else [])]


COSTS = (("fit_seconds", 0), ("fit_processor_seconds", 0), ("request_ms", 2))


def _mean(runs: list[Row], part: str, name: str) -> float | None:
    found = [run.get(part, {}).get(name) if part else run.get(name) for run in runs]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else None


def _show(value: float | None, places: int) -> str:
    return "not measured" if value is None else f"{value:,.{places}f}"
