"""A whole run: what it leaves, that it adds up, and that it goes on where it stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from reasonrec_serve import Recommender
from reasonrec_trace import read_trace

from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError, DataError, PluginError, RunError
from reasonrec_core.pipeline.fit import fit_components
from reasonrec_core.pipeline.prepare import prepare
from reasonrec_core.pipeline.run import evaluate_run, fit_pipeline, run_pipeline
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent


def metrics_of(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_a_run_leaves_everything_that_a_reader_needs(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert {"config.toml", "environment.json", "metrics.json", "trace.parquet", "cards.json", "report.html"} <= names
    assert not any(finished.glob("work/*"))
    found = metrics_of(finished)
    assert set(found["systems"]) == {"routed", "toy", "popularity", "transitions"}
    for values in found["systems"].values():
        for name in ("NDCG@5", "HR@3", "NDCG@5[uni9]"):
            assert values[name]["low"] <= values[name]["value"] <= values[name]["high"]
    assert 0 <= found["delegation"]["share"] <= 1
    assert found["delegation"]["latency_ratio"] > 0
    assert set(found["seconds"]["fit"]) >= {"toy", "transitions"}


def test_the_per_user_files_hold_what_the_metrics_say(finished: Path) -> None:
    for label, values in metrics_of(finished)["systems"].items():
        table = pq.read_table(finished / "users" / f"sequential-{label}.parquet")
        assert np.mean(table.column("NDCG@5").to_numpy()) == pytest.approx(values["NDCG@5"]["value"])


def test_the_routed_system_is_made_of_the_others_answers(finished: Path) -> None:
    trace = read_trace(finished / "trace.parquet")
    assert {record.route for record in trace} <= {"self", "replace"}
    for record in trace:
        source = trace.header.policy if record.route == "self" else record.delegate
        assert (record.ranking, record.scores) == (record.answers[source].items, record.answers[source].scores)
        assert record.reason
        assert 0 <= record.confidence <= 1
    share = np.mean([record.route == "replace" for record in trace])
    assert share == pytest.approx(metrics_of(finished)["delegation"]["share"])


def test_a_request_is_answered_as_the_evaluation_answered_it(finished: Path) -> None:
    recommender = Recommender.open(finished)
    for row in read_trace(finished / "trace.parquet").table.to_pylist()[:20]:
        answer = recommender.recommend(history=row["history"], k=5)
        # The user is unknown in this request; only ties of equal risk are broken by the user.
        if answer.route == row["route"]:
            assert [item.id for item in answer.items] == row["ranking"]
            assert answer.confidence == pytest.approx(row["confidence"], abs=1e-5)


def test_how_sure_an_answer_is_does_not_depend_on_how_much_is_shown(finished: Path) -> None:
    recommender = Recommender.open(finished)
    few, many = (recommender.recommend(history=["item-01", "item-05"], k=k) for k in (2, 12))
    assert few.confidence == many.confidence
    assert few.uncertainty == many.uncertainty
    assert [i.id for i in few.items] == [i.id for i in many.items][:2]


def test_a_request_loads_nothing_that_only_fitting_needs(finished: Path) -> None:
    code = (
        "import sys\n"
        "from reasonrec_core.cli.main import main\n"
        f"sys.argv = ['reasonrec', 'recommend', {str(finished)!r}, '--history', 'item-01', '--no-trace', '--json']\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code, done.code\n"
        "print(sorted({'sklearn', 'scipy.stats'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"]
    assert done.stderr.strip().endswith("[]"), done.stderr


def test_requests_with_unknown_parts_are_answered_or_refused(finished: Path) -> None:
    recommender = Recommender.open(finished)
    answer = recommender.recommend(history=["item-01", "no such item"])
    assert answer.unknown == 1
    assert len(answer.items) == 10
    assert "item-01" not in {item.id for item in answer.items}
    assert len(recommender.recommend(history=[]).items) == 10
    ranked = recommender.recommend(user="user-03", candidates=["item-01", "item-02"], k=5)
    assert {item.id for item in ranked.items} == {"item-01", "item-02"}
    assert not recommender.recommend(user="nobody").personalised
    assert recommender.recommend(history=[], candidates=["nothing"]).items == ()
    with pytest.raises(ConfigError, match="either a user or a history"):
        recommender.recommend()


class Interrupt:
    """Progress that is interrupted at a label, as by Ctrl-C."""

    def __init__(self, label: str) -> None:
        self.label, self.seen = label, list[str]()

    def __call__(self, done: int, total: int, label: str) -> None:
        self.seen.append(label)
        if self.label and label.startswith(self.label):
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_where_it_stopped(data: Path, tmp_path: Path, finished: Path) -> None:
    config, registry = check_config(pipeline(data), "tiny.toml"), Registry.discover()
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(config, tmp_path / "run", registry, Interrupt("evaluate toy, test"))
    assert not (tmp_path / "run" / "metrics.json").exists()
    kept = (tmp_path / "run" / "stages" / "policy-toy" / "stage.json").stat().st_mtime_ns
    run_pipeline(config, tmp_path / "run", registry, silent)
    assert (tmp_path / "run" / "stages" / "policy-toy" / "stage.json").stat().st_mtime_ns == kept
    again, whole = metrics_of(tmp_path / "run"), metrics_of(finished)
    assert again["systems"] == whole["systems"]
    assert again["comparisons"] == whole["comparisons"]


def test_a_changed_setting_redoes_only_what_depends_on_it(data: Path, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    stamps = {p.parent.name: p.read_text() for p in folder.glob("stages/*/stage.json")}
    delegates = ["popularity", {"name": "transitions", "window": 3, "search": False}]
    changed = check_config(pipeline(data, delegates=delegates), "tiny.toml")
    run_pipeline(changed, folder, Registry.discover(), silent)
    now = {p.parent.name: p.read_text() for p in folder.glob("stages/*/stage.json")}
    assert now["delegate-transitions"] != stamps["delegate-transitions"]
    assert now["delegate-popularity"] == stamps["delegate-popularity"]
    assert now["policy-toy"] == stamps["policy-toy"]
    assert now["answers-sequential-test-toy"] == stamps["answers-sequential-test-toy"]


def test_fit_answers_no_test_query_and_evaluate_goes_on(data: Path, tmp_path: Path, finished: Path) -> None:
    registry = Registry.discover()
    fit_pipeline(check_config(pipeline(data), "tiny.toml"), tmp_path / "run", registry, silent)
    assert not list((tmp_path / "run" / "stages").glob("answers-*-test-*"))
    evaluate_run(tmp_path / "run", registry, silent)
    assert metrics_of(tmp_path / "run")["systems"] == metrics_of(finished)["systems"]


def test_no_component_is_shown_test_interactions(data: Path, tmp_path: Path) -> None:
    config = check_config(pipeline(data), "tiny.toml")
    with RunFolder.create(tmp_path / "run", config) as run:
        prepared = prepare(config, Registry.discover(), run, silent)
    fit = prepared.fit_data("x")
    shown = set(zip(fit.train.users.tolist(), fit.train.items.tolist(), strict=True))
    for part, wanted in (("valid", prepared.split.valid), ("test", prepared.split.test)):
        users = np.repeat(wanted.queries.users, np.diff(wanted.target_indptr))
        assert not shown & set(zip(users.tolist(), wanted.targets.tolist(), strict=True)), part
    assert fit.user_fields == {"city": prepared.dataset.users.column("city").to_pylist()}
    assert fit_components(prepared).policy is not None


def test_delegates_alone_are_compared_without_a_policy(data: Path, tmp_path: Path) -> None:
    config = check_config(pipeline(data, policy=None, router=None), "tiny.toml")
    found = run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    assert list(found.systems) == ["popularity", "transitions"]
    assert found.delegation is None
    answer = Recommender.open(tmp_path / "run").recommend(history=["item-01"])
    assert answer.by == "transitions"
    assert "transitions answers every request, the best delegate on" in answer.reason


def test_a_folder_of_something_else_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("my thesis")
    with pytest.raises(RunError, match="not a run"):
        run_pipeline(check_config(pipeline(data), "tiny.toml"), tmp_path, Registry.discover(), silent)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_component_that_fails_leaves_no_stage(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reasonrec_core.builtin.popularity import Popularity

    def broken(self: Popularity, fit: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(Popularity, "fit", broken)
    with pytest.raises(PluginError, match=r"popularity.*fit.*ZeroDivisionError"):
        run_pipeline(check_config(pipeline(data), "tiny.toml"), tmp_path / "run", Registry.discover(), silent)
    assert not (tmp_path / "run" / "stages" / "delegate-popularity").exists()
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"delegates": ["popularty"], "router": None}, r"delegates\.popularty.*Did you mean 'popularity'"),
        ({"policy": "transitions", "delegates": ["popularity"]}, r"policy: .*'transitions' is of kind delegate"),
        ({"observe": {"text": {"encoder": "txet"}}}, r"observe\.text: no encoder is called 'txet'"),
        ({"uncertainty": ["entrpy"]}, r"uncertainty\.entrpy.*Did you mean 'entropy'"),
        ({"delegates": [{"name": "transitions", "windw": 3}], "router": None}, r"delegates\.transitions.*windw"),
        ({"policy": None, "router": None, "evaluate": {"tasks": ["ctr"]}}, "cannot do the task 'ctr'"),
    ],
)
def test_wrong_names_tasks_and_settings_are_said_before_any_data_is_read(
    tmp_path: Path, changes: dict, said: str
) -> None:
    config = check_config(pipeline(tmp_path / "there is no data", **changes), "tiny.toml")
    with pytest.raises(ConfigError, match=said):
        run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    assert not (tmp_path / "run").exists()


def test_the_trace_keeps_the_steps_of_the_policys_decisions(finished: Path) -> None:
    for record in read_trace(finished / "trace.parquet"):
        assert bool(record.steps) == (record.route == "self")
        for step in record.steps:
            assert step.claim


def test_data_that_cannot_be_used_leaves_no_run_folder(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "interactions.csv").write_text("user_id,item_id\na,x\nb,y\n")
    for name, said in (("few", "no user has 3 interactions"), ("absent", "no such file")):
        config = check_config(pipeline(tmp_path / name), "tiny.toml")
        with pytest.raises(DataError, match=said):
            run_pipeline(config, tmp_path / "runs" / "run", Registry.discover(), silent)
        assert not (tmp_path / "runs").exists()
