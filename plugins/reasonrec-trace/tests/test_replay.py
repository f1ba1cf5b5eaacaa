"""Replay: from the trace alone come the decisions that a run with another router would have made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from reasonrec_datasets.synth import SynthConfig, make_catalogue
from reasonrec_serve import Recommender
from reasonrec_trace import Header, TraceRecord, TraceWriter, UncertaintyValue, open_trace, read_trace
from reasonrec_trace.replay import Replay, Wanted, replay
from reasonrec_trace.replay_router import as_recorded, compute_quality, decide, recorded_router
from reasonrec_trace.schema import VALID
from reasonrec_trace.stats import statistics
from reasonrec_trace.trace_arrays import read_recorded

from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError, RunError
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.routing import Router
from reasonrec_core.routing.config import AnyRouterConfig

from .conftest import silent

ROUTERS = {
    "another share": {"share": 0.7, "stage": "before"},
    "after the answer": {"share": 0.35, "stage": "after"},
    "a risk": {"risk": 0.077, "stage": "after", "estimators": ["entropy", "margin"]},
    "another delegate": {"share": 0.5, "stage": "before", "delegate": "popularity"},
    "a loss": {"max_loss": 0.3, "stage": "before", "kind": "deferral", "answer_features": "all"},
    "risk control": {"kind": "risk-control", "risk": 0.2, "stage": "before", "answer_features": "all"},
    "cascade": {"kind": "cascade", "share": 0.4, "stage": "before", "overhead": 1.0},
    "abstaining": {"share": 0.3, "stage": "after", "abstain": 0.2},
    "learned deferral": {"kind": "deferral", "share": 0.4, "stage": "before", "answer_features": "all"},
    "deferral after the answer": {"kind": "deferral", "share": 0.6, "stage": "after", "answer_features": "all"},
}
SHOP = {
    "name": "shop",
    "policy": "toy",
    "delegates": ["popularity", {"name": "transitions", "window": 2, "search": False}],
    "router": {"share": 0.35, "stage": "before"},
    "evaluate": {"k": [3, 5], "resamples": 200, "latency_sample": 30, "faithfulness": 0},
    "report": {"cards": 1, "steps": 50, "reporters": ["trace"]},
}


def pipeline(path: Path, **changes: object) -> dict[str, object]:
    """The settings, with some changed."""
    return {**SHOP, "data": {"path": str(path)}, **changes}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic shop, small; without encoders its pictures do not matter."""
    folder = tmp_path_factory.mktemp("shop") / "data"
    make_catalogue(folder, SynthConfig(users=500, items=60, image_size=32), silent)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path) -> Path:
    """A finished run folder. Tests do not change it."""
    folder = data.parent / "run"
    run_pipeline(check_config(pipeline(data), "shop.toml"), folder, Registry.discover(), silent)
    return folder


def router(**settings: object) -> AnyRouterConfig:
    return AnyRouterConfig.model_validate(settings)


def replayed(path: Path, *metrics: str, **wanted: object) -> Replay:
    return replay(open_trace(path), Wanted(**wanted), metrics=metrics)  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def small_fits() -> Iterator[None]:
    """Routers are chosen among fewer and smaller fits, by runs and by replays alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reasonrec_core.routing.logistic.PENALTIES", (1.0,))
        patch.setattr("reasonrec_routers.cross_fitting.FORMS", ("ridge-1000", "products-1000"))
        yield


Run = Callable[..., Path]


@pytest.fixture(scope="module")
def run_of(run_with: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the run with one of `ROUTERS`, made once. Tests do not change it."""

    @cache
    def find(name: str) -> Path:
        listed = ["entropy", "margin", "evidence-horizon"]
        return run_with(ROUTERS[name], tmp_path_factory.mktemp("other") / "run", uncertainty=listed)

    return find


@pytest.fixture(scope="module")
def run_with(data: Path, finished: Path) -> Run:
    """Makes a whole run in a folder whose router is another one, with the parts that `finished` has fitted."""

    def make(settings: dict[str, object], folder: Path, **changes: object) -> Path:
        shutil.copytree(finished, folder)
        config = check_config(pipeline(data, router=settings, **changes), "shop.toml")
        run_pipeline(config, folder, Registry.discover(), silent)
        return folder

    return make


def test_an_untouched_replay_makes_the_recorded_decisions(finished: Path) -> None:
    found = replayed(finished)
    assert found.changed == 0
    assert found.replayed == found.recorded
    assert set(found.recorded.routes) == {"self", "replace"}
    assert [(c.difference, c.low, c.high) for c in found.comparisons] == [(0.0, 0.0, 0.0)] * 2
    metrics = json.loads((finished / "metrics.json").read_text())
    assert found.recorded.quality["NDCG@5"] == pytest.approx(metrics["systems"]["routed"]["NDCG@5"]["value"])
    assert found.policy is not None
    assert found.policy.quality["NDCG@5"] == pytest.approx(metrics["systems"]["toy"]["NDCG@5"]["value"])
    assert found.recorded.share == pytest.approx(metrics["delegation"]["share"])


def test_the_recorded_router_learned_anew_from_the_trace_is_the_same(finished: Path) -> None:
    again = replayed(finished, router=router(share=0.35, stage="before"))
    assert again.changed == 0
    recorded = recorded_router(read_recorded(open_trace(finished)))
    assert isinstance(recorded, Router)
    assert replayed(finished, share=again.recorded.share).replayed.share == pytest.approx(
        again.recorded.share, abs=0.02
    )


@pytest.mark.parametrize("name", ROUTERS)
def test_a_replay_decides_as_a_run_with_that_router_does(
    name: str, finished: Path, run_of: Callable[[str], Path]
) -> None:
    other = run_of(name)
    found, real = replayed(finished, router=router(**ROUTERS[name])), replayed(other)
    assert found.changed > 0
    assert found.replayed.routes == real.recorded.routes
    assert found.replayed.quality == pytest.approx(real.recorded.quality)
    assert found.delegate == real.delegate
    file = open_trace(finished)
    test, learned = read_recorded(file), recorded_router(read_recorded(open_trace(other)))
    routes = decide(test, learned).routes.tolist()
    assert routes == [record.route for record in read_trace(other)]


def test_hashed_traces_replay_alike(
    finished: Path, run_with: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REASONREC_TRACE_KEY", "0123456789abcdef")
    hide = {"hash_users": True, "hash_items": True, "format": "jsonl"}
    other = run_with({"share": 0.35, "stage": "before"}, tmp_path / "run", trace=hide)
    trace = read_trace(finished)
    ties = [r for r in trace if r.gain == trace.header.router["state"]["threshold"]["level"]]
    assert {r.route for r in ties} == {"self", "replace"}, "the test needs requests that only their keys tell apart"
    untouched = replayed(other)
    assert untouched.changed == 0
    assert untouched.recorded.routes == replayed(finished).recorded.routes
    assert replayed(other, share=1.0).replayed.quality == pytest.approx(replayed(finished, share=1.0).replayed.quality)


def test_shares_and_their_quality(finished: Path) -> None:
    nobody, everybody = replayed(finished, share=0.0), replayed(finished, share=1.0)
    assert nobody.replayed.routes == {"self": nobody.n}
    assert nobody.policy is not None
    assert nobody.replayed.quality == nobody.policy.quality
    assert nobody.against_policy is not None
    assert nobody.against_policy.value == 0
    assert everybody.replayed.routes == {"replace": everybody.n}
    table = [r.quality["transitions"]["NDCG@5"] for r in read_trace(finished)]
    assert everybody.replayed.quality["NDCG@5"] == pytest.approx(np.mean(table))
    half = replayed(finished, share=0.5)
    assert half.replayed.share == pytest.approx(0.5, abs=0.02)


def test_asked_for_metrics_are_compared(finished: Path) -> None:
    found = replayed(finished, "MRR@3", "Novelty@5", share=0.8)
    assert [c.metric for c in found.comparisons] == ["MRR@3", "Novelty@5"]
    for row in found.comparisons:
        assert row.low <= row.difference <= row.high
    with pytest.raises(ConfigError, match=r"--metric: the trace has no metric 'NDCG@7'.*NDCG@5"):
        replayed(finished, "NDCG@7")


def test_a_latency_is_met_by_the_smallest_share(finished: Path) -> None:
    lines = [replayed(finished, share=share).replayed.latency for share in (0.0, 1.0)]
    slow, fast = (line["mean"] for line in lines if line)
    if fast < slow:
        between = (slow + fast) / 2
        found = replayed(finished, max_latency=between)
        assert found.replayed.latency is not None
        assert found.replayed.latency["mean"] <= between
        assert 0 < found.replayed.share < 1
    assert replayed(finished, max_latency=60.0).replayed.share == 0.0
    with pytest.raises(ConfigError, match=r"--max-latency: 1e-06 ms cannot be reached.*Allow at least \d"):
        replayed(finished, max_latency=1e-9)


def test_a_tolerated_loss_is_chosen_on_validation_and_checked_on_test(finished: Path) -> None:
    found = replayed(finished, max_loss=1.0)
    assert found.goal is not None
    assert found.replayed.share == 1.0
    assert found.goal["confirmed"]
    assert found.goal["validation"]["low"] >= -1.0
    none = replayed(finished, max_loss=0.0)
    assert none.goal is not None
    assert none.goal["validation"]["low"] >= 0.0


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"share": 0.1, "max_loss": 0.1}, "give only one of"),
        ({"router": {"share": 0.1, "estimators": ["entrpy"]}}, r"no uncertainty estimator 'entrpy'.*Did you mean"),
        ({"router": {"share": 0.1, "delegate": "popularty"}}, r"unknown delegate 'popularty'.*Did you mean"),
        ({"router": {"risk": 1e-9}}, r"a risk of 1e-09 cannot be reached"),
    ],
)
def test_what_cannot_be_replayed_is_said(finished: Path, wanted: dict[str, object], said: str) -> None:
    if isinstance(wanted.get("router"), dict):
        wanted = {"router": router(**wanted["router"])}  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=said):
        replayed(finished, **wanted)


def test_a_run_without_a_router_replays_as_it_was(data: Path, tmp_path: Path) -> None:
    config = check_config(pipeline(data, router=None, uncertainty=["evidence-horizon"]), "shop.toml")
    run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    assert replayed(tmp_path / "run").changed == 0
    with pytest.raises(ConfigError, match="the run had no router"):
        replayed(tmp_path / "run", share=0.5)
    with pytest.raises(RunError, match="no validation requests"):
        replayed(tmp_path / "run", router=router(share=0.5, estimators=["evidence-horizon"], stage="before"))


def service(path: Path, finished: Path, *, drop: str = "") -> Path:
    """A trace as a service would write it: single requests, timed, without targets; ``drop`` was not always asked."""
    head = read_trace(finished).header
    with TraceWriter(path, head) as out:
        for record in read_trace(finished):
            late = record.route == "replace"
            out.write(
                [
                    replace(
                        record,
                        targets=(),
                        quality={},
                        seconds={},
                        latency=0.001 if late else 0.010,
                        tokens=0 if late else 50,
                        policy_tokens=None if late else 50,
                        uncertainty={n: u for n, u in record.uncertainty.items() if not (late and n == drop)},
                    )
                ]
            )
    return path


def test_a_trace_without_targets_replays_costs(finished: Path, tmp_path: Path) -> None:
    path = service(tmp_path / "live.jsonl", finished, drop="entropy")
    found = replayed(path, share=0.5)
    assert found.recorded.quality == {}
    assert found.comparisons == ()
    assert found.replayed.latency is not None
    assert found.replayed.latency["mean"] == pytest.approx(0.010 - 0.009 * found.replayed.share)
    assert found.replayed.tokens == pytest.approx(50 * (1 - found.replayed.share))
    test = read_recorded(open_trace(path))
    assert np.isnan(compute_quality(test, as_recorded(test), "NDCG@5")).all()


def test_a_signal_that_was_not_always_asked_is_named(run_of: Callable[[str], Path], tmp_path: Path) -> None:
    path = service(tmp_path / "live.parquet", run_of("after the answer"), drop="entropy")
    with pytest.raises(RunError, match=r"\d+ of \d+ requests have no 'entropy'"):
        replayed(path)


def test_a_router_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    head = Header(policy="p", delegates=("d",), router={"config": {"kind": "oracle", "stage": "before", "share": 0.1}})
    with TraceWriter(tmp_path / "t.jsonl", head) as out:
        out.write([TraceRecord(user="u", route="self", uncertainty={"e": UncertaintyValue(0.5)})])
    with pytest.raises(RunError, match="the trace's router cannot be read"):
        replayed(tmp_path / "t.jsonl")


def test_empty_and_damaged_traces_are_refused(finished: Path, tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "t.parquet") as out:
        out.write([])
    with pytest.raises(ConfigError, match="contains no decisions"):
        replayed(tmp_path / "t.parquet")
    whole = (finished / "trace.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match="cut off or damaged"):
        replayed(tmp_path / "t.parquet")


def test_the_arrays_are_those_of_the_records(finished: Path) -> None:
    file = open_trace(finished)
    for part in ("test", VALID):
        found, records = read_recorded(file, part=part), list(file.records(part))
        assert len(found) == len(records)
        for i, record in enumerate(records):
            assert (found.routes[i], found.delegates[i]) == (record.route, record.delegate or "")
            assert found.keys[i] == record.key
            for name, value in record.uncertainty.items():
                assert found.signals[name].total[i] == np.float32(value.total)
            for system, metrics in record.quality.items():
                for metric, value in metrics.items():
                    assert found.quality[system][metric][i] == value
    assert set(read_recorded(file, ["HR@5"]).quality["toy"]) == {"HR@5"}


def test_replaying_imports_no_component_and_no_learning_framework(finished: Path) -> None:
    code = f"""
import sys
from reasonrec_core.cli.main import main
try:
    main(["trace", "replay", {str(finished)!r}, "--share", "0.5"])
except SystemExit as leave:
    assert not leave.code
heavy = ("torch", "transformers", "timm", "open_clip", "implicit", "lightgbm", "reasonrec_core.pipeline")
listed = ("reasonrec_core", "reasonrec_trace", "reasonrec_toys")
listed += ("reasonrec_routers.threshold", "reasonrec_routers.config")
parts = [n for n in sys.modules if n.startswith("reasonrec_") and "." in n and not n.endswith(".plugin")]
print("imported:", *[n for n in sys.modules if n in heavy], *[n for n in parts if not n.startswith(listed)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "imported:", done.stdout + done.stderr


def test_learned_deferral_decides_one_request_as_it_decides_many(run_of: Callable[[str], Path]) -> None:
    """A whole run, its trace, and the served recommender agree on who answers, and with what."""
    folder = run_of("learned deferral")
    records = list(read_trace(folder))
    asked = [r for r in records if r.latency is not None and r.history_length == len(r.history)]
    assert {record.route for record in records} == {"self", "replace"}
    assert all((record.delegate is None) == (record.route == "self") for record in records)
    assert not any(name.startswith("feature:") for name in statistics(open_trace(folder))["uncertainty"])
    served = Recommender.open(folder)
    assert len(asked) > 5
    for record in asked[:10]:
        answer = served.recommend(history=list(record.history), k=5)
        assert (answer.route, answer.by) == (record.route, record.delegate or "toy")
        assert [item.id for item in answer.items] == list(record.ranking)
        assert not any(name.startswith("feature:") for name in answer.uncertainty)


def test_goals_of_a_run_become_shares(run_with: Run, tmp_path: Path) -> None:
    folder = run_with({"max_loss": 0.9, "stage": "before"}, tmp_path / "loss")
    told = json.loads((folder / "metrics.json").read_text())["routing"]
    goal = told["validation"]["goal"]
    assert goal["validation"]["low"] >= -0.9
    assert told["target"] == f"a loss of at most 0.9 (a share of {100 * goal['share']:.0f}\N{NO-BREAK SPACE}%)"
    assert told["reached"] == pytest.approx(goal["share"], abs=0.02)
    slow = run_with({"max_latency": 60_000.0, "stage": "before"}, tmp_path / "slow")
    assert replayed(slow).recorded.share == 0.0
    with pytest.raises(ConfigError, match=r"router\.max_latency: 1e-06 ms cannot be reached"):
        run_with({"max_latency": 1e-6, "stage": "before"}, tmp_path / "fast")
    free = run_with({"max_tokens": 0.0, "stage": "before"}, tmp_path / "free")
    assert replayed(free).recorded.share == 0.0
    with pytest.raises(ConfigError, match="give only one of share"):
        replayed(free, share=0.1, max_tokens=1.0)


def test_consulting_is_recorded_replayed_and_served_alike(run_with: Run, tmp_path: Path) -> None:
    router = {"share": 0.2, "stage": "before", "consult": 0.5}
    folder = run_with(router, tmp_path / "run", policy="toy-consulting")
    records = list(read_trace(folder))
    assert {r.route for r in records} == {"self", "replace", "consult"}
    for record in records:
        cold = record.uncertainty["evidence-horizon"].total > 0.5
        assert (record.route == "consult") == (cold and record.route != "replace")
        source = {"self": "toy-consulting", "consult": "consult"}.get(record.route, record.delegate)
        assert record.quality["routed"] == record.quality[source]
        assert ("consult" in record.answers) == ("consult" in record.quality) == cold, "asked where it may be needed"
    untouched = replayed(folder)
    assert untouched.changed == 0
    more = replayed(folder, share=0.7)
    assert more.changed > 0
    assert more.replayed.routes.get("consult", 0) < untouched.recorded.routes["consult"]
    served = Recommender.open(folder)
    whole = [r for r in records if r.history_length == len(r.history)]
    some = [next(r for r in whole if r.route == route) for route in ("self", "consult")]
    for record in some:
        answer = served.recommend(history=list(record.history), k=5)
        assert answer.route == record.route
        assert [item.id for item in answer.items] == list(record.ranking)
        longer = served.recommend(history=list(record.history), k=30)
        assert [item.id for item in longer.items[:5]] == list(record.ranking)
        assert len({item.id for item in longer.items}) == len(longer.items) == 30
    told = next(r for r in records if r.route == "consult")
    assert "the policy decides after seeing the delegates' answers" in told.reason
    assert all(bool(r.steps) == (r.route != "replace") for r in records[:50])
    report = json.loads((folder / "metrics.json").read_text())
    found = report["routing"]["validation"]["consult"]
    assert set(found) == {"policy", "consulted", "queries", "used", "gain"}
    assert found["used"]
    assert found["gain"]["low"] > 0
    assert "consult" in report["systems"]
    again = replay(open_trace(folder), Wanted(router=AnyRouterConfig.model_validate(router)))
    assert again.changed == 0, "a router that is fitted to the trace consults as the run's does"
    with pytest.raises(RunError, match="would consult delegates on validation requests"):
        replay(open_trace(folder), Wanted(router=AnyRouterConfig.model_validate({**router, "consult": 0.3})))
