"""What is served has learned from everything, and nothing is measured of it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_serve import Recommender
from reasonrec_serve.final_models import fit_final, has_final_models
from reasonrec_transitions.delegate import Transitions
from small_logs import build

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config, load_config
from reasonrec_core.data import LEFT_OUT, TEST, Dataset, open_split
from reasonrec_core.errors import RunError
from reasonrec_core.pipeline.evaluate import evaluate_tasks
from reasonrec_core.pipeline.prepare import Prepared, prepare
from reasonrec_core.pipeline.run import evaluate_run, fit_pipeline
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent

CHANGES: dict[str, Any] = {"evaluate": {"k": [3, 5], "resamples": 100, "latency_sample": 5, "faithfulness": 0}}


def fit(data: Path, folder: Path, **changes: Any) -> Path:
    """A fitted run."""
    config = check_config(pipeline(data, **{**CHANGES, **changes}), "tiny.toml")
    fit_pipeline(config, folder, Registry.discover(), silent)
    return folder


@pytest.fixture(scope="module")
def fitted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(data, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(fitted, tmp_path / "run"))


@contextmanager
def prepare_run(run: Path) -> Iterator[Prepared]:
    """The run's data as its components were fitted on it."""
    folder = RunFolder.open(run)
    with folder.locked():
        yield prepare(load_config(run / "config.toml"), Registry.discover(), folder, silent)


def test_a_counting_delegate_equals_one_that_counted_the_whole_log(run: Path) -> None:
    found = fit_final(run)
    assert found.fitted == ("toy", "popularity", "transitions")
    assert not found.kept
    dataset = Dataset.open(run / "stages" / "data" / "dataset")
    split = open_split(run / "stages" / "split-sequential" / "split", dataset)
    everything = dataset.interactions.take(split.parts != LEFT_OUT)
    assert (found.interactions, found.more) == (len(everything), len(everything) - len(split.train))
    with prepare_run(run) as prepared:
        data = replace(prepared.fit_data("work"), train=everything)
        for label, part in ((n, d.part) for n, d in Recommender.open(run).agent.delegates.items()):
            whole = type(part)(part.config)
            whole.fit(data)
            queries = prepared.cases(prepared.config.tasks[0], "test").queries
            seen = prepared.observation(None)
            np.testing.assert_array_equal(part.score(queries, seen), whole.score(queries, seen), err_msg=label)


def test_what_only_held_out_parts_know_the_final_models_know(tmp_path: Path) -> None:
    rows = [(f"u{user}", f"i{(user + step) % 7}", step) for user in range(12) for step in range(5)]
    rows += [(f"u{user}", "new", 9) for user in range(6)]
    data = build(rows, folder=tmp_path / "data").folder
    run = fit(data, tmp_path / "run", policy=None, router=None, delegates=["popularity"])
    ask = {"history": ["i0"], "k": 8}
    before = {item.id: item.score for item in Recommender.open(run).recommend(**ask).items}
    assert before["new"] == 0
    fit_final(run)
    after = {item.id: item.score for item in Recommender.open(run).recommend(**ask).items}
    assert after["new"] == 6


def test_answers_say_which_models_spoke_and_either_can_be_asked(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Recommender.open(run).recommend(history=[]).models == "evaluated"
    with pytest.raises(RunError, match="no final models"):
        Recommender.open(run, models="final")
    fit_final(run)
    served = Recommender.open(run)
    answer = served.recommend(history=[])
    assert answer.models == answer.to_dict()["models"] == "final"
    assert has_final_models(run)
    assert Recommender.open(run, models="evaluated").recommend(history=[]).models == "evaluated"
    with pytest.raises(SystemExit) as ended:
        main(["recommend", str(run), "--history", "", "--why"])
    assert not ended.value.code
    assert "Models: final, which have learned from all interactions." in capsys.readouterr().out


def test_requests_leave_which_models_spoke_in_the_trace(run: Path) -> None:
    fit_final(run)
    Recommender.open(run, trace=True).recommend(history=[])
    first = (run / "requests-sequential.jsonl").read_text().partition("\n")[0]
    versions = json.loads(first)["reasonrec.trace"]["versions"]
    assert [each["models"] for each in versions.values()] == ["final"]


def test_nothing_is_measured_of_final_models(run: Path) -> None:
    before = evaluate_run(run, Registry.discover(), silent)
    fit_final(run)
    final = Recommender.open(run).agent
    with prepare_run(run) as prepared, pytest.raises(RunError, match="has already seen the test data"):
        evaluate_tasks(prepared, final)
    shutil.rmtree(run / "stages" / "answers-sequential-test-toy")
    again = evaluate_run(run, Registry.discover(), silent)
    assert again.systems == before.systems
    assert Recommender.open(run).agent.models == "final"


def test_what_is_done_is_not_done_again_and_damage_is_mended(run: Path) -> None:
    fit_final(run)
    stamp = run / "stages" / "final-delegate-transitions" / "stage.json"
    made = stamp.stat().st_mtime_ns
    assert set(fit_final(run).reused) == {"toy", "popularity", "transitions"}
    assert stamp.stat().st_mtime_ns == made
    component = stamp.parent / "component" / "transitions.npz"
    component.write_bytes(component.read_bytes()[:-1])
    with pytest.raises(RunError, match="final-delegate-transitions is damaged"):
        Recommender.open(run)
    assert set(fit_final(run).reused) == {"toy", "popularity"}
    assert Recommender.open(run).agent.models == "final"


def test_a_run_that_was_fitted_again_does_not_answer_with_final_models_of_before(
    data: Path, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit_final(run)
    fit(data, run, delegates=["popularity", {"name": "transitions", "window": 3, "search": False}])
    logging.getLogger("reasonrec").propagate = True
    assert Recommender.open(run).recommend(history=[]).models == "evaluated"
    assert "fitted again after the final models" in caplog.text
    with pytest.raises(RunError, match="fitted again after"):
        Recommender.open(run, models="final")
    found = fit_final(run)
    assert set(found.reused) == {"toy", "popularity"}
    assert Recommender.open(run).recommend(history=[]).models == "final"


def test_one_that_cannot_take_its_choices_over_answers_as_it_was_evaluated(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Transitions, "refit")
    run = fit(data, tmp_path / "run", delegates=["popularity", {"name": "transitions", "trials": 3}])
    for _ in range(2):
        found = fit_final(run)
        assert found.fitted == ("toy", "popularity")
        assert list(found.kept) == ["transitions"]
    assert "transitions still answers as evaluated: its settings are chosen on validation" in " ".join(found.describe())
    agent = Recommender.open(run).agent
    assert agent.models == "final"
    assert [agent.delegates[label].final for label in ("popularity", "transitions")] == [True, False]


def test_test_interactions_are_among_what_was_learned(run: Path) -> None:
    """The guard above is needed: a final delegate has counted them."""
    fit_final(run)
    dataset = Dataset.open(run / "stages" / "data" / "dataset")
    split = open_split(run / "stages" / "split-sequential" / "split", dataset)
    tested = dataset.interactions.take(split.parts == TEST).items
    final, evaluated = (Recommender.open(run, models=models).agent for models in ("final", "evaluated"))
    gained = final.delegates["popularity"].part._counts - evaluated.delegates["popularity"].part._counts
    assert (gained[np.unique(tested)] > 0).all()
