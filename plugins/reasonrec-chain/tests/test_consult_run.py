"""Consulting in a run: used where a delegate knows more than the own experts, and else never, which is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import SMALL

from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import evaluate_fitted, fit_prepared, run_pipeline, start_run
from reasonrec_core.registry import Registry
from reasonrec_core.types import Route, Task

USERS, ITEMS = 60, 12


def settings(folder: Path, **policy: Any) -> dict[str, Any]:
    """A pipeline over a log in which each item is followed by the next, in walks of several lengths."""
    random, lines = np.random.default_rng(1), ["user_id,item_id,timestamp"]
    for user in range(USERS):
        first = int(random.integers(ITEMS))
        lines += [f"u{user},p{(first + place) % ITEMS},{place}" for place in range(random.integers(3, 8))]
    (folder / "shop.csv").write_text("\n".join(lines))
    return {
        "name": "asking", "data": {"path": str(folder / "shop.csv")},
        "policy": SMALL | {"name": "chain", "counted": {"transitions": {"trials": 2}}} | policy,
        "delegates": [
            {"name": "transitions", "label": "follows", "search": False},
            {"name": "popularity", "label": "best-sellers"},
        ],
        "router": {"share": 0.0, "consult": 0.1},
        "evaluate": {"tasks": ["sequential"], "k": [3], "resamples": 200, "latency_sample": 2, "faithfulness": 4},
    }  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own cache out of the tests."""
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))


def test_where_it_gains_the_delegate_joins_the_experts(tmp_path: Path) -> None:
    config = check_config(settings(tmp_path, experts=["popularity"], consulted=["follows"]), "asking.toml")
    with start_run(config, tmp_path / "run", Registry.discover(), lambda *_: None) as prepared:
        fitted = fit_prepared(prepared)
        found = evaluate_fitted(fitted).to_dict()
    tried = found["routing"]["validation"]["consult"]
    assert tried["used"] is True
    assert tried["consulted"] > tried["policy"]
    outcome = fitted.agent.act(prepared.cases(Task.SEQUENTIAL, "test").queries)
    consulted = outcome.decisions.route == str(Route.CONSULT)
    assert 0 < found["routing"]["consulted"] == consulted.mean() < 1
    assert outcome.deliberation is not None
    for row, asked in enumerate(consulted.tolist()):
        assert any(step.claim.startswith("follows: ") for step in outcome.deliberation.steps[row]) == asked


def test_without_a_gain_nobody_is_consulted(tmp_path: Path) -> None:
    config = check_config(settings(tmp_path, consulted=["best-sellers"]), "asking.toml")
    found = run_pipeline(config, tmp_path / "run", Registry.discover(), lambda *_: None).to_dict()
    tried = found["routing"]["validation"]["consult"]
    assert tried["queries"] > 0
    assert tried["used"] is False
    assert found["routing"]["consulted"] == 0.0
    assert "consult" not in found["systems"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "That is not a clear gain, so no delegate is consulted." in page


def test_whoever_consults_says_whom(tmp_path: Path) -> None:
    config = check_config(settings(tmp_path), "asking.toml")
    with pytest.raises(ConfigError, match=r"^router\.consult: .*'chain' .*as it is set\. .*or chain with consulted"):
        run_pipeline(config, tmp_path / "run", Registry.discover(), lambda *_: None)
