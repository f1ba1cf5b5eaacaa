"""Words for what is wanted: who can answer does, through every door; who cannot says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_mcp.tools import Tools
from reasonrec_serve import Recommender, Request
from reasonrec_serve.http.app import make_app
from reasonrec_serve.http.live import LiveHistories
from reasonrec_serve.http.settings import ServeSettings
from reasonrec_serve.resolve import resolve
from reasonrec_trace import open_trace
from reasonrec_trace.replay import Wanted, replay
from reasonrec_trace.stats import statistics
from starlette.testclient import TestClient

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.types import History, QueryBatch, Task

from .conftest import pipeline, silent
from .shop_encoders import registry

TRAINING = {"epochs": 12, "patience": 12, "learning_rate": 0.05, "warmup": 5, "ema": 0.8, "device": "cpu", "batch": 64}
ALPHAREC = {"name": "alpharec", "dimensions": 16, "layers": 2, "training": TRAINING}
WORDS = {"text": {"encoder": "words"}}


def fit(data: Path, run: Path, **changes: Any) -> Recommender:
    fit_pipeline(check_config(pipeline(data, **{"router": None, **changes}), "x"), run, registry(), silent)
    return Recommender.open(run, registry())


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words") / "run"
    fit(data, folder, observe=WORDS, delegates=["popularity", ALPHAREC])
    return folder


@pytest.fixture(scope="module")
def service(run: Path) -> Recommender:
    return Recommender.open(run, registry())


def call(*arguments: str) -> int:
    """The exit code of the command line."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def ids(answer: Any) -> list[str]:
    return [item.id for item in answer.items]


def category(service: Recommender, found: list[str]) -> list[str]:
    labels = dict(zip(service.dataset.catalog.ids, service.dataset.catalog.column("categories"), strict=True))
    return [str(labels[each]) for each in found]


def test_words_find_what_reads_like_them(service: Recommender) -> None:
    for word in ("Lamps", "Mugs", "Kites", "Boots"):
        answer = service.recommend(query=word, k=8)
        assert sum(word in each for each in category(service, ids(answer))) >= 6
        assert (answer.by, answer.confidence, answer.personalised) == ("alpharec", None, False)
        assert answer.reason == "alpharec answers: by the words alone"
        assert answer.notes == ("No confidence is stated, because it was not calibrated on text queries.",)


def test_an_index_around_a_delegate_that_reads_words_reads_them_too(
    service: Recommender, data: Path, tmp_path: Path
) -> None:
    settings = {name: value for name, value in ALPHAREC.items() if name != "name"}
    index = {"name": "ann-index", "delegate": "alpharec", "settings": settings}
    other = fit(data, tmp_path / "run", observe=WORDS, delegates=["popularity", index])
    assert other.text_queries.find_label() == "ann-index"
    found, exact = (each.recommend(query="Lamps", k=8) for each in (other, service))
    assert (found.by, ids(found)) == ("ann-index", ids(exact))


def test_an_item_without_a_text_is_not_the_first_to_any_words(service: Recommender) -> None:
    (silent_item,) = np.flatnonzero(~service.agent.items.present["text"])
    for word in ("Lamps", "Mugs", "Kites", "Boots"):
        assert service.dataset.catalog.ids[silent_item] not in ids(service.recommend(query=word, k=8))


def test_words_and_history_are_weighed(service: Recommender) -> None:
    user = service.dataset.users.column("user_id").to_pylist()[0]
    delegate = service.agent.delegates["alpharec"].part
    words, both, past = (
        service.recommend(query="Kites", user=user, query_weight=weight, k=10) for weight in (1.0, 0.5, 0.0)
    )
    seen = {item for item, _ in both.history}
    assert ids(words) == [each for each in ids(service.recommend(query="Kites", k=40)) if each not in seen][:10]
    asked = resolve(service.dataset, Request(user=user, k=10), service.item_filter).batch
    own = delegate.recommend(asked, service.agent.observe(asked))
    assert ids(past) == [service.dataset.catalog.ids[each] for each in own.items[0]]
    kites = [sum("Kites" in each for each in category(service, ids(answer))) for answer in (words, both, past)]
    assert kites[0] >= kites[1] >= kites[2]
    assert "weighted 0.5 to 0.5" in both.reason
    assert both.personalised


def shares(item: Any) -> dict[str, float]:
    return {cause.title or cause.id: cause.share for cause in item.because}


def test_items_say_which_words_they_were_found_by(service: Recommender) -> None:
    for query, word in (("some Kites", "“Kites”"), ("Mugs please", "“Mugs”")):
        best = service.recommend(query=query, k=3).explained[0]
        assert max(shares(best), key=lambda title: shares(best)[title]) == word
        assert best.why.startswith(f"because of {word} (")
        assert sum(shares(best).values()) == pytest.approx(1, abs=0.11)  # causes below 5 % are not named
    (item, *_) = service.recommend(query="Kites", k=3).explained
    assert shares(item) == {"the words": 1.0}
    long = service.recommend(query="Kites " * 13, k=1).explained[0]
    assert shares(long) == {"the words": 1.0}


def test_words_and_history_share_the_reason_as_they_share_the_score(service: Recommender) -> None:
    user = service.dataset.users.column("user_id").to_pylist()[0]
    asked = {"query": "red Kites", "user": user, "k": 5}
    found = {weight: service.recommend(**asked, query_weight=weight).explained for weight in (0.0, 0.5, 1.0)}
    of_words = {
        weight: np.mean([sum(share for title, share in shares(i).items() if title.startswith("“")) for i in items])
        for weight, items in found.items()
    }
    assert of_words[0.0] == 0
    assert 0 < of_words[0.5] < 1
    assert of_words[1.0] == pytest.approx(1, abs=0.11)
    past = {item for item, _ in service.recommend(**asked).history}
    for item in found[0.5]:
        assert {cause.id for cause in item.because} - {""} <= past
        assert sum(shares(item).values()) <= 1 + 1e-5
    listed = service.recommend(query="red Kites", candidates=list(service.dataset.catalog.ids[:6])).explained
    assert all(item.why for item in listed)


def test_a_text_query_leaves_a_trace_that_no_replay_mistakes_for_a_decision(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    traced = Recommender.open(folder, registry(), trace=True)
    user = traced.dataset.users.column("user_id").to_pylist()[0]
    answer = traced.recommend(query="blue boots", user=user, k=3)
    traced.recommend(user=user, k=3)
    file = open_trace(folder / "requests-sequential.jsonl")
    (record,) = file.records("words")
    assert (record.user, record.route, record.delegate, record.query) == (user, "replace", "alpharec", 0)
    assert record.reason == "alpharec answers: by the words and the history, weighted 0.5 to 0.5 (“blue boots”)"
    assert (list(record.ranking), record.history_length) == (ids(answer), len(answer.history))
    assert statistics(file)["decisions"] == 1
    assert replay(file, Wanted()).n == 1
    assert call("trace", "show", str(file.path), "--request", "0") == 0
    assert "“blue boots”" in capsys.readouterr().out
    assert call("trace", "show", str(file.path), "--request", "7") == 2
    assert "numbered 0 to 1" in capsys.readouterr().err


def test_what_was_written_is_kept_out_of_a_trace_with_hashed_users(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REASONREC_TRACE_KEY", "0123456789abcdef0123")
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    traced = Recommender.open(folder, registry())
    traced.config = traced.config.model_copy(update={"trace": {**traced.config.trace, "hash_users": True}})
    traced.on_answer = traced.find_watcher(True)
    traced.recommend(query="blue boots", k=3)
    (record,) = open_trace(folder / "requests-sequential.jsonl").records("words")
    assert record.reason == "alpharec answers: by the words alone"
    row = json.loads((folder / "requests-sequential.jsonl").read_text().splitlines()[1])
    assert "boots" not in json.dumps({name: value for name, value in row.items() if name not in {"ranking", "answers"}})


def test_limits_hold_for_words_too(service: Recommender) -> None:
    whole = ids(service.recommend(query="red mugs", k=40))
    catalog = service.dataset.catalog
    assert ids(service.recommend(query="red mugs", k=5, exclude=whole[:3])) == whole[3:8]
    acorn = [each for each in whole if catalog.column("brand")[catalog.index[each]] == "Acorn"]
    assert ids(service.recommend(query="red mugs", k=40, where={"brand": "Acorn"})) == acorn
    assert ids(service.recommend(query="red mugs", candidates=[whole[9], whole[4], "unknown"])) == [whole[4], whole[9]]
    past = whole[:2]
    assert not set(past) & set(ids(service.recommend(query="red mugs", history=past, k=40)))
    again = service.recommend(query="red mugs", history=past, include_seen=True, query_weight=1, k=2)
    assert ids(again) == past
    spread = service.recommend(query="red mugs", k=10, diversity=0.8)
    assert set(ids(spread)) != set(whole[:10])


def test_every_door_gives_the_same(
    run: Path, service: Recommender, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "discover", registry)
    asked = {"query": "blue boots", "k": 4, "exclude": ["item-03"]}
    expected = ids(service.recommend(**asked))
    tools = Tools(service, LiveHistories(None)).call("recommend", asked)
    assert [item["id"] for item in tools.values["items"]] == expected
    with TestClient(make_app(ServeSettings(run=run, store="none")), base_url="http://127.0.0.1") as client:
        body = client.post("/v1/recommend", json=asked)
        assert client.get("/v1/run").json()["reads_words"] == "alpharec"
        refused = client.post("/v1/recommend", json={"query": ""})
    assert [item["id"] for item in body.json()["items"]] == expected
    assert (refused.status_code, "must be words" in refused.text) == (422, True)
    assert call("recommend", str(run), "--query", "blue boots", "--k", "4", "--exclude", "item-03", "--json") == 0
    assert [item["id"] for item in json.loads(capsys.readouterr().out)["items"]] == expected


def test_the_command_line_reads_words(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("recommend", str(finished), "--query", "wedding gift") == 2
    said = capsys.readouterr().err
    assert "--query: no delegate of this run can answer a text query (there are: popularity, transitions)" in said
    assert call("recommend", str(finished), "--user", "user-03", "--query-weight", "0.4") == 2
    assert "there is no text query to weigh" in capsys.readouterr().err
    assert call("recommend", str(finished), "--users", "all", "--query", "a", "--out", "x.csv") == 2
    assert "--query: is for one user, but --users is for many" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"query": " "}, "--query: must be words, not ' '"),
        ({"query": 3}, "--query: must be words, not 3"),
        ({"query": "a" * 2001}, "--query: has 2,001 characters, and 2,000 is the limit"),
        ({"query": "a", "query_weight": 1.5}, "--query-weight: must be a number from 0 to 1, not 1.5"),
        ({"query": "a", "assume": {"brand": "Acorn"}}, "--query: steps of the policy cannot be edited in a text query"),
    ],
)
def test_words_of_no_use_are_refused(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Request(**request_)
    assert message in error.value.message


def test_a_delegate_whose_features_are_no_text_says_so(data: Path, tmp_path: Path) -> None:
    service = fit(data, tmp_path / "run", observe={"look": {"encoder": "colours"}}, delegates=[ALPHAREC])
    with pytest.raises(ConfigError, match=r"alpharec cannot answer a text query: no encoder of text .* \(look\)"):
        service.recommend(query="red")


def test_the_network_of_one_run_answers_words_in_another_without_training(
    run: Path, service: Recommender, data: Path, tmp_path: Path
) -> None:
    trained = run / "stages" / "delegate-alpharec" / "component"
    other = fit(
        data,
        tmp_path / "run",
        observe=WORDS,
        delegates=[ALPHAREC | {"pretrained": str(trained)}],
        split={"min_history": 3, "negatives": 9},
    )
    for word in ("Lamps", "Boots"):
        found = category(other, ids(other.recommend(query=word, k=8)))
        assert sum(word in each for each in found) >= 6
    first, second = (each.agent.delegates["alpharec"].part for each in (service, other))
    seen = other.agent.observe(_nobody())
    vector = {"text": np.ones((1, 128), np.float32)}
    np.testing.assert_allclose(first.feature_vectors(vector, seen), second.feature_vectors(vector, seen), atol=1e-6)


def _nobody() -> Any:
    return QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[]]), 1)
