"""Faithfulness as a part of a run: measured once, kept, told; or why not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_serve import Recommender

from reasonrec_core.components import ReasoningPolicy
from reasonrec_core.config import ComponentConfig, ReportConfig, check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.pipeline.agent import Agent, EditedPolicy, Named
from reasonrec_core.pipeline.evaluate import EvaluatedRun, EvaluatedTask, evaluate_task
from reasonrec_core.pipeline.prepare import Prepared, prepare
from reasonrec_core.pipeline.reports import run_analyses
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry
from reasonrec_core.types import Deliberation, Observation, QueryBatch, Task

from .conftest import PIPELINE, pipeline, silent


class Fixed(ReasoningPolicy):
    """A policy whose steps cannot be edited."""

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        raise NotImplementedError


@pytest.fixture(scope="module")
def run(finished: Path, data: Path) -> tuple[Prepared, Recommender, EvaluatedTask]:
    config = check_config(pipeline(data), "tiny.toml")
    prepared = prepare(config, Registry.discover(), RunFolder.open(finished), silent)
    recommender = Recommender.open(finished)
    return prepared, recommender, evaluate_task(prepared, recommender.agent, Task.SEQUENTIAL)


def analyses(prepared: Prepared, agent: Agent, found: EvaluatedTask) -> Any:
    """What the reporter `faithfulness` says, or those that the settings name."""
    if prepared.config.report.reporters is None:
        report = ReportConfig(reporters=(ComponentConfig(name="faithfulness"),))
        prepared = replace(prepared, config=prepared.config.model_copy(update={"report": report}))
    return run_analyses(EvaluatedRun(prepared, agent, (found,), None))["analyses"]


def test_a_run_says_whether_its_steps_cause_its_answers(finished: Path) -> None:
    found = json.loads((finished / "metrics.json").read_text())["analyses"]["faithfulness"]
    assert (found["policy"], found["task"], found["k"]) == ("toy", "sequential", 10)
    assert 0 < found["n"] <= 48
    kinds = {(row["measure"], row["of"], row["share"]) for row in found["evidence"]}
    assert len(kinds) == len(found["evidence"]) == 8
    for row in found["evidence"]:
        assert row["difference"] == pytest.approx(row["cited"]["value"] - row["random"]["value"])
        assert row["low"] <= row["difference"] <= row["high"]
    cited = next(row for row in found["evidence"] if (row["measure"], row["of"]) == ("comprehensiveness", "mass"))
    assert cited["difference"] > 0
    assert {row["field"] for row in found["edits"]} >= {"brand", "categories"}
    assert all(row["low"] > 0 for row in found["edits"])
    assert "Whether the reasons cause the answers" in (finished / "report.html").read_text()


def test_what_was_measured_is_kept(run: tuple[Prepared, Recommender, EvaluatedTask], finished: Path) -> None:
    prepared, recommender, found = run
    stamp = (finished / "stages" / "faithfulness-sequential" / "stage.json").stat().st_mtime_ns
    again = analyses(prepared, recommender.agent, found)
    assert again["faithfulness"] == Results.read(finished).analyses["faithfulness"]
    assert (finished / "stages" / "faithfulness-sequential" / "stage.json").stat().st_mtime_ns == stamp


def test_as_many_queries_as_are_wanted(run: tuple[Prepared, Recommender, EvaluatedTask], tmp_path: Path) -> None:
    prepared, recommender, found = run
    config = check_config(pipeline(tmp_path, evaluate={**PIPELINE["evaluate"], "faithfulness": 7}), "x")
    few = replace(prepared, config=config, run=RunFolder(tmp_path / "run"))
    assert analyses(few, recommender.agent, found)["faithfulness"]["n"] == 7
    off = check_config(pipeline(tmp_path, evaluate={"faithfulness": 0}), "x")
    assert analyses(replace(prepared, config=off), recommender.agent, found) == {}


def test_why_it_was_not_measured(run: tuple[Prepared, Recommender, EvaluatedTask]) -> None:
    prepared, recommender, found = run
    fixed = replace(recommender.agent, policy=Named("mine", "toy", Fixed(Fixed.Config())))
    refused = analyses(prepared, fixed, found)
    assert refused["faithfulness"]["skipped"] == "the steps of the policy 'mine' cannot be edited"
    with pytest.raises(ConfigError, match=r"the steps of the policy 'mine' cannot be edited\. Use a policy"):
        EditedPolicy.of(fixed)
    short = found.cases.take(np.flatnonzero(found.cases.queries.history.lengths < 2))
    nobody = analyses(prepared, recommender.agent, replace(found, cases=short))
    assert nobody["faithfulness"]["skipped"] == "no test request has 2 history entries"


def test_without_a_policy_the_reasons_of_delegates_are_judged(data: Path, tmp_path: Path) -> None:
    config = check_config(pipeline(data, policy=None, router=None), "tiny.toml")
    found = run_pipeline(config, tmp_path / "run", Registry.discover(), silent).analyses["faithfulness"]
    assert {row["system"] for row in found["delegates"]} == {"popularity", "transitions"}
    assert all(row["low"] > 0 for row in found["delegates"] if row["system"] == "transitions")
    assert "edits" not in found


def test_a_run_says_that_nobody_measures_it(
    run: tuple[Prepared, Recommender, EvaluatedTask], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared, recommender, found = run
    config = check_config(pipeline(tmp_path, report={"reporters": [{"name": "html"}]}), "x")
    alone = replace(prepared, config=config, run=RunFolder(tmp_path / "run", say=print))
    assert analyses(alone, recommender.agent, found) == {}
    assert capsys.readouterr().out.startswith("Faithfulness is not measured: that needs the reporter 'faithfulness'")
