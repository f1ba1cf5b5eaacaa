"""The trace of a service: whole after every request, bounded, mended after a crash, shared by processes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from reasonrec_trace import Hasher, Header, RequestLog, TraceRecord, open_trace, read_trace

from reasonrec_core.errors import DataError


def log(path: Path, *, rows: int = 100, files: int = 3, name: str = "run") -> RequestLog:
    return RequestLog(path, Header(name=name, policy="profile"), Hasher(), rows=rows, files=files)


def decision(user: str = "u") -> TraceRecord:
    return TraceRecord(
        user=user,
        task="sequential",
        history=("a", "b"),
        route="self",
        reason="because",
        confidence=0.25,
        ranking=("c",),
    )


def test_it_is_a_whole_trace_after_every_request(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    for count in range(1, 4):
        log(path).write(decision(f"u{count}"))
        trace = read_trace(path)
        assert [record.user for record in trace] == [f"u{i}" for i in range(1, count + 1)]
        assert [record.query for record in trace] == list(range(count))
    assert open_trace(path).header.policy == "profile"


def test_files_are_bounded_in_number_and_size(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    bounded = log(path, rows=2, files=3)
    for number in range(9):
        bounded.write(decision(f"u{number}"))
    kept = [path, tmp_path / "requests.1.jsonl", tmp_path / "requests.2.jsonl"]
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == sorted(p.name for p in kept)
    assert [[record.user for record in read_trace(file)] for file in kept] == [["u8"], ["u6", "u7"], ["u4", "u5"]]


def test_one_file_may_be_all(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    bounded = log(path, rows=1, files=1)
    for number in range(3):
        bounded.write(decision(f"u{number}"))
    assert [record.user for record in read_trace(path)] == ["u2"]


def test_another_fit_begins_another_file(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    log(path).write(decision("before"))
    log(path, name="fitted again").write(decision("after"))
    assert [record.user for record in read_trace(path)] == ["after"]
    assert [record.user for record in read_trace(tmp_path / "requests.1.jsonl")] == ["before"]


@pytest.mark.parametrize("cut", [1, 10, 40, 300])
def test_what_was_left_half_written_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "requests.jsonl"
    for number in range(3):
        log(path).write(decision(f"u{number}"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    log(path).write(decision("next"))
    users = [record.user for record in read_trace(path)]
    assert users[-1] == "next"
    assert users[:-1] == [f"u{number}" for number in range(len(users) - 1)]
    assert len(users) == (4 if cut <= 12 else 3)


def test_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: log(path).write(decision(f"u{number}")), range(40)))
    assert {record.user for record in read_trace(path)} == {f"u{number}" for number in range(40)}


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        log(tmp_path / "file" / "requests.jsonl").write(decision())


def test_users_are_hashed(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    RequestLog(path, Header(), Hasher(b"a key that nobody knows", users=True), rows=9, files=1).write(decision("Ada"))
    assert "Ada" not in path.read_text()
    assert json.loads(path.read_text().splitlines()[0])["reasonrec.trace"]["hashed"] == ["users"]
