"""What benchmarks/models.py is to measure (models.toml) and what it has measured (results/models.json).

A fit is one delegate with its settings and one seed on one data set. It is kept under ``data | name | seed``, and is
done where what is kept has its model and settings, and the test part if the plan asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_protocols import DATASETS, split_name
from pydantic import Field

from reasonrec_core.components import Kind, Settings
from reasonrec_core.config_errors import validated
from reasonrec_core.config_file import read_settings
from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_core.registry import Registry

PLAN = Path(__file__).parent / "models.toml"
KEPT = Path(__file__).parent / "results" / "models.json"
Kept = Mapping[str, Mapping[str, Any]]


class PlanRow(Settings):
    """A row of models.toml."""

    model: str = Field(description="The delegate.")
    name: str = Field("", pattern=r"^[^|]*$", description="What it is called; the model's name where it is left out.")
    settings: dict[str, Any] = Field({}, description="Settings that differ from the defaults.")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="A fit for each.")
    test: bool = Field(True, description="Whether the test part is answered.")


@dataclass(frozen=True)
class Fit:
    """One delegate with one seed on one data set; ``name``: what it is called, ``test``: answer the test part too."""

    dataset: str
    model: str
    name: str
    settings: Mapping[str, Any]
    seed: int
    test: bool

    @property
    def key(self) -> str:
        """What it is kept under."""
        return f"{self.dataset} | {self.name} | {self.seed}"

    def is_kept(self, kept: Kept) -> bool:
        """Whether this very fit was measured, with all that is asked of it."""
        found = kept.get(self.key)
        if found is None or (found["model"], found["settings"]) != (self.model, self.settings):
            return False
        return "test" in found or not self.test


def read_kept(path: Path = KEPT) -> dict[str, Any]:
    """What was measured, by ``data | name | seed``."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def read_plan(registry: Registry, path: Path = PLAN) -> list[Fit]:
    """All fits of the plan, in its order.

    Raises:
        ConfigError: an unknown data set, delegate or key, a value out of bounds, or two rows of one name.
    """
    tree, _ = read_settings(path)
    return [fit for dataset, rows in tree.items() for fit in list_fits(dataset, rows, registry, path.name)]


def list_fits(dataset: str, rows: Any, registry: Registry, file: str) -> list[Fit]:
    """The fits of one data set, from its ``rows`` in the plan."""
    if split_name(dataset)[0] not in DATASETS:
        raise ConfigError(f"there is no data set called {dataset!r}", where=file, fix=did_you_mean(dataset, DATASETS))
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        fix = f'Write {dataset} = [{{ model = "popularity" }}].'
        raise ConfigError("must be a list of rows", where=f"{file}, {dataset}", fix=fix)
    fits: dict[str, list[Fit]] = {}
    for number, each in enumerate(rows, 1):
        where = f"{file}, {dataset}, row {number}"
        row = validated(PlanRow, each, where=where)
        registry.spec(Kind.DELEGATE, row.model, where=where)
        name = row.name or row.model
        if name in fits:
            raise ConfigError(f"{name!r} is already a row above", where=where, fix="Give one of them another name.")
        fits[name] = [Fit(dataset, row.model, name, row.settings, seed, row.test) for seed in dict.fromkeys(row.seeds)]
    return [fit for some in fits.values() for fit in some]


def choose_fits(plan: Sequence[Fit], dataset: str | None) -> list[Fit]:
    """The fits of one data set, or all of them."""
    datasets = list_names(plan)
    if dataset is not None and dataset not in datasets:
        fix = f"{did_you_mean(dataset, datasets)} Add rows for it, or name what to measure (--models)."
        raise ConfigError(f"nothing is planned on {dataset!r}", fix=fix)
    return [fit for fit in plan if dataset in (None, fit.dataset)]


def check_settings(fits: Sequence[Fit], registry: Registry) -> None:
    """Refuse delegates and settings that no fit can be made with, before the first of them takes its hours.

    Raises:
        ConfigError: the first of them, with what is wrong.
    """
    for fit in {(fit.dataset, fit.name): fit for fit in fits}.values():
        registry.create(Kind.DELEGATE, fit.model, fit.settings, where=f"{fit.dataset}, {fit.name}")


def show_plan(plan: Sequence[Fit], kept: Kept) -> list[str]:
    """Lines: by data set how much is measured, each row that is not, and what is kept without being planned."""
    missing = [fit for fit in plan if not fit.is_kept(kept)]
    counts = {each: [sum(fit.dataset == each for fit in some) for some in (plan, missing)] for each in list_names(plan)}
    counts["all"] = [len(plan), len(missing)]
    wide = max(map(len, counts))
    lines = [f"{'fits':{wide}}  measured  missing"]
    lines += [f"{each:{wide}}  {total - left:8}  {left:7}" for each, (total, left) in counts.items()]
    rows: dict[str, list[str]] = {}
    for fit in missing:
        rows.setdefault(f"{fit.dataset} | {fit.name}", []).append(str(fit.seed))
    if rows:
        wide = max(map(len, rows))
        lines += ["", f"{'missing':{wide}}  seeds"]
        lines += [f"{row:{wide}}  {' '.join(seeds)}" for row, seeds in rows.items()]
    others = sorted(kept.keys() - {fit.key for fit in plan})
    return [*lines, *(["", "kept, but not planned", *others] if others else [])]


def list_names(plan: Sequence[Fit]) -> list[str]:
    """The data sets of some fits, in their order."""
    return list(dict.fromkeys(fit.dataset for fit in plan))
