"""The trace of a run: complete, equal in both formats, and with ids hashed where that is wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from reasonrec_trace import open_trace, read_trace
from reasonrec_trace.schema import VALID

from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import evaluate_run, run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.routing import FEATURE, list_features

from .conftest import pipeline, silent

KEY = "a long and secret key of the tests"


def feature_names(delegates: tuple[str, ...]) -> set[str]:
    """What installed routers look at where these delegates have answered."""
    found = {name for each in list_features(Registry.discover()) for name in each.names(delegates)}
    assert found
    return found


def test_every_decision_is_whole(finished: Path) -> None:
    trace = read_trace(finished)
    head, router = trace.header, trace.header.router
    assert (head.policy, head.delegates) == ("toy", ("popularity", "transitions"))
    stages = {name: stage for name, stage in head.estimators.items() if not name.startswith(FEATURE)}
    assert stages == {"evidence-horizon": "before", "entropy": "after", "margin": "after"}
    assert set(head.estimators) - set(stages) == feature_names(head.delegates)
    assert router is not None
    assert head.quality == "NDCG@5"
    assert all(len(text) == 64 for text in (head.config, head.data, head.split))
    assert head.versions[trace[0].versions]["policy:toy"].startswith("toy of reasonrec-toys")
    for record in trace:
        assert record.user is not None
        assert record.history
        assert record.history_length >= len(record.history)
        assert len(record.targets) == 1
        assert set(record.uncertainty) == set(head.estimators)
        horizon = record.uncertainty["evidence-horizon"]
        assert horizon.epistemic == horizon.total
        assert set(record.answers) == {"toy", "popularity", "transitions"}
        assert -1 <= record.gain <= 1
        assert 0 <= record.risk <= 1


def test_the_recorded_quality_is_that_of_the_results(finished: Path) -> None:
    records = list(open_trace(finished).records())
    for label in ("routed", "toy", "popularity", "transitions"):
        table = pq.read_table(finished / "users" / f"sequential-{label}.parquet")
        for metric in ("NDCG@5", "HR@3", "Novelty@5"):
            assert [r.quality[label][metric] for r in records] == table.column(metric).to_pylist()


def test_some_requests_were_timed_alone(finished: Path) -> None:
    timed = [r for r in open_trace(finished).records() if r.latency is not None]
    assert len(timed) == 5
    for record in timed:
        assert record.latency > 0
        assert set(record.seconds) == {"toy", "popularity", "transitions"}


def test_the_validation_part_holds_what_routers_learn_from(finished: Path) -> None:
    records = list(open_trace(finished).records(VALID))
    assert records
    for record in records:
        assert record.route == ""
        assert set(record.quality) == {"toy", "popularity", "transitions"}
        gains = {f"expected:{label}" for label in ("popularity", "transitions")}
        features = feature_names(("popularity", "transitions"))
        assert set(record.uncertainty) == {"evidence-horizon", "entropy", "margin", *features, *gains}


@pytest.fixture(scope="module")
def hashed(finished: Path, tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """The same run, both formats, users and items hashed."""
    folder = tmp_path_factory.mktemp("hashed") / "tiny"
    trace = {"format": "both", "hash_users": True, "hash_items": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REASONREC_TRACE_KEY", KEY)
        run_pipeline(check_config(pipeline(data, trace=trace), "tiny.toml"), folder, Registry.discover(), silent)
    return folder


def test_both_formats_hold_the_same(hashed: Path) -> None:
    first, second = (read_trace(hashed / name, part=None) for name in ("trace.parquet", "trace.jsonl"))
    assert first.header == second.header
    assert list(first) == list(second)


def test_hashed_traces_name_nobody_and_nothing(hashed: Path, finished: Path) -> None:
    plain, hidden = list(read_trace(finished)), read_trace(hashed)
    assert hidden.header.hashed == ("users", "items")
    raw = (hashed / "trace.jsonl").read_text()
    assert "user-" not in raw
    assert "item-" not in raw
    assert KEY not in raw
    for file in (p for p in hashed.rglob("*") if p.is_file()):
        assert KEY.encode() not in file.read_bytes(), file
    assert all(record.time is None and not record.steps for record in hidden)
    assert sorted(r.reason for r in hidden) == sorted(r.reason for r in plain)
    assert len({r.user for r in hidden}) == len({r.user for r in plain})
    assert not {r.key for r in hidden} & {r.key for r in plain}
    by_user = {record.user: record for record in hidden}
    order = [by_user.get(r.user) for r in hidden]
    assert [r.query for r in order] == list(range(len(order)))
    assert sorted(r.quality["routed"]["NDCG@5"] for r in hidden) == sorted(r.quality["routed"]["NDCG@5"] for r in plain)
    assert [r.quality["toy"]["NDCG@5"] for r in hidden] != [r.quality["toy"]["NDCG@5"] for r in plain]


def test_hashes_of_one_item_are_equal_wherever_it_stands(hashed: Path) -> None:
    for record in read_trace(hashed):
        found = record.targets[0] in record.ranking
        assert found == (record.quality["routed"]["HR@5"] > 0)


@pytest.mark.parametrize("key", ["", "short"])
def test_a_missing_key_is_said_before_anything_is_fitted(
    data: Path, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    config = check_config(pipeline(data, trace={"hash_users": True, "key_env": "MY_KEY"}), "tiny.toml")
    with pytest.raises(ConfigError, match=r"environment variable MY_KEY: the key .* (missing|short)"):
        run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    assert not (tmp_path / "run").exists()


def test_another_format_takes_the_place_of_the_first(finished: Path, data: Path, tmp_path: Path) -> None:
    changed = check_config(pipeline(data, trace={"format": "jsonl", "history": 2}), "tiny.toml")
    run_pipeline(changed, tmp_path / "run", Registry.discover(), silent)
    assert not (tmp_path / "run" / "trace.parquet").exists()
    assert max(len(record.history) for record in read_trace(tmp_path / "run")) == 2
    evaluate_run(tmp_path / "run", Registry.discover(), silent)
    assert [r.risk for r in read_trace(tmp_path / "run")] == [r.risk for r in read_trace(finished)]


def test_delegates_alone_leave_a_trace(data: Path, tmp_path: Path) -> None:
    run_pipeline(
        check_config(pipeline(data, policy=None, router=None), "t"), tmp_path / "r", Registry.discover(), silent
    )
    trace = read_trace(tmp_path / "r", part=None)
    assert {(r.route, r.delegate, r.part) for r in trace} == {("replace", "popularity", "test")}
    assert trace.header.policy is None
    assert np.isfinite([r.quality["popularity"]["NDCG@5"] for r in trace]).all()
