"""Requests as callers make them: odd ones have a documented answer or one message, and none blames a component."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from reasonrec_serve import Answer, Recommender

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError, DataError, ReasonRecError
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.types import Task

from .conftest import pipeline, silent


@pytest.fixture(scope="module")
def recommender(finished: Path) -> Recommender:
    return Recommender.open(finished)


@pytest.fixture(scope="module")
def ids(recommender: Recommender) -> list[str]:
    return recommender.dataset.catalog.ids


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with ids that are numbers or hold commas, titles that steer terminals, and delegates alone."""
    folder = tmp_path_factory.mktemp("odd")
    rows = [f"{u},{i},{1000 * u + t}" for u in range(1, 9) for t, i in enumerate((u, '"a,b"', u + 1, u + 2, u + 3))]
    (folder / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    titles = [f"{i},Title {i}" for i in range(1, 12)] + ['"a,b","A\x9b31m \u202eevil\u2066 \U0001f600 é"']
    (folder / "items.csv").write_text("\n".join(["item_id,title", *titles]) + "\n")
    delegates = ["popularity", {"name": "transitions", "window": 2, "search": False}]
    settings = pipeline(folder, policy=None, router=None, delegates=delegates, evaluate={"k": [3], "resamples": 100})
    run_pipeline(check_config(settings, "x"), folder / "run", Registry.discover(), silent)
    return folder / "run"


def run_cli(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(each) for each in arguments])
    return int(left.value.code or 0)


def test_more_than_there_is_is_cut_to_what_there_is(recommender: Recommender, ids: list[str]) -> None:
    tracemalloc.start()
    answer = recommender.recommend(history=ids[:2], k=10**9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(answer.items) == len(ids) - 2
    assert peak < 50e6
    assert len(recommender.recommend(history=[], candidates=ids[:3], k=10**9).items) == 3


def test_a_candidate_that_is_named_twice_is_ranked_once(recommender: Recommender, ids: list[str]) -> None:
    once = recommender.recommend(history=ids[5:7], candidates=ids[:3])
    twice = recommender.recommend(history=ids[5:7], candidates=[*ids[:3], *ids[:2]])
    assert [item.id for item in twice.items] == [item.id for item in once.items]


@pytest.mark.parametrize("history", [[], ["nothing"], ["nothing", "at all"]])
def test_an_answer_that_rests_on_nothing_says_so(recommender: Recommender, history: list[str]) -> None:
    answer = recommender.recommend(history=history)
    assert (answer.personalised, answer.unknown, len(answer.items)) == (False, len(history), 10)
    assert recommender.recommend(history=["item-01", *history]).personalised


def test_a_history_of_everything_leaves_nothing(
    recommender: Recommender, ids: list[str], finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recommender.recommend(history=ids).items == ()
    assert len(recommender.recommend(history=ids, candidates=ids[:4]).items) == 4
    assert run_cli("recommend", finished, "--history", ",".join(ids)) == 0
    assert "Nothing is left to recommend" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        ({"history": [], "candidates": []}, DataError, "there are no candidates"),
        ({"history": "item-01"}, ConfigError, "history must be a list of ids, not 'item-01'"),
        ({"history": 5}, ConfigError, "history must be a list of ids"),
        ({"history": {"item-01": 1}}, ConfigError, "history must be a list of ids"),
        ({"history": [1.5]}, ConfigError, "1.5 is not an id"),
        ({"history": [float("nan")]}, ConfigError, "nan is not an id"),
        ({"history": [None]}, ConfigError, "None is not an id"),
        ({"history": [True]}, ConfigError, "True is not an id"),
        ({"history": [b"item-01"]}, ConfigError, "is not an id"),
        ({"user": 1.5}, ConfigError, "1.5 is not an id"),
        ({"user": ["user-01"]}, ConfigError, "is not an id"),
        ({"user": ""}, ConfigError, "--user: the user id is empty"),
        ({}, ConfigError, "either a user or a history"),
        ({"uesr": "user-01"}, ConfigError, "a request has no 'uesr'"),
        ({"history": [], "exclude": "item-01"}, ConfigError, "exclude must be a list of ids, not 'item-01'"),
        ({"history": [], "only": 5}, ConfigError, "only must be a list of ids"),
        ({"history": [], "only": [1.5]}, ConfigError, "recommend: only: 1.5 is not an id"),
        ({"history": [], "where": "brand=Acorn"}, ConfigError, "--where: must contain conditions by item field"),
        ({"history": [], "where": {"brnad": "Acorn"}}, ConfigError, "--where: the items have no field 'brnad'. Did"),
        (
            {"history": [], "where": {"brand": {"least": 1}}},
            ConfigError,
            "--where: brand: a range must have min, max or both",
        ),
        ({"history": [], "where": {"brand": {"min": 1}}}, ConfigError, "--where: brand is text, so it has no range"),
        ({"history": [], "include_seen": "yes"}, ConfigError, "--include-seen: must be true or false"),
        ({"history": [], "diversity": 1.1}, ConfigError, "--diversity: must be a number from 0 to 1"),
        ({"history": [], "diversity": "0.5"}, ConfigError, "--diversity: must be a number from 0 to 1"),
        ({"history": [], "k": 0}, ConfigError, "k must be a whole number of at least 1"),
        ({"history": [], "k": -3}, ConfigError, "k must be a whole number of at least 1"),
        ({"history": [], "k": 2.5}, ConfigError, "k must be a whole number of at least 1"),
        ({"history": [], "k": "5"}, ConfigError, "k must be a whole number of at least 1"),
        ({"history": [], "k": True}, ConfigError, "k must be a whole number of at least 1"),
        ({"history": [], "task": "ctr"}, ConfigError, "has no ranking. Use sequential or direct"),
        ({"history": [], "task": "best"}, ConfigError, "has no ranking"),
        ({"history": [], "task": 3}, ConfigError, "has no ranking"),
        ({"history": [], "task": "direct"}, ConfigError, "direct ranks given candidates"),
        ({"history": ["item-01"], "assume": ["x"]}, ConfigError, "assume must contain labels by item field"),
        ({"history": ["item-01"], "assume": {"brand": 1}}, ConfigError, "assume must contain labels by item field"),
        ({"history": ["item-01"], "ignore": "item-01"}, ConfigError, "ignore must be a list of ids"),
        ({"history": [], "ignore": ["item-01"]}, ReasonRecError, "nothing to ignore"),
    ],
)
def test_what_cannot_be_answered_is_the_caller_s(
    recommender: Recommender, request_: dict[str, object], error: type[ReasonRecError], said: str
) -> None:
    with pytest.raises(error) as found:
        recommender.recommend(**request_)  # type: ignore[arg-type]
    assert said in found.value.message
    assert type(found.value).__name__ != "PluginError"


def without_time(answer: Answer) -> dict[str, object]:
    return {name: value for name, value in answer.to_dict().items() if name != "seconds"}


def test_ids_and_tasks_may_be_written_in_other_ways(odd: Path) -> None:
    recommender = Recommender.open(str(odd))
    wanted = without_time(recommender.recommend(history=["1", "2"], task=Task.SEQUENTIAL))
    for history in ([1, 2], (np.int64(1), np.int32(2)), np.array([1, 2]), np.array(["1", "2"]), iter(["1", 2])):
        assert without_time(recommender.recommend(history=history, task="sequential", k=np.int64(10))) == wanted
    wanted = without_time(recommender.recommend(user="3", candidates=["1", "a,b"]))
    assert without_time(recommender.recommend(user=np.int64(3), candidates=[1, "a,b"], task="direct")) == wanted


@pytest.mark.parametrize("path", [5, None, b"runs/x", ""])
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(ConfigError, match="is not a path"):
        Recommender.open(path)  # type: ignore[arg-type]


def test_any_path_like_is_a_path(finished: Path) -> None:
    class Place(os.PathLike[str]):
        def __fspath__(self) -> str:
            return str(finished)

    assert Recommender.open(Place()).recommend(history=[]).items


def test_any_id_can_be_given_on_the_command_line(odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ids.txt").write_bytes("\ufeff1\r\na,b\n\n".encode())

    def answer(*options: str | Path) -> dict[str, object]:
        assert run_cli("recommend", odd, "--json", "--why", *options) == 0
        return {**json.loads(capsys.readouterr().out), "seconds": 0}

    by_item = answer("--history-item", "1", "--history-item", "a,b")
    assert (by_item["unknown"], [item[0] for item in by_item["history"]]) == (0, ["1", "a,b"])  # type: ignore[index, attr-defined]
    assert answer("--history-file", tmp_path / "ids.txt") == by_item
    listed = answer("--user", "3", "--candidate", "a,b", "--candidate", "1")
    assert {item["id"] for item in listed["items"]} == {"a,b", "1"}  # type: ignore[index, attr-defined]
    both = answer("--user", "3", "--candidates-file", tmp_path / "ids.txt")
    assert both["items"] == listed["items"]
    assert run_cli("recommend", odd, "--history", "1", "--history-item", "2") == 2
    assert "more than one way" in capsys.readouterr().err
    (tmp_path / "ids.txt").write_bytes(b"\xff\xfe1")
    assert run_cli("recommend", odd, "--history-file", tmp_path / "ids.txt") == 2


def test_the_best_delegate_on_validation_answers_where_there_is_no_policy(odd: Path) -> None:
    agent = Recommender.open(odd).agent
    answer = Recommender.open(odd).recommend(history=["1"])
    assert answer.by == "transitions"
    assert answer.reason.startswith(
        "there is no policy: transitions answers every request, the best delegate on 8 validation"
    )
    assert set(agent.alone) == {Task.SEQUENTIAL}
    measured = json.loads((odd / "metrics.json").read_text(encoding="utf-8"))
    assert measured["roles"]["chosen"] == "transitions"
    assert {row["a"] for row in measured["comparisons"]} == {"transitions"}, "whom the others are compared with"


@pytest.mark.parametrize("options", [[], ["--json"], ["--why"], ["--json", "--why"]])
def test_nothing_from_data_steers_the_terminal(
    odd: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("recommend", odd, "--history-item", "3", *options) == 0
    shown = capsys.readouterr().out
    assert not {"\x9b", "\x1b", "\u202e", "\u2066"} & set(shown)
    assert "\U0001f600 é" in shown
    if "--json" in options:
        assert "\x9b31m \u202eevil" in json.dumps(json.loads(shown), ensure_ascii=False)
