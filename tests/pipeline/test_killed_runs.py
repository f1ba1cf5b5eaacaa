"""SIGKILL at random points: the same command then ends with the same metrics and leaves nothing half-written.

``benchmarks/holding.py`` tries the same of other seeds, with commands started from nothing.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from forked_command import start_command

from reasonrec_core.io import is_leftover
from reasonrec_core.testing import tiny_dataset

FEW = {"k": [3], "resamples": 100, "latency_sample": 1, "faithfulness": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "profile": {
        "policy": {"name": "profile", "trials": 20},
        "delegates": ["popularity"],
        "evaluate": {"tasks": ["sequential"], **FEW},
    },
    "chain": {
        "policy": {
            "name": "chain",
            "network": {"dimensions": 8, "layers": 1, "heads": 1, "components": 4},
            "training": {"epochs": 2, "warmup": 2, "device": "cpu"},
            "gates": {"steps": 5, "epochs": 1, "folds": 2, "hidden": 2, "depth": 5},
        },
        "delegates": ["popularity"],
        "evaluate": {"tasks": ["sequential"], **FEW},
    },
}
COMMON = {"split": {"negatives": 5}, "router": {"share": 0.35}, "report": {"cards": 1, "steps": 1}}


class Shop:
    """Tiny data, a pipeline, and a run of it that was left alone."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        path = str(tiny_dataset(folder / "data").folder)
        (folder / "p.toml").write_text(
            tomli_w.dumps({"name": kind, "data": {"path": path}, **COMMON, **SETTINGS[kind]})
        )
        assert self.end(folder / "warm", folder / "cache") == 0
        begin = time.perf_counter()
        assert self.end(folder / "whole", folder / "fresh") == 0
        self.seconds = time.perf_counter() - begin
        self.wanted = metrics_of(folder / "whole")

    def start(self, run: Path, cache: Path) -> Any:
        return start_command(["run", str(self.folder / "p.toml"), "--out", str(run)], REASONREC_CACHE=str(cache))

    def end(self, run: Path, cache: Path) -> int | None:
        process = self.start(run, cache)
        process.join()
        code: int | None = process.exitcode
        process.close()
        return code


def metrics_of(run: Path) -> dict[str, object]:
    found = json.loads((run / "metrics.json").read_text())
    return {name: found[name] for name in ("systems", "comparisons", "slices")}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "points"), [("profile", 15), ("chain", 10)])
def test_a_killed_run_ends_as_one_that_was_left_alone(tmp_path: Path, kind: str, points: int) -> None:
    shop, chance, killed = Shop(tmp_path, kind), random.Random(0), 0
    for point in range(points):
        run, cache = tmp_path / "run", tmp_path / ("fresh" if point % 2 else "cache")
        shutil.rmtree(run, ignore_errors=True)
        if point % 2:
            shutil.rmtree(cache, ignore_errors=True)
        process = shop.start(run, cache)
        time.sleep(chance.uniform(0, shop.seconds))
        process.kill()
        process.join()
        killed += process.exitcode != 0
        process.close()
        assert shop.end(run, cache) == 0, point
        assert metrics_of(run) == shop.wanted, point
        assert not [path for path in (*run.rglob("*"), *cache.rglob("*")) if is_leftover(path.name)], point
    assert killed > points // 4, "too few runs were still going when they were killed"
