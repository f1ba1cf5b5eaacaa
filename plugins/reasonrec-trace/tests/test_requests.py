"""Requests leave a trace where that is wanted, which reads and replays like a run's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reasonrec_serve import Recommender
from reasonrec_trace import open_trace, read_trace
from reasonrec_trace.replay import Wanted, replay
from reasonrec_trace.request_trace import RequestTrace
from reasonrec_trace.stats import statistics

from reasonrec_core.cli.main import main


@pytest.fixture(scope="module")
def asked(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has answered requests of both tasks."""
    folder = tmp_path_factory.mktemp("asked") / "tiny"
    shutil.copytree(finished, folder)
    service = Recommender.open(folder, trace=True)
    users = [str(user) for user in service.dataset.users.column("user_id").to_pylist()]
    for user in users[:12]:
        service.recommend(user=user, k=4)
    service.recommend(history=list(service.dataset.catalog.ids[:3]), candidates=list(service.dataset.catalog.ids[3:8]))
    return folder


def test_requests_are_recorded_as_they_were_answered(asked: Path) -> None:
    service = Recommender.open(asked)
    trace = read_trace(asked / "requests-sequential.jsonl")
    assert len(trace) == 12
    assert service.on_answer is None
    for record in trace:
        answer = service.recommend(user=record.user, k=4)
        assert record.ranking == tuple(item.id for item in answer.items)
        assert (record.route, record.reason) == (answer.route, answer.reason)
        assert record.confidence == pytest.approx(answer.confidence)
        assert record.latency is not None
        assert (len(record.steps) > 0) == (record.route == "self")


def test_tasks_have_files_of_their_own(asked: Path) -> None:
    (record,) = read_trace(asked / "requests-direct.jsonl")
    assert record.user is None
    assert len(record.candidates) == 5


def test_statistics_and_replay_work_on_them(asked: Path) -> None:
    file = open_trace(asked / "requests-sequential.jsonl")
    found = statistics(file)
    assert found["decisions"] == found["all"]["latency"]["n"] == 12
    assert replay(file, Wanted()).changed == 0
    assert replay(file, Wanted(share=1.0)).replayed.share == 1.0


def test_they_are_asked_for_and_shown_on_the_command_line(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = asked / "requests-sequential.jsonl"
    before, user = len(read_trace(file)), read_trace(file)[0].user
    for words in (["recommend", str(asked), "--user", user, "--trace"], ["trace", "show", str(file), "--request", "3"]):
        with pytest.raises(SystemExit) as leave:
            main([str(word) for word in words])
        assert not leave.value.code
    assert "Request 3" in capsys.readouterr().out
    assert len(read_trace(file)) == before + 1


def test_a_full_disk_stops_no_answer(asked: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    service = Recommender.open(asked, trace=True)
    assert isinstance(service.on_answer, RequestTrace)
    (tmp_path / "file").write_text("")
    service.on_answer.folder = tmp_path / "file"
    assert service.recommend(history=list(service.dataset.catalog.ids[:2]), k=3).items
    assert "its trace could not be written" in caplog.text


def test_every_task_of_a_run_leaves_a_trace(finished: Path) -> None:
    first, second = open_trace(finished), open_trace(finished / "trace-direct.parquet")
    assert (first.header.task, second.header.task) == ("sequential", "direct")
    records = list(second.records())
    assert records
    assert all(record.candidates and record.quality["routed"] for record in records)
    assert replay(second, Wanted()).changed == 0
