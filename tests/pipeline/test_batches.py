"""Many users at once: the same answers as one by one, in files that survive kills and appear whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reasonrec_serve import Recommender
from reasonrec_serve import batch_workers as workers_of
from reasonrec_serve.batch import COLUMNS
from reasonrec_serve.batch_files import BatchFile, quote_formulas

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError, DataError, RunError
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent

SAMPLE = {pa.string(): "x", COLUMNS.field("because").type: []}


@pytest.fixture(scope="module")
def services(data: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Recommender]:
    found = [Recommender.open(finished)]
    for changes in ({"policy": None, "router": None}, {"router": {"share": 0.3, "stage": "after", "abstain": 0.3}}):
        run = tmp_path_factory.mktemp("batch") / "run"
        fit_pipeline(check_config(pipeline(data, **changes), "x"), run, Registry.discover(), silent)
        found.append(Recommender.open(run))
    return found


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many parts of few users."""
    monkeypatch.setattr(workers_of, "CHUNK", 7)


def run_cli(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(each) for each in arguments])
    return int(left.value.code or 0)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(text.splitlines()))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_batch_answers_as_single_requests_do(services: list[Recommender], data: st.DataObject) -> None:
    service = data.draw(st.sampled_from(services))
    known, items = list(service.dataset.user_index), service.dataset.catalog.ids
    users = data.draw(st.lists(st.sampled_from([*known, "somebody new"]), min_size=1, max_size=9, unique=True))
    some = st.lists(st.sampled_from(items), max_size=30)
    request: dict[str, Any] = {"k": data.draw(st.integers(1, 15)), "exclude": data.draw(some)}
    if data.draw(st.booleans()):
        request["only"] = data.draw(some)
    if data.draw(st.booleans()):
        request["where"] = {"brand": ["Acorn", "Birch"]}
    request["include_seen"] = data.draw(st.booleans())
    request["diversity"] = data.draw(st.sampled_from([0.0, 0.3]))
    tables = list(service.recommend_batch(users, **request, size=4))
    assert all(table.schema == COLUMNS for table in tables)
    rows = pa.concat_tables(tables).to_pylist()
    assert [user for user in users if any(row["user_id"] == user for row in rows)] == list(
        dict.fromkeys(row["user_id"] for row in rows)
    ), "in the order in which they were asked for"
    for user in users:
        answer = service.recommend(user=user, **request)
        mine = [row for row in rows if row["user_id"] == user]
        assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
        assert [(row["item_id"], row["title"]) for row in mine] == [(item.id, item.title) for item in answer.items]
        assert [row["score"] for row in mine] == pytest.approx([item.score for item in answer.items], rel=1e-5)
        for row in mine:
            said = (row["by"], row["route"], row["models"], row["because"])
            assert said == (answer.by, answer.route, answer.models, None)
            assert row["confidence"] == (None if answer.confidence is None else pytest.approx(answer.confidence))


@pytest.mark.parametrize(("ending", "why"), [("parquet", False), ("parquet", True), ("csv", True), ("jsonl", True)])
def test_the_command_writes_what_python_gives(
    finished: Path, services: list[Recommender], tmp_path: Path, small_parts: None, ending: str, why: bool
) -> None:
    out, allowed = tmp_path / f"recs.{ending}", tmp_path / "only.txt"
    allowed.write_text("\n".join(services[0].dataset.catalog.ids[::2]))
    (tmp_path / "users.txt").write_text("user-09\nuser-02\nsomebody\nuser-09\n")
    options = [
        "--k",
        "4",
        "--only-file",
        allowed,
        "--where",
        "brand=Acorn",
        "--workers",
        "1",
        *(["--why"] if why else []),
    ]
    assert run_cli("recommend", finished, "--users", tmp_path / "users.txt", "--out", out, *options) == 0
    limits = {"only": services[0].dataset.catalog.ids[::2], "where": {"brand": ["Acorn"]}}
    (table,) = services[0].recommend_batch(["user-09", "user-02", "somebody"], 4, because=why, **limits)
    found, wanted = read(out), table.to_pylist()
    assert list(found[0]) == COLUMNS.names
    if ending == "csv":
        assert [row["item_id"] for row in found] == [row["item_id"] for row in wanted]
        assert [float(row["score"]) for row in found] == pytest.approx([row["score"] for row in wanted])
        assert [json.loads(row["because"]) for row in found] == [row["because"] for row in wanted]
    else:
        assert found == [{**row, "score": pytest.approx(row["score"])} for row in wanted]
    explained = services[0].recommend(user="user-09", k=4, **limits).explained
    causes = [[{"item_id": c.id, "title": c.title, "share": c.share} for c in item.because] for item in explained]
    assert [row["because"] for row in wanted if row["user_id"] == "user-09"] == (causes if why else [None] * 4)
    assert any(causes)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".parts")]


def test_all_users_come_in_the_order_of_their_ids(services: list[Recommender]) -> None:
    rows = pa.concat_tables(services[0].recommend_batch(k=1)).to_pylist()
    assert [row["user_id"] for row in rows] == sorted(services[0].dataset.user_index)
    few = services[0].recommend_batch([3, 20], k=1)
    assert [row["user_id"] for row in next(few).to_pylist()] == ["3", "20"]


@pytest.mark.parametrize(
    ("users", "changes", "error", "said"),
    [
        ("everybody", {}, ConfigError, "--users: users must be 'all' or a list of ids"),
        ([], {}, DataError, "--users: there are no users to recommend to"),
        (5, {}, ConfigError, "users must be a list of ids"),
        ("all", {"k": 0}, ConfigError, "k must be a whole number"),
        ("all", {"size": 0}, ConfigError, "k must be a whole number"),
        ("all", {"assume": {"brand": "Acorn"}}, ConfigError, "'assume' cannot be used for many users at once"),
        ("all", {"where": {"brnad": 1}}, ConfigError, "--where: the items have no field 'brnad'"),
    ],
)
def test_what_cannot_be_asked_of_many_is_refused(
    services: list[Recommender], users: Any, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        list(services[0].recommend_batch(users, **changes))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--users", "all"], "--out: answers for many users are written to a file"),
        (["--users", "all", "--out", "recs.xls"], "--out: the file's ending must be .parquet, .csv, .jsonl"),
        (["--users", "all", "--out", "r.csv", "--user", "user-01"], "--user: is for one user"),
        (["--users", "all", "--out", "r.csv", "--assume", "brand=Acorn"], "--assume: is for one user"),
        (["--users", "all", "--out", "r.csv", "--steps"], "--steps: answers for many users are written to a file"),
        (["--users", "all", "--out", "r.csv", "--workers", "-1"], "--workers: must be a number of processes"),
        (["--users", "nowhere.txt", "--out", "r.csv"], "nowhere.txt: cannot be read"),
        (["--users", "all", "--out", "r.csv", "--where", "colour=red"], "--where: the items have no field 'colour'"),
        (["--user", "user-01", "--out", "r.csv"], "--out: can only be used with --users"),
        (["--users", "all", "--out", "mine.csv"], "mine.csv exists, but does not contain recommendations"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("my,own,table\n1,2,3\n")
    assert run_cli("recommend", finished, *options) == 2
    assert said in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["mine.csv"]
    assert Path("mine.csv").read_text() == "my,own,table\n1,2,3\n"


def test_what_was_finished_is_not_made_again(
    finished: Path, tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    out, made = tmp_path / "recs.csv", list[int]()
    write = BatchFile.write_part

    def stop_at_the_third(self: BatchFile, number: int, table: pa.Table) -> None:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(number)
        write(self, number, table)

    command = ["recommend", finished, "--users", "all", "--out", out, "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(BatchFile, "write_part", stop_at_the_third)
        assert run_cli(*command) != 0
    assert not out.exists()
    assert len([name for name in os.listdir(tmp_path) if name.endswith(".parts")]) == 1
    (tmp_path / f".{out.name}.0123.parts").mkdir()
    (tmp_path / f".{out.name}.mine").mkdir()
    again = list[int]()
    with monkeypatch.context() as patch:
        patch.setattr(BatchFile, "write_part", lambda self, n, table: (again.append(n), write(self, n, table)))
        assert run_cli(*command) == 0
    assert made == [0, 1]
    assert not {0, 1} & set(again)
    assert "The answers for 14 users were kept from an earlier attempt." in capsys.readouterr().err
    whole = tmp_path / "whole.csv"
    assert run_cli("recommend", finished, "--users", "all", "--out", whole, "--workers", "1") == 0
    assert out.read_text() == whole.read_text()
    left = {f".{out.name}.0123.parts", f".{out.name}.mine", "recs.csv", "whole.csv"}
    assert set(os.listdir(tmp_path)) == left, "what is not ours stays"


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    one, two = (BatchFile(tmp_path / "recs.csv", "k" * 64, 1) for _ in range(2))
    with one.lock(), pytest.raises(RunError, match="another process is writing this file"), two.lock():
        pass


def test_what_a_spreadsheet_would_take_for_a_formula_gets_an_apostrophe() -> None:
    titles = ["=1+1", "-1", "+x", "@x", "a=b", "\tx"]
    columns = {each.name: [SAMPLE.get(each.type, -1)] * 6 for each in COLUMNS}
    table = pa.table({**columns, "title": titles}, schema=COLUMNS)
    found, count = quote_formulas(table)
    assert found["title"].to_pylist() == ["'=1+1", "'-1", "'+x", "'@x", "a=b", "'\tx"]
    assert found["score"].to_pylist() == [-1.0] * 6
    assert count == 5


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for each in started:
        each.kill()


@pytest.mark.slow
def test_a_killed_command_goes_on_with_processes(
    finished: Path, tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    out = tmp_path / "recs.jsonl"
    (tmp_path / "users.txt").write_text("\n".join(f"user {n}" for n in range(16_000)))
    command = [sys.executable, "-m", "reasonrec_core", "recommend", str(finished), "--workers", "2", "--out", str(out)]
    command += ["--users", str(tmp_path / "users.txt"), "--k", "2"]
    first = subprocess.Popen(command, text=True)
    processes.append(first)
    for _ in range(600):
        if len(list(tmp_path.glob(".recs.jsonl.*/*.jsonl"))) >= 2:
            break
        assert first.poll() is None, "it ended before it was killed"
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    (folder,) = tmp_path.glob(".recs.jsonl.*")
    before = len(list(folder.glob("*.json"))) - 1
    assert before >= 1
    assert not out.exists()
    time.sleep(2)  # its workers end with it
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "were kept from an earlier attempt" in done.stderr
    rows = read(out)
    assert [row["user_id"] for row in rows[::2]] == [f"user {n}" for n in range(16_000)]
    assert [name for name in os.listdir(tmp_path) if name.endswith(".parts")] == []
