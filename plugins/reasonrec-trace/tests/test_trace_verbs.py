"""``reasonrec trace``: what is printed, what is refused, and that data cannot steer a terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reasonrec_trace import RankedAnswer, TraceRecord, TraceWriter, read_trace, stats_command

from reasonrec_core.cli.main import main
from reasonrec_core.types import Step, StepKind

EVIL = "a\x1b]0;owned\x07\x1b[31m\rb\u202ec\nZZ"


class Said:
    """What a command line printed, and its exit code."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code, self.out, self.err = code or 0, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def trace(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "1000")

    def call(*words: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as leave:
            main(["trace", *map(str, words)])
        found = capsys.readouterr()
        return Said(leave.value.code, found.out, found.err)

    return call


def test_a_decision_is_shown_with_titles_steps_and_reasons(trace: Any, finished: Path) -> None:
    record = next(r for r in read_trace(finished) if r.route == "self")
    said = trace("show", finished, "--request", record.query)
    assert said.code == 0
    for part in (f"Request {record.query}: user {record.user}", record.reason, "Confidence ", "evidence-horizon"):
        assert part in said.out
    assert f"[{record.ranking[0]}]" in said.out, "items are called by their titles"
    assert all(step.claim in said.out for step in record.steps)
    assert said.out.count("Request ") == 1


def test_decisions_are_found_by_user_and_route(trace: Any, finished: Path) -> None:
    records = list(read_trace(finished))
    said = trace("show", finished, "--user", records[5].user, "--json")
    assert json.loads(said.out.splitlines()[0])["query"] == 5
    said = trace("show", finished / "trace.parquet", "--route", "replace", "--limit", 2, "--json")
    assert [json.loads(row)["route"] for row in said.out.splitlines()] == ["replace"] * 2
    said = trace("show", finished, "--user", "nobody")
    assert said.code == 2
    assert "no decision matches --user nobody. Its requests are numbered 0 to" in said.err


def test_users_of_a_hashed_trace_are_found_with_the_key(
    trace: Any, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reasonrec_trace import Hasher

    key, records = "sixteen characters", list(read_trace(finished))
    with TraceWriter(tmp_path / "t.jsonl", hasher=Hasher(key.encode(), users=True)) as out:
        out.write(records)
    user = records[3].user
    monkeypatch.delenv("REASONREC_TRACE_KEY", raising=False)
    assert "the key for the trace's hashes is missing" in trace("show", tmp_path / "t.jsonl", "--user", user).err
    monkeypatch.setenv("REASONREC_TRACE_KEY", key)
    said = trace("show", tmp_path / "t.jsonl", "--user", user, "--json")
    assert json.loads(said.out)["ranking"] == list(records[3].ranking)
    hashed = json.loads(said.out)["user"]
    assert hashed != user
    monkeypatch.delenv("REASONREC_TRACE_KEY")
    assert trace("show", tmp_path / "t.jsonl", "--user", hashed).code == 0


def test_text_from_data_cannot_steer_the_terminal(trace: Any, tmp_path: Path) -> None:
    record = TraceRecord(
        query=0,
        user=EVIL,
        task=EVIL,
        history=(EVIL,),
        targets=(EVIL,),
        route="replace",
        reason=EVIL,
        delegate=EVIL,
        ranking=(EVIL,),
        scores=(1.0,),
        answers={EVIL: RankedAnswer((EVIL,), (1.0,))},
        quality={EVIL: {EVIL: 1.0}},
        steps=(Step(StepKind.INFER, EVIL, (0, EVIL), 0.5, ((EVIL, 0.2),)),),
        history_length=1,
        versions=EVIL,
    )
    with TraceWriter(tmp_path / "t.parquet") as out:
        out.write([record])
    for verb in ("show", "stats", "replay"):
        said = trace(verb, tmp_path / "t.parquet")
        assert said.code == 0, said.err
        assert not set(said.out) & set("\x1b\x07\r\u202e"), verb
        assert "\nZZ" not in said.out, "data begins no line"
    for verb in ("show", "stats", "replay"):
        assert not set(trace(verb, tmp_path / "t.parquet", "--json").out) & set("\x1b\x07\r"), verb


def test_statistics_add_up(trace: Any, finished: Path) -> None:
    found, records = trace("stats", finished, "--json").json, list(read_trace(finished))
    assert found["decisions"] == sum(r["n"] for r in found["routes"]) == sum(h["n"] for h in found["horizon"])
    by_route = {row["route"]: row for row in found["routes"]}
    for route, row in by_route.items():
        mine = [r for r in records if r.route == route]
        assert row["n"] == len(mine)
        assert row["confidence"] == pytest.approx(sum(r.confidence for r in mine) / len(mine))
        graded = [r.quality["routed"]["NDCG@5"] for r in mine]
        assert row["quality"]["NDCG@5"] == pytest.approx(sum(graded) / len(graded))
        timed = [r.latency for r in mine if r.latency is not None]
        assert (row["latency"] or {"n": 0})["n"] == len(timed)
    assert sum(row["n"] for row in found["reasons"]) == len(records)
    assert {row["reason"] for row in found["reasons"]} == {"the policy answers", "transitions answers"}
    assert found["uncertainty"]["evidence-horizon"]["epistemic"] is not None
    text = trace("stats", finished).out
    for part in ("replace transitions", "self", "items in the history", "NDCG@5", "evidence-horizon"):
        assert part in text


def test_no_column_of_the_statistics_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    latency = {"mean": 0.01234, "p50": 0.01234, "p95": 0.01234, "n": 9}
    row = {"n": 1234, "share": 0.1, "delegated": 1.0, "confidence": 0.5, "quality": {"NDCG@10": 0.1234}}
    names = ["self", *(f"replace some-longer-delegate-{n}" for n in range(8))]
    monkeypatch.setenv("COLUMNS", "80")
    stats_command._groups("route", [(name, {**row, "latency": latency, "tokens": 0}) for name in names], ["NDCG@10"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for text, times in (("0.123", 9), ("12.3", 27), ("1,234", 9), ("100.0", 9), *((name, 1) for name in names)):
        assert sum(line.count(text) for line in lines) == times, text


def test_replay_prints_both_sides_and_how_sure_the_difference_is(trace: Any, finished: Path, tmp_path: Path) -> None:
    same = trace("replay", finished)
    assert "all decisions are as recorded; delegate transitions" in same.out
    other = trace("replay", finished, "--share", 1, "--metric", "HR@3")
    assert "HR@3" in other.out
    assert "p = " in other.out
    assert "Compared with the policy alone" in trace("replay", finished, "--share", 1).out
    (tmp_path / "other.toml").write_text('[router]\ndelegate = "popularity"\nstage = "before"\n')
    found = trace("replay", finished, "--router", tmp_path / "other.toml", "--share", 0.5, "--json").json
    assert found["delegate"] == "popularity"
    said = trace("replay", finished, "--max-loss", 1).out
    assert "A share of 100\N{NO-BREAK SPACE}% was chosen on validation requests" in said
    assert "the test requests confirm it." in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--share", "0.1", "--max-loss", "0.1"], "--share and --max-loss cannot be combined"),
        (["--share", "1.5"], "1.5"),
        (["--router", "absent.toml"], "absent.toml: there is no such pipeline file"),
        (["--max-latency", "0.000001"], "cannot be reached"),
        (["--metric", "nonsense"], "the trace has no metric 'nonsense'"),
    ],
)
def test_what_cannot_be_replayed_is_one_message(trace: Any, finished: Path, words: list[str], said: str) -> None:
    found = trace("replay", finished, *words)
    assert found.code == 2
    assert said in found.err
    assert found.out == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[router]\nshare = 2\n", "other.toml"),
        ("router = 3\n", "other.toml"),
        ("[router]\nshares = 0.2\n", "router.shares"),
        ("a = ", "other.toml"),
    ],
)
def test_a_router_file_that_is_wrong_is_one_message(
    trace: Any, finished: Path, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "other.toml").write_text(text)
    found = trace("replay", finished, "--router", tmp_path / "other.toml")
    assert found.code == 2
    assert said in found.err


@pytest.mark.parametrize("verb", ["show", "stats", "replay"])
@pytest.mark.parametrize("kind", ["absent", "empty folder", "text", "cut off", "newer", "not a trace"])
def test_a_trace_that_cannot_be_read_is_one_message(
    trace: Any, finished: Path, tmp_path: Path, verb: str, kind: str
) -> None:
    path = tmp_path / "t"
    if kind == "empty folder":
        path.mkdir()
    elif kind != "absent":
        path.write_bytes(
            {
                "text": b"hello\n",
                "cut off": (finished / "trace.parquet").read_bytes()[:5000],
                "newer": b'{"reasonrec.trace": {"format": 99}}\n',
                "not a trace": (finished / "users" / "sequential-toy.parquet").read_bytes(),
            }[kind]
        )
    said = trace(verb, path)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith(f"error: {path}")
    assert len(said.err.splitlines()) == 1


def test_requests_without_times_or_answers_are_shown(trace: Any, tmp_path: Path) -> None:
    bare = TraceRecord(query=0, task="sequential", route="abstain", reason="nothing is known")
    with TraceWriter(tmp_path / "t.jsonl") as out:
        out.write([bare, replace(bare, query=1)])
    said = trace("show", tmp_path / "t.jsonl", "--route", "abstain")
    assert "unknown user" in said.out
    assert "No router, so no calibrated confidence." in said.out
    assert trace("stats", tmp_path / "t.jsonl").code == 0
