"""One request, one answer: in Python, in batches, as frames, over HTTP, as an assistant's tool, on the command line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reasonrec as rr
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_mcp.server import answer_call
from reasonrec_mcp.tools import Tools
from reasonrec_serve import Recommender
from reasonrec_serve.http.app import make_app
from reasonrec_serve.http.live import LiveHistories
from reasonrec_serve.http.settings import ServeSettings
from starlette.testclient import TestClient

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent

RUNS: tuple[dict[str, Any], ...] = (
    {"policy": "profile", "router": {"share": 0.4, "stage": "before"}},
    {"policy": "toy", "router": {"share": 0.3, "stage": "after", "abstain": 0.2}},
    {"policy": None, "router": None},
)
CHAIN = {
    "name": "chain",
    "network": {"dimensions": 16, "layers": 1, "heads": 2, "max_history": 20},
    "training": {"epochs": 2, "device": "cpu"},
    "gates": {"steps": 20, "epochs": 2, "folds": 2, "depth": 15},
}
SMALL_MODELS = str(Path(__file__).parents[2] / "plugins" / "reasonrec-cot" / "tests")
BATCHED = ("k", "exclude", "only", "where", "include_seen", "diversity")
"""What many users can be asked for at once."""
Answer = dict[str, Any]
Row = tuple[Any, ...]


class Doors:
    """One fitted run, asked in every way."""

    def __init__(self, run: Path) -> None:
        self.run, self.python = run, Recommender.open(run)
        self.tools = Tools(self.python, LiveHistories(None))
        self.frames = rr.Run(run, "pyarrow")
        self.http = TestClient(make_app(ServeSettings(run=run, store="none")), base_url="http://127.0.0.1")

    def ask_python(self, request: Answer) -> Answer:
        return plain(self.python.recommend(**request).to_dict())

    def ask_http(self, request: Answer) -> Answer:
        full = plain(self.http.post("/v1/recommend", json={**request, "steps": True}).json())
        reasons = plain(self.http.post("/v1/recommend", json={**request, "because": True}).json())
        assert loosen(full) == {**reasons, "steps": full["steps"]}
        return full

    def ask_http_batch(self, request: Answer) -> Answer:
        other = {"history": [], "k": 1}
        body = {"requests": [other, {**request, "steps": True}, other]}
        return plain(self.http.post("/v1/batch", json=body).json()["answers"][1])

    def ask_tool(self, request: Answer) -> Answer:
        result = answer_call(self.tools, "explain", request)
        assert not result.is_error, result
        values = plain(result.structured_content)
        assert values.pop("live") is None
        name = "assume" if request.get("assume") or request.get("ignore") else "recommend"
        short = plain(answer_call(self.tools, name, request).structured_content)
        assert loosen({**values, "live": None}) == {**short, "steps": values["steps"]}
        bare = plain(answer_call(self.tools, name, {**request, "because": False}).structured_content)
        stripped = [{**item, "because": [], "why": ""} for item in short["items"]]
        assert loosen({**short, "items": stripped}) == bare
        return values

    def ask_command(self, request: Answer) -> Answer:
        return plain(json.loads(run_command("recommend", self.run, *write_options(request), "--why", "--json")))

    def ask_frames(self, request: Answer) -> list[Row]:
        given = dict(request)
        if "history" not in given:
            given["users"] = [given.pop("user")]
            if "candidates" in given or "task" in given:  # of one request
                answer = self.frames.answer(user=given.pop("users")[0], **given)
                return [(request["user"], *row) for row in list_rows(plain(answer.to_dict()))]
        return read_rows(self.frames.recommend(**given))


def list_rows(answer: Answer) -> list[Row]:
    """The items of an answer, as rows: place, id, score, who answered, how sure that is."""
    sure = answer["confidence"]
    return [
        (place, item["id"], near(item["score"]), answer["by"], None if sure is None else near(sure))
        for place, item in enumerate(answer["items"], 1)
    ]


def near(value: float) -> Any:
    """Batches are computed in other groups, and kept in single precision."""
    return pytest.approx(value, rel=1e-5, abs=1e-9)


def read_rows(table: pa.Table) -> list[Row]:
    """A table of recommendations as such rows, with the user before them."""
    names = ("user_id", "rank", "item_id", "score", "by", "confidence")
    return [tuple(row[name] for name in names) for row in table.to_pylist()]


def plain(answer: Any) -> Answer:
    """As it looks when it was sent, without what is never twice the same."""
    values: Answer = json.loads(json.dumps(answer))
    assert "items" in values, values
    values.pop("seconds")
    return values


def run_command(*arguments: str | Path) -> str:
    said = io.StringIO()
    with redirect_stdout(said), pytest.raises(SystemExit) as left:
        main([str(each) for each in arguments])
    assert not left.value.code
    return said.getvalue()


def write_options(request: Mapping[str, Any]) -> Iterator[str]:
    """A request as options of the command line."""
    single = {"history": "--history-item", "candidates": "--candidate"}
    for name, value in request.items():
        if name == "where":
            for field, wanted in value.items():
                if isinstance(wanted, dict):
                    signs = {"min": ">=", "max": "<="}
                    yield from (f"--where={field}{signs[end]}{number}" for end, number in wanted.items())
                else:
                    some = wanted if isinstance(wanted, list) else [wanted]
                    yield from (f"--where={field}={'' if each is None else each}" for each in some)
        elif name == "assume":
            yield from (f"--assume={field}={label}" for field, label in value.items())
        elif name == "include_seen":
            yield from ["--include-seen"] if value else []
        elif name in single and value:
            yield from (f"{single[name]}={each}" for each in value)
        elif name == "ignore":
            yield from (f"--ignore={each}" for each in value)
        elif isinstance(value, list):
            yield f"--{name}={','.join(value)}"
        else:
            yield f"--{name}={value}"


@contextmanager
def opened(data: Path, factory: pytest.TempPathFactory, changes: Iterable[Mapping[str, Any]]) -> Iterator[list[Doors]]:
    """A fitted run for each of some pipelines."""
    with ExitStack() as stack:
        found = []
        for each in changes:
            run = factory.mktemp("doors") / "run"
            fit_pipeline(check_config(pipeline(data, **each), "x"), run, Registry.discover(), silent)
            found.append(Doors(run))
            stack.enter_context(found[-1].http)
        yield found


@pytest.fixture(scope="module")
def doors(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Doors]]:
    with opened(data, tmp_path_factory, RUNS) as found:
        yield found


@pytest.fixture(scope="module")
def networks(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Doors]]:
    """Small real models: a trained chain, and a language model."""
    pytest.importorskip("transformers")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SMALL_MODELS)
        from tiny_model import tiny_llama

        model = str(tiny_llama(tmp_path_factory.mktemp("llama")))
    cot = {"name": "cot", "backbone": {"model": model, "device": "cpu", "precision": "float32"}}
    changes = (
        {"policy": CHAIN, "router": {"share": 0.4, "stage": "before"}},
        {"policy": {**cot, "shortlist": {"size": 6}}, "router": {"share": 0.3, "stage": "after"}},
    )
    with opened(data, tmp_path_factory, changes) as found:
        yield found


CONDITIONS: tuple[dict[str, Any], ...] = (
    {"brand": "Acorn"},
    {"brand": ["acorn", "Birch"]},
    {"brand": "no such brand"},
    {"price": {"min": 10, "max": 30.5}},
    {"price": None},
    {"brand": "Birch", "price": {"max": 40}},
)


@st.composite
def draw_limits(draw: st.DrawFn, items: list[str]) -> Answer:
    """What may be asked of one or many: how many, and what is ruled out."""
    request: Answer = {"k": draw(st.integers(1, 14))}
    some = st.lists(st.sampled_from([*items, "unknown-1", "unknown-2"]), max_size=25)
    if draw(st.booleans()):
        request["exclude"] = draw(some)
    if draw(st.booleans()):
        request["only"] = draw(some)
    if draw(st.booleans()):
        request["where"] = draw(st.sampled_from(CONDITIONS))
    request["include_seen"] = draw(st.booleans())
    request["diversity"] = draw(st.sampled_from([0.0, 0.0, 0.4]))
    return request


@st.composite
def draw_request(draw: st.DrawFn, run: Recommender, editable: bool) -> Answer:
    """A request of any kind that can be answered."""
    items = run.dataset.catalog.ids
    request = draw(draw_limits(items))
    if draw(st.booleans()):
        request["user"] = draw(st.sampled_from([*run.dataset.user_index, "somebody new"]))
    else:
        request["history"] = draw(st.lists(st.sampled_from([*items, "unknown-1"]), max_size=6))
    if draw(st.integers(0, 4)) == 0:
        request["candidates"] = draw(st.lists(st.sampled_from([*items, "unknown-3"]), min_size=1, max_size=8))
    if editable and draw(st.integers(0, 2)) == 0:
        request["assume"] = {"brand": draw(st.sampled_from(["Birch", "cedar"]))}
        known = [item for item in request.get("history", ()) if item in run.dataset.catalog.index]
        if known and draw(st.booleans()):
            request["ignore"] = [draw(st.sampled_from(known))]
    return request


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_door_gives_the_same_answer(doors: list[Doors], data: st.DataObject) -> None:
    door = data.draw(st.sampled_from(doors))
    check_one(door, data.draw(draw_request(door.python, editable=door is not doors[-1])))


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_networks_give_the_same_answer_at_every_door(networks: list[Doors], data: st.DataObject) -> None:
    door = data.draw(st.sampled_from(networks))
    check_one(door, data.draw(draw_request(door.python, editable=door is networks[0])), loosen)


def loosen(answer: Any) -> Any:
    """The same but for the last digits of numbers: products depend on where in memory the matrices lie."""
    if isinstance(answer, dict):
        return {name: loosen(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [loosen(value) for value in answer]
    return pytest.approx(answer, rel=1e-5, abs=1e-6) if isinstance(answer, float) else answer


def check_one(door: Doors, request: Answer, read: Callable[[Answer], Any] = lambda answer: answer) -> None:
    """One request, at every door."""
    answer = door.ask_python(request)
    expected = read(answer)
    assert door.ask_http(request) == expected
    assert door.ask_http_batch(request) == expected
    assert door.ask_tool(request) == expected
    with pytest.MonkeyPatch.context() as patch:  # opening it again for each request would take the time
        patch.setattr(Recommender, "open", lambda *_, **__: door.python)
        assert door.ask_command(request) == expected
    rows = [(None if "history" in request else request["user"], *row) for row in list_rows(answer)]
    assert door.ask_frames(request) == rows


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_many_users_get_what_each_would_get(doors: list[Doors], data: st.DataObject) -> None:
    check_many(data.draw(st.sampled_from(doors)), data)


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_networks_give_many_users_what_each_would_get(networks: list[Doors], data: st.DataObject) -> None:
    check_many(data.draw(st.sampled_from(networks)), data)


def check_many(door: Doors, data: st.DataObject) -> None:
    """One request for several users, in batches of every kind."""
    known = list(door.python.dataset.user_index)
    users = data.draw(st.lists(st.sampled_from([*known, "somebody new"]), min_size=1, max_size=9, unique=True))
    request = data.draw(draw_limits(door.python.dataset.catalog.ids))
    alone = [(user, *row) for user in users for row in list_rows(door.ask_python({"user": user, **request}))]
    table = pa.concat_tables(door.python.recommend_batch(users, **request, size=4))
    assert read_rows(table) == alone
    assert read_rows(door.frames.recommend(users=users, **request)) == alone
    requests = [{"user": user, **request} for user in users]
    answers = door.http.post("/v1/batch", json={"requests": requests}).json()["answers"]
    assert [(user, *row) for user, each in zip(users, answers, strict=True) for row in list_rows(each)] == alone


@pytest.mark.parametrize("which", range(len(RUNS)))
def test_the_file_of_a_batch_holds_what_each_would_get(doors: list[Doors], which: int, tmp_path: Path) -> None:
    check_file(doors[which], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("which", range(2))
def test_the_file_of_a_batch_of_networks_holds_what_each_would_get(
    networks: list[Doors], which: int, tmp_path: Path
) -> None:
    check_file(networks[which], tmp_path)


def check_file(door: Doors, tmp_path: Path) -> None:
    """The file of a batch."""
    users, items = [*list(door.python.dataset.user_index)[:12], "somebody new"], door.python.dataset.catalog.ids
    (tmp_path / "users").write_text("\n".join(users))
    request = {"k": 6, "exclude": items[::3], "where": {"price": {"min": 8}}, "include_seen": True}
    options = [*write_options(request), "--users", tmp_path / "users", "--out", tmp_path / "recs.parquet"]
    run_command("recommend", door.run, *options, "--workers", "1")
    alone = [(user, *row) for user in users for row in list_rows(door.ask_python({"user": user, **request}))]
    assert read_rows(pq.read_table(tmp_path / "recs.parquet")) == alone


def test_a_process_of_its_own_answers_as_python_does(doors: list[Doors]) -> None:
    door = doors[0]
    items = door.python.dataset.catalog.ids
    request = {"history": items[4:7], "k": 5, "exclude": items[:9], "where": {"brand": ["Birch", "Cedar"]}}
    command = [sys.executable, "-m", "reasonrec_core", "recommend", str(door.run), *write_options(request)]
    done = subprocess.run([*command, "--why", "--json"], capture_output=True, text=True, check=True, timeout=120)
    assert plain(json.loads(done.stdout)) == door.ask_python(request)
