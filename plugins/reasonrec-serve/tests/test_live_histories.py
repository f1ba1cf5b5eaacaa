"""What people do counts at once, once, and is not lost."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from reasonrec_serve import Recommender
from reasonrec_serve.history_store import StoreUnavailable, open_store
from reasonrec_serve.http.learning import Learner
from reasonrec_serve.http.live import LiveHistories
from reasonrec_serve.stores.sqlite import SqliteStore

from reasonrec_core.errors import ConfigError


@pytest.fixture(scope="module")
def run(finished: Path) -> Recommender:
    return Recommender.open(finished)


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["id"] for item in answer["items"]]


def test_the_next_request_sees_an_event(serve: Any, run: Recommender) -> None:
    client, user = serve(), next(iter(run.dataset.user_index))
    before = client.post("/v1/recommend", json={"user": user}).json()
    item = before["items"][0]["id"]
    sent = client.post("/v1/events", json={"events": [{"id": "e1", "user": user, "item": item}]})
    assert sent.json() == {"new": 1, "repeated": 0, "conflicting": [], "unknown_items": 0}
    after = client.post("/v1/recommend", json={"user": user}).json()
    assert item not in ids(after)
    assert after["history"] == [*before["history"], [item, run.dataset.catalog.titles[run.dataset.catalog.index[item]]]]
    assert after["live"] == {"events": 1, "unknown": 0, "problem": None}
    log = [each[0] for each in before["history"]]
    assert ids(after) == [each.id for each in run.recommend(user=user, history=[*log, item]).items]


def test_an_event_is_one_event_however_often_it_is_sent(serve: Any, run: Recommender) -> None:
    client, item = serve(), run.dataset.catalog.ids[2]
    event = {"id": 7, "user": "someone", "item": item, "time": 1_000}
    assert client.post("/v1/events", json={"events": [event]}).json()["new"] == 1
    assert client.post("/v1/events", json={"events": [event, {**event, "id": "8"}]}).json()["repeated"] == 1
    other = client.post("/v1/events", json={"events": [{**event, "item": run.dataset.catalog.ids[3]}]}).json()
    assert (other["new"], other["conflicting"]) == (0, ["7"])
    answer = client.post("/v1/recommend", json={"user": "someone"}).json()
    assert [each[0] for each in answer["history"]] == [item, item]


def test_somebody_new_is_known_by_what_they_do(serve: Any, run: Recommender) -> None:
    client, first, second = serve(), *run.dataset.catalog.ids[:2]
    nobody = client.post("/v1/recommend", json={"user": "new"}).json()
    assert not nobody["personalised"]
    late = {"id": "b", "user": "new", "item": second, "time": 2_000}
    early = {"id": "a", "user": "new", "item": first, "time": 1_000}
    odd = {"id": "c", "user": "new", "item": "not in the catalogue", "time": 3_000}
    assert client.post("/v1/events", json={"events": [late, early, odd]}).json()["unknown_items"] == 1
    answer = client.post("/v1/recommend", json={"user": "new"}).json()
    assert answer["personalised"]
    assert [each[0] for each in answer["history"]] == [first, second]
    assert answer["live"] == {"events": 2, "unknown": 1, "problem": None}


def test_what_the_run_was_made_from_does_not_count_twice(serve: Any, run: Recommender) -> None:
    client, log = serve(), run.dataset.interactions
    user, item = list(run.dataset.user_index)[log.users[0]], run.dataset.catalog.ids[log.items[0]]
    before = client.post("/v1/recommend", json={"user": user}).json()
    client.post("/v1/events", json={"events": [{"id": "x", "user": user, "item": item, "time": int(log.times[0])}]})
    after = client.post("/v1/recommend", json={"user": user}).json()
    assert after["history"] == before["history"]
    assert after["live"]["events"] == 0


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ({"id": "e", "user": "u"}, "field required"),
        ({"id": "e", "user": "u", "item": "i", "time": "now"}, "valid integer"),
        ({"id": "e", "user": "u", "item": "i", "time": int(time.time() * 1000)}, "in the future"),
        ({"id": "", "user": "u", "item": "i"}, "at least 1"),
        ({"id": "e", "user": "u", "item": "i", "colour": "red"}, "no such field"),
        ({"id": "e", "user": "u\ud800", "item": "i"}, "valid"),
    ],
)
def test_an_event_that_is_none_is_refused_and_nothing_kept(serve: Any, event: dict[str, Any], what: str) -> None:
    client = serve()
    good = {"id": "good", "user": "u", "item": "i"}
    content, headers = json.dumps({"events": [good, event]}), {"Content-Type": "application/json"}
    response = client.post("/v1/events", content=content, headers=headers)
    assert response.status_code == 422
    assert what in response.json()["what"]
    assert client.get("/v1/status").json()["store"]["last_position"] == 0


def test_one_id_for_two_events_of_a_body_is_refused(serve: Any) -> None:
    events = [{"id": "e", "user": "u", "item": item} for item in "ab"]
    response = serve().post("/v1/events", json={"events": events})
    assert (response.status_code, response.json()["where"]) == (422, "body.events[1].id")


def test_a_server_may_keep_no_events(serve: Any, run: Recommender) -> None:
    client = serve(store="none")
    event = {"id": "e", "user": "u", "item": "i"}
    assert client.post("/v1/events", json={"events": [event]}).status_code == 501
    user = next(iter(run.dataset.user_index))
    assert "live" not in client.post("/v1/recommend", json={"user": user}).json()


class GoneStore(SqliteStore):
    """A store whose server went away."""

    asked = 0

    def read(self, user: str, limit: int) -> Any:
        GoneStore.asked += 1
        raise StoreUnavailable("the store of events failed")

    append = last_position = read  # type: ignore[assignment]


def test_without_the_store_the_trained_history_answers_and_says_so(
    serve: Any, run: Recommender, tmp_path: Path
) -> None:
    client, user = serve(), next(iter(run.dataset.user_index))
    client.app.state.service.live = LiveHistories(
        GoneStore(tmp_path / "gone"), client.app.state.service.metrics.count_failure
    )
    for _ in range(3):
        answer = client.post("/v1/recommend", json={"user": user}).json()
        assert ids(answer) == [item.id for item in run.recommend(user=user).items]
        assert "is based on what the run knows" in answer["live"]["problem"]
    assert GoneStore.asked == 1, "a store that failed is left alone for a while"
    response = client.post("/v1/events", json={"events": [{"id": "e", "user": user, "item": "i"}]})
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    status = client.get("/v1/status").json()
    assert status["store"]["reached"] is False
    assert status["store_failures"] >= 1


def test_a_place_where_no_events_can_be_kept_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot store events here"):
        open_store(str(tmp_path / "no" / "such" / "folder.sqlite"))
    with pytest.raises(ConfigError, match=r"no kind of store called 'postgres'\. Did you mean 'postgresql'"):
        open_store("postgres://localhost/shop")
    (tmp_path / "file").write_bytes(b"not a database, and long enough to be looked at as one" * 10)
    with pytest.raises(ConfigError, match="file is not a database"):
        open_store(str(tmp_path / "file"))


def test_another_program_s_database_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    other.close()
    before = (tmp_path / "other.sqlite").read_bytes()
    with pytest.raises(ConfigError, match="another program's database"):
        open_store(str(tmp_path / "other.sqlite"))
    assert (tmp_path / "other.sqlite").read_bytes() == before


def test_what_events_change_is_said(serve: Any) -> None:
    known = "New events count in their users' histories at once; "
    said = serve().get("/v1/status").json()["learning"]
    assert said == f"{known}toy, popularity and transitions keep what the last fit learned."
    said = serve(learn=60).get("/v1/status").json()["learning"]
    assert said == f"{known}popularity and transitions also learn from them; toy keeps what the last fit learned."


def test_counting_delegates_learn_what_happens(serve: Any, run: Recommender, finished: Path) -> None:
    client, item = serve(learn=0.02), run.dataset.catalog.ids[4]
    before = run.agent.delegates["popularity"].part._counts
    known = next(iter(run.dataset.user_index))
    sent = [{"id": f"e{n}", "user": user, "item": item} for n, user in enumerate([known, "new", "other"])]
    client.post("/v1/events", json={"events": sent})
    end = time.monotonic() + 30
    while client.get("/v1/status").json()["learned_events"] < 3:
        assert time.monotonic() < end
        time.sleep(0.02)
    service = client.app.state.service
    after = service.recommender.agent.delegates["popularity"].part._counts
    index = run.dataset.catalog.index[item]
    assert after[index] == before[index] + 3
    assert after.sum() == before.sum() + 3
    rows = Learner(run, service.live.store)._to_rows(service.live.store.read_after(0, 10)[0])
    again = copy.copy(run.agent.delegates["transitions"].part)
    again.update(rows)
    learned = service.recommender.agent.delegates["transitions"].part
    assert (learned._matrix != again._matrix).nnz == 0
    assert client.post("/v1/recommend", json={"history": []}).status_code == 200
