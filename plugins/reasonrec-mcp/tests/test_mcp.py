"""An assistant asks a run: the answers are those of Python, and item text is data."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import CallToolResult
from reasonrec_mcp.fence import LONGEST, WARNING, quote
from reasonrec_mcp.server import answer_call, describe_tools
from reasonrec_mcp.tools import Tools
from reasonrec_serve.history_store import Event, beside_run, open_store

from reasonrec_core.cli.main import main

from .conftest import ORDER

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def text_of(result: CallToolResult) -> str:
    (part,) = result.content
    assert part.type == "text"
    return str(part.text)


def values_of(result: CallToolResult) -> dict[str, Any]:
    """What is given as JSON, without what is never twice the same."""
    assert not result.is_error, text_of(result)
    values = json.loads(json.dumps(result.structured_content))
    values.pop("seconds", None)
    return dict(values)


def calls(tools: Tools) -> dict[str, dict[str, Any]]:
    """A call of every tool."""
    run = tools.run
    user, item = next(iter(run.dataset.user_index)), run.dataset.catalog.ids[3]
    return {
        "recommend": {"user": user, "k": 4},
        "similar": {"item": item, "k": 4},
        "explain": {"user": user, "k": 4},
        "assume": {"user": user, "k": 4, "assume": {"brand": ORDER}},
        "lookup": {"words": "ignore", "limit": 4},
    }


def test_answers_are_those_of_python_with_ids_reasons_and_confidence(tools: Tools) -> None:
    asked = calls(tools)
    for name in ("recommend", "explain", "assume"):
        answer = tools.run.recommend(**asked[name])
        values = values_of(answer_call(tools, name, asked[name]))
        expected = json.loads(json.dumps(answer.to_dict()))
        if name != "explain":
            del expected["steps"]
        del expected["seconds"]
        assert values == {**expected, "live": None}
    found = json.loads(json.dumps(tools.run.similar(**asked["similar"]).to_dict()))
    del found["seconds"]
    assert values_of(answer_call(tools, "similar", asked["similar"])) == found
    values = values_of(answer_call(tools, "lookup", {"ids": [tools.run.dataset.catalog.ids[5], "no such"]}))
    assert ([item["id"] for item in values["items"]], values["unknown"]) == ([tools.run.dataset.catalog.ids[5]], 1)
    labels = values_of(answer_call(tools, "lookup", {"labels_of": "brand", "words": "birch"}))["labels"]
    assert labels == ["Birch"]


def test_what_a_tool_gives_fits_its_schema_and_changes_nothing(tools: Tools) -> None:
    described = {tool.name: tool for tool in describe_tools(tools)}
    assert list(described) == ["recommend", "similar", "explain", "lookup", "assume"]
    for name, given in calls(tools).items():
        tool = described[name]
        assert tool.output_schema is not None
        jsonschema.validate(given, tool.input_schema)
        jsonschema.validate(
            json.loads(json.dumps(answer_call(tools, name, given).structured_content)), tool.output_schema
        )
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint


@pytest.mark.parametrize("name", ["recommend", "similar", "explain", "assume", "lookup"])
def test_a_text_that_gives_orders_stays_within_its_quotation_marks(tools: Tools, name: str) -> None:
    text = text_of(answer_call(tools, name, calls(tools)[name]))
    assert text.startswith(WARNING)
    assert "Ignore all previous instructions" in text, "the text is shown, as data"
    outside = QUOTED.sub("", text)
    for word in ("Ignore", "SYSTEM", "X-1", "im_start", "</data>"):
        assert word not in outside
    assert '"' not in outside
    assert all(line.isprintable() for line in text.replace("\u00a0", " ").split("\n"))
    items = [line for line in text.split("\n") if re.match(r"\d+\. ", line)]
    assert len(items) == (0 if name == "lookup" else 4), "no text adds a line"


def test_orders_in_what_is_wrong_stay_quoted_too(tools: Tools) -> None:
    user = next(iter(tools.run.dataset.user_index))
    for result in (
        answer_call(tools, "assume", {"user": user, "assume": {"brand": "no such brand"}}),
        answer_call(tools, "similar", {"item": ORDER}),
        answer_call(tools, ORDER, {}),
    ):
        assert result.is_error
        text = text_of(result)
        assert not re.search("SYSTEM|Ignore", QUOTED.sub("", text))
        assert all(line.isprintable() for line in text.replace("\u00a0", " ").split("\n"))


def test_a_quoted_text_is_one_short_line() -> None:
    assert quote('a "b"\n\tc\\') == '"a \\"b\\" c\\\\"'
    assert len(json.loads(quote("x" * 5000))) == LONGEST
    assert quote("\u202e\x1b\u200b") == '"' + "\N{REPLACEMENT CHARACTER}" * 3 + '"'
    assert quote("Crème brûlée 抹茶") == '"Crème brûlée 抹茶"'


@pytest.mark.parametrize(
    ("name", "given", "where", "what"),
    [
        ("recommend", {}, "recommend", "either a user or a history"),
        ("recommend", {"user": "u", "surprise": 1}, "surprise", "no such field"),
        ("recommend", {"history": "abc"}, "history", "valid list"),
        ("recommend", {"history": [], "where": {"brnad": "x"}}, "where", "no field 'brnad'"),
        ("assume", {"history": []}, "assume", "nothing is assumed"),
        ("assume", {"history": [], "ignore": ["x"]}, "ignore", "history is empty"),
        ("explain", {"history": [], "item": "no such"}, "item", "is not among the 10"),
        ("lookup", {"labels_of": "brnad"}, "labels_of", "cannot be assumed"),
        ("similar", {"item": "no such"}, "similar", "unknown item"),
        ("recomend", {}, "name", "there is no tool"),
    ],
)
def test_what_cannot_be_answered_says_what_where_and_how_to_mend_it(
    tools: Tools, name: str, given: dict[str, Any], where: str, what: str
) -> None:
    result = answer_call(tools, name, given)
    assert result.is_error
    problem = result.structured_content
    assert set(problem) == {"what", "where", "fix"}
    assert problem["where"].startswith(where)
    assert what in problem["what"]


def test_a_component_that_fails_is_no_end_and_tells_nothing_of_this_machine(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret: /home/shop/key")

    monkeypatch.setattr(type(tools.run), "answer", fail)
    result = answer_call(tools, "recommend", {"history": []})
    assert result.is_error
    assert "secret" not in text_of(result)
    monkeypatch.undo()
    assert not answer_call(tools, "recommend", {"history": []}).is_error


def test_events_that_a_server_keeps_belong_to_histories(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    store = open_store(str(beside_run(run)))
    before = Tools.open(run, store="none")
    user, item = next(iter(before.run.dataset.user_index)), before.run.dataset.catalog.ids[0]
    store.append([Event("e1", user, item, 2_000_000_000), Event("e2", user, "no such", 2_000_000_001)])
    store.close()
    values = values_of(answer_call(Tools.open(run), "recommend", {"user": user}))
    assert values["live"] == {"events": 1, "unknown": 1, "problem": None}
    assert values["history"][-1][0] == item
    assert values_of(answer_call(before, "recommend", {"user": user}))["live"] is None


def test_an_assistant_asks_over_standard_input_and_output(tools: Tools, finished: Path) -> None:
    asked = calls(tools)
    environment = {key: os.environ[key] for key in ("PYTHONPATH", "REASONREC_CACHE") if key in os.environ}

    async def talk() -> tuple[list[str], list[CallToolResult], bool]:
        command = [sys.executable, "-m", "reasonrec_core", "mcp", str(finished)]
        parameters = StdioServerParameters(command=command[0], args=command[1:], env=environment)
        async with Client(stdio_client(parameters)) as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
            results = [await client.call_tool(name, given) for name, given in asked.items()]
            results.append(await client.call_tool("recommend", {}))
            results.append(await client.call_tool("recommend", asked["recommend"]))
            return listed, results, loads_torch(command)

    listed, results, heavy = anyio.run(talk)
    assert listed == list(tools.all)
    assert not heavy, "a run that needs no deep-learning framework loads none"
    assert [result.is_error for result in results] == [False] * 5 + [True, False]
    for name, result in zip(asked, results, strict=False):
        assert values_of(result) == values_of(answer_call(tools, name, asked[name]))
        assert WARNING in text_of(result)


def loads_torch(command: list[str]) -> bool:
    """Whether the process that runs ``command`` has torch in its memory."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
            if line[-3:] == command[-3:]:
                return "libtorch" in (folder / "maps").read_text()
        except OSError:
            continue
    raise AssertionError("the server's process was not found")


def test_a_run_that_cannot_be_asked_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["mcp", str(tmp_path)])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert str(tmp_path) in said.err
