"""Every benchmark imports what there is, and says how it is called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reasonrec_core.errors import DataError
from reasonrec_core.evaluate.ctr_metrics import auc

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
IMPORT_ALL = """
import importlib, pathlib, sys, traceback
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
names = sorted(path.stem for path in folder.glob("*.py"))
for name in names:
    try:
        module = importlib.import_module(name)
    except Exception:
        print(name, traceback.format_exc())
    else:
        if not (module.__doc__ or "").strip():
            print(name, "has no docstring")
"""


def test_every_benchmark_can_be_imported_together_with_the_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(BENCHMARKS)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert len(list(BENCHMARKS.glob("*.py"))) > 40


def test_the_page_on_acting_is_what_its_measurements_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import acting_table

    results, page = BENCHMARKS / "results", tmp_path / "acting.md"
    page.write_text((results / "acting.md").read_text())
    monkeypatch.setattr(acting_table, "OUT", page)
    acting_table.write_table(results / "acting")
    assert page.read_text() == (results / "acting.md").read_text(), "acting.py table --work benchmarks/results/acting"


def test_click_models_are_compared_over_seeds_by_resampled_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from click_pairs import compare_clicks

    rng = np.random.default_rng(0)
    users = np.sort(rng.integers(0, 80, 1200)).astype(np.int32)
    truth = rng.normal(size=1200)
    label = (rng.random(1200) < 1 / (1 + np.exp(-truth))).astype(np.float64)

    def answer(noise: float) -> dict[str, Any]:
        probability = 1 / (1 + np.exp(-truth - noise * rng.normal(size=1200)))
        return {"users": users, "query": np.arange(1200), "label": label, "probability": probability}

    good, bad = [answer(0.1), answer(0.1)], [answer(2.0), answer(2.0)]
    found = {row.metric: row for row in compare_clicks(good, bad)}
    areas = [np.mean([auc(label, each["probability"]) for each in some]) for some in (good, bad)]
    assert found["AUC"].difference == pytest.approx(areas[0] - areas[1], abs=1e-6)
    draws = []
    for _ in range(300):  # the same by drawing users with all their rows, and the AUC of those
        rows = np.concatenate([np.flatnonzero(users == u) for u in rng.choice(np.unique(users), len(np.unique(users)))])
        some = [
            np.mean([auc(label[rows], each["probability"][rows]) for each in each_side]) for each_side in (good, bad)
        ]
        draws.append(some[0] - some[1])
    assert found["AUC"].low == pytest.approx(np.quantile(draws, 0.025), abs=0.01)
    assert found["AUC"].high == pytest.approx(np.quantile(draws, 0.975), abs=0.01)
    assert found["LogLoss"].difference < 0
    assert found["LogLoss"].p < 0.001
    assert [(row.difference, row.low, row.high, row.p) for row in compare_clicks(good, good)] == 3 * [(0, 0, 0, 1)]
    with pytest.raises(DataError, match="same clicks"):
        compare_clicks(good, [{**each, "label": 1 - label} for each in bad])
