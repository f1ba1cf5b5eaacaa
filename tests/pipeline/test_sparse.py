"""Data with too little to tell: a run ends, and every number in its files is finite or null."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from reasonrec_serve import Recommender

from reasonrec_core.config import check_config
from reasonrec_core.errors import DataError
from reasonrec_core.evaluate.schema import finite
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.routing.budget import relative_difference

from .conftest import pipeline, silent


def log_of(folder: Path, users: int, items: int, each: int) -> Path:
    """Random interactions, as good as none of which can be foretold."""
    rng, rows = np.random.default_rng(0), ["user_id,item_id,timestamp"]
    for user in range(users):
        chosen = rng.permutation(items)[:each]
        rows += [f"u{user},i{item},{1_600_000_000 + user * 100 + step}" for step, item in enumerate(chosen)]
    folder.mkdir()
    (folder / "interactions.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize(("users", "items", "each"), [(1, 4, 3), (3, 5, 3), (4, 200, 3), (30, 400, 4)])
@pytest.mark.parametrize("router", [{"share": 0.5}, {"max_loss": 0.02}, {"share": 0.3, "abstain": 0.2}])
def test_a_run_on_next_to_nothing_ends(
    tmp_path: Path, users: int, items: int, each: int, router: dict[str, object]
) -> None:
    data = log_of(tmp_path / "data", users, items, each)
    settings = {"tasks": ["sequential"], "k": [1, 5], "resamples": 100, "latency_sample": 2}
    config = check_config(pipeline(data, router=router, evaluate=settings), "sparse")
    run_pipeline(config, tmp_path / "run", Registry.discover(), silent)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    for path in (tmp_path / "run").rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)
    assert Recommender.open(tmp_path / "run").recommend(user="u0", k=1).by in {"toy", "popularity", "transitions", ""}


TASKS = (["sequential"], ["direct"], ["sequential", "direct"], ["sequential", "ctr"])
TOO_LITTLE = re.compile("too little|too few|users are left|unknown ones are wanted|leaves no interactions|same time")


@pytest.mark.parametrize("seed", [*range(10), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 60))])
def test_any_tiny_log_ends_with_numbers_and_a_word_on_how_few_they_are_or_is_refused_as_too_small(
    seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    users, items = (int(n) for n in rng.integers(1, 7, 2))
    data = tmp_path / "data"
    data.mkdir()
    rows = ["user_id,item_id,timestamp"]
    for user in range(users):
        rows += [f"u{user},i{item},{1_600_000_000 + int(rng.integers(9**6))}" for item in rng.permutation(items)]
    (data / "interactions.csv").write_text("\n".join(rows) + "\n")
    tasks = TASKS[seed % len(TASKS)]
    more = {"router": {"share": float(rng.random())}} if rng.random() < 0.5 else {"policy": None, "router": None}
    split = {"kind": str(rng.choice(["leave-one-out", "ratio", "temporal"])), "repeats": "keep"}
    split |= {"negatives": 1} if "direct" in tasks else {}
    settings = {"tasks": tasks, "k": [1, 5], "resamples": 100, "latency_sample": 1}
    changes = {"split": split, "evaluate": settings, **more}
    if "ctr" in tasks and more["router"]:
        changes |= {"policy": None, "router": None}
    given = {name: value for name, value in pipeline(data, **changes).items() if value is not None}
    config = check_config(given, "tiny")
    refused = ""
    try:
        run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    except DataError as error:
        refused = error.message
    if refused:
        assert TOO_LITTLE.search(refused), refused
        assert not (tmp_path / "run").exists()
        return
    for path in (tmp_path / "run").rglob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)
    assert "too little" in (tmp_path / "run" / "report.html").read_text()
    recommender = Recommender.open(tmp_path / "run")
    everything = [f"i{item}" for item in range(items)]
    for request in ({"user": "u0"}, {"user": "new"}, {"history": ["?"]}, {"history": everything}):
        answer = recommender.recommend(**request, k=10**9)
        assert len(answer.items) <= items
        assert all(np.isfinite(item.score) for item in answer.items)
        assert config.policy is not None or any("There is no policy" in note for note in answer.notes)


def test_a_gain_over_a_mean_that_is_zero_in_a_draw_is_told_as_null() -> None:
    policy, better = np.zeros(12), np.full(12, 0.5)
    policy[0] = 0.1
    found = relative_difference(better, policy, np.arange(12), seed=0, resamples=200)
    assert not np.isfinite(found.high)
    assert finite(asdict(found))["high"] is None
