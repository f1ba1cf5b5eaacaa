"""Clicks beside rankings: what is asked, how scores become probabilities, what a run says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from reasonrec_serve import Recommender
from reasonrec_trace import read_trace

from reasonrec_core.config import check_config
from reasonrec_core.data import SplitConfig, draw_click_split, draw_direct_split, make_split, open_split, save_split
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.pipeline.run import evaluate_run, run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.testing.tiny import tiny_dataset
from reasonrec_core.types import Cases, Task

from .conftest import pipeline, silent

DELEGATES = {"policy": None, "router": None}
TASKS = {"tasks": ["ctr", "sequential"], "k": [3, 5], "resamples": 200, "latency_sample": 2}


def test_each_target_is_asked_about_beside_one_untouched_item(data: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(data)
    split = make_split(dataset, SplitConfig())
    drawn = draw_click_split(split, dataset, seed=3)
    save_split(drawn, tmp_path / "split", dataset)
    for part in (drawn.valid, drawn.test, open_split(tmp_path / "split", dataset).test):
        assert isinstance(part, Cases)
        assert part.queries.task is Task.CTR
        assert part.labels is not None
        assert part.queries.candidates is not None
        assert (part.labels.sum(axis=1) == 1).all()
        assert (part.queries.candidates[part.labels > 0] == part.targets).all()
        touched = {user: set() for user in part.queries.users.tolist()}
        log = dataset.interactions
        for user, item in zip(log.users.tolist(), log.items.tolist(), strict=True):
            touched.get(user, set()).add(item)
        other = part.queries.candidates[part.labels == 0]
        assert not any(i in touched[u] for u, i in zip(part.queries.users.tolist(), other.tolist(), strict=True))
    assert 0.2 < np.mean(drawn.test.labels[:, 0]) < 0.8, "in an order of chance"  # type: ignore[index]
    others = {draw_click_split(split, dataset, seed=seed).hash for seed in (3, 4)}
    assert len({*others, split.hash, draw_direct_split(split, dataset, negatives=9, seed=3).hash}) == 4
    assert "one uniform item that its user never touched (seed 3)" in drawn.protocol


def test_a_run_tells_clicks_from_what_delegates_rank(data: Path, tmp_path: Path) -> None:
    config = check_config(pipeline(data, **DELEGATES, evaluate=TASKS), "tiny.toml")
    assert config.tasks == (Task.SEQUENTIAL, Task.CTR), "what a report is about comes first"
    run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    for values in found["systems"].values():
        assert {"NDCG@5", "AUC", "UAUC", "LogLoss", "ECE"} <= set(values)
        assert values["AUC"]["low"] <= values["AUC"]["value"] <= values["AUC"]["high"]
    # The tiny log has a rule of transitions, which a click can be told by.
    assert found["systems"]["transitions"]["AUC"]["value"] > 0.6
    assert found["systems"]["transitions"]["LogLoss"]["value"] < np.log(2)
    assert "clicks: each target against one" in found["protocol"]
    assert {"AUC", "LogLoss"} <= {row["metric"] for row in found["comparisons"]}
    assert pq.read_table(tmp_path / "run" / "users" / "ctr-transitions.parquet").num_rows > 0
    trace = read_trace(tmp_path / "run" / "trace-ctr.parquet")
    assert all(len(record.ranking) == 2 for record in trace)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "AUC" in page
    assert "a model that answers by itself; here" in page, "there is no policy that it could answer instead of"
    alone = Recommender.open(tmp_path / "run").agent.alone
    assert alone[Task.CTR][0] == "transitions"
    assert "validation requests (AUC 0." in alone[Task.CTR][1], "not on the test part, which is for judging"
    evaluate_run(tmp_path / "run", Registry.discover(), silent)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["systems"] == found["systems"]


def test_a_policy_that_only_ranks_says_so(tmp_path: Path) -> None:
    config = check_config(pipeline(tmp_path / "no data", evaluate=TASKS), "tiny.toml")
    with pytest.raises(ConfigError, match="policy 'toy' cannot do the task 'ctr'"):
        run_pipeline(config, tmp_path / "run", Registry.discover(), silent)


def test_labelled_rows_are_asked_about_alone(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "clicks", clicks=True)
    labelled = make_split(dataset, SplitConfig())
    rows = np.ones((len(labelled.test), 1), np.float32)
    cases = Cases(labelled.test.queries, labelled.test.target_indptr, labelled.test.targets, rows)
    with pytest.raises(DataError, match="labelled"):
        draw_click_split(replace(labelled, valid=cases, test=cases), dataset, seed=0)


@pytest.mark.parametrize("kind", ["leave-one-out", "random"])
def test_clicks_alone_need_labelled_parts(data: Path, tmp_path: Path, kind: str) -> None:
    """A split that draws its targets from what users chose gives rankings, whatever labels the data has."""
    changes = {"split": {"kind": kind}, "delegates": ["lightgbm-ctr"], "evaluate": {"tasks": ["ctr"]}}
    config = check_config(pipeline(data, **{**DELEGATES, **changes}), "tiny.toml")
    with pytest.raises(ConfigError, match="labelled rows that come in parts") as caught:
        run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    assert caught.value.where == "evaluate.tasks"
    assert not (tmp_path / "run").exists()
