"""Answers over HTTP are those of Python."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from reasonrec_serve import Recommender
from reasonrec_serve.http.problems import Refused
from reasonrec_serve.http.thumbnails import Thumbnails
from starlette.testclient import TestClient

from reasonrec_core.data.catalog import Catalog


def body(response: Any) -> dict[str, Any]:
    """An answer without what is never twice the same."""
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    del found["seconds"]
    return found


@pytest.fixture(scope="module")
def asked(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from reasonrec_serve.http.app import make_app
    from reasonrec_serve.http.settings import ServeSettings

    store = str(tmp_path_factory.mktemp("store") / "events.sqlite")
    app = make_app(ServeSettings(run=finished, store=store))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client, Recommender.open(finished)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_answer_over_http_is_the_answer_in_python(
    asked: tuple[TestClient, Recommender], data: st.DataObject
) -> None:
    client, run = asked
    items, users = run.dataset.catalog.ids, list(run.dataset.user_index)
    request: dict[str, Any] = {"k": data.draw(st.integers(1, 12))}
    if data.draw(st.booleans()):
        request["user"] = data.draw(st.sampled_from(users))
    else:
        request["history"] = data.draw(st.lists(st.sampled_from([*items, "unknown"]), max_size=6))
    if data.draw(st.booleans()):
        request["candidates"] = data.draw(st.lists(st.sampled_from(items), min_size=1, max_size=6))
    if data.draw(st.booleans()):
        request["exclude"] = data.draw(st.lists(st.sampled_from(items), max_size=3))
        request["only"] = data.draw(st.none() | st.lists(st.sampled_from(items), max_size=20))
        request["include_seen"] = data.draw(st.booleans())
    expected = run.recommend(**request).to_dict()
    found = body(client.post("/v1/recommend", json={**request, "steps": True}))
    del expected["seconds"]
    live = found.pop("live", None)
    assert live == ({"events": 0, "unknown": 0, "problem": None} if "user" in request else None)
    assert found == _as_json(expected)


def _as_json(value: Any) -> Any:
    """As it looks when it was sent."""
    return json.loads(json.dumps(value))


def test_a_whole_number_is_an_id_and_steps_come_on_request_only(asked: tuple[TestClient, Recommender]) -> None:
    client, _ = asked
    answer = client.post("/v1/recommend", json={"history": [7, "8"]}).json()
    assert "steps" not in answer
    assert answer["unknown"] == 2


@pytest.mark.parametrize(
    ("request_body", "where", "what"),
    [
        ({"user": "u", "surprise": 1}, "body.surprise", "no such field"),
        ({}, "recommend", "either a user or a history"),
        ({"history": "abc"}, "body.history", "valid list"),
        ({"history": [], "k": 0}, "body.k", "greater than or equal to 1"),
        ({"history": [], "k": True}, "body.k", "valid integer"),
        ({"history": [None]}, "body.history", "valid"),
        ({"history": ["x" * 600]}, "body.history", "at most 512"),
        ({"history": [], "candidates": []}, "candidates", "no candidates"),
        ({"history": [], "where": {"no such field": 1}}, "where", "no such field"),
        ({"history": [], "where": {"brand": {"least": 1}}}, "where", "brand: a range must have min, max or both"),
        ({"history": [], "where": {"brand": [["a"]]}}, "where", "brand: ['a'] is not a value"),
        ({"history": [], "where": {"brand": ["a"] * 1001}}, "body.where.brand", "has 1,001 values, 1,000 at most"),
        ({"history": [], "diversity": 2}, "body.diversity", "less than or equal to 1"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_with_its_place(
    asked: tuple[TestClient, Recommender], request_body: dict[str, Any], where: str, what: str
) -> None:
    response = asked[0].post("/v1/recommend", json=request_body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["where"].startswith(where)
    assert what in problem["what"]
    assert problem["status"] == 422


def test_lists_of_allowed_and_of_unwanted_items_are_as_long_as_a_body_can_hold(
    asked: tuple[TestClient, Recommender],
) -> None:
    client, run = asked
    unknown = [f"x{n}" for n in range(20_000)]
    for part in ("exclude", "only"):
        request: dict[str, Any] = {"history": [], part: [*run.dataset.catalog.ids[:30], *unknown], "k": 4}
        found = client.post("/v1/recommend", json=request).json()
        assert found["skipped"] == {part: 20_000}
        assert [item["id"] for item in found["items"]] == [item.id for item in run.recommend(**request).items]
    response = client.post("/v1/recommend", json={"history": [], "only": ["x" * 500] * 3000})
    assert response.status_code == 413
    assert "--max-body" in response.json()["fix"]


def test_what_is_no_json_is_a_bad_request(asked: tuple[TestClient, Recommender]) -> None:
    response = asked[0].post("/v1/recommend", content=b"{", headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert "not JSON" in response.json()["what"]


def test_items_are_found_by_words_and_by_ids(asked: tuple[TestClient, Recommender]) -> None:
    client, run = asked
    catalog = run.dataset.catalog
    wanted = catalog.ids[3]
    (first, *_rest) = client.get("/v1/items", params={"q": wanted}).json()["items"]
    assert first["id"] == wanted
    assert first["title"] == catalog.titles[3]
    listed = client.get("/v1/items", params={"id": [catalog.ids[5], "no such", catalog.ids[1]]}).json()["items"]
    assert [item["id"] for item in listed] == [catalog.ids[5], catalog.ids[1]]
    both = client.get("/v1/items", params={"limit": 4, "offset": 2}).json()["items"]
    assert [item["id"] for item in both] == catalog.ids[2:6]


def test_users_are_found_by_the_beginning_of_their_ids(asked: tuple[TestClient, Recommender]) -> None:
    client, run = asked
    users = sorted(run.dataset.user_index)
    found = client.get("/v1/users", params={"q": users[0][:1], "limit": 3}).json()["users"]
    assert [user["id"] for user in found] == [user for user in users if user.startswith(users[0][:1])][:3]
    log = run.dataset.interactions
    assert found[0]["history"] == int((log.users == run.dataset.user_index[users[0]]).sum())


def test_it_is_alive_and_ready(asked: tuple[TestClient, Recommender]) -> None:
    assert asked[0].get("/health/live").json() == {"live": True}
    assert asked[0].get("/health/ready").json()["ready"] is True


def test_a_batch_is_answered_in_its_order_and_what_cannot_be_is_said_in_its_place(
    asked: tuple[TestClient, Recommender],
) -> None:
    client, run = asked
    users = list(run.dataset.user_index)[:2]
    requests = [{"user": users[0], "k": 3}, {"history": [], "ignore": ["x"]}, {"user": users[1], "k": 2}]
    first, second, third = client.post("/v1/batch", json={"requests": requests}).json()["answers"]
    assert [item["id"] for item in first["items"]] == [item.id for item in run.recommend(**requests[0]).items]
    assert [item["id"] for item in third["items"]] == [item.id for item in run.recommend(**requests[2]).items]
    assert second["problem"]["status"] == 422
    assert client.post("/v1/batch", json={"requests": []}).status_code == 422
    assert client.post("/v1/batch", json={"requests": [{"history": []}] * 257}).status_code == 422


def test_every_system_answers_the_same_request(asked: tuple[TestClient, Recommender]) -> None:
    client, run = asked
    user, out = next(iter(run.dataset.user_index)), run.dataset.catalog.ids[:20]
    systems = client.post("/v1/compare", json={"user": user, "k": 4, "exclude": out}).json()["systems"]
    assert [each["system"] for each in systems] == ["toy", "popularity", "transitions"]
    assert [each["policy"] for each in systems] == [True, False, False]
    for each in systems:
        assert len(each["items"]) == 4
        assert not {item["id"] for item in each["items"]} & set(out)
    ways = {tuple(item["id"] for item in each["items"]) for each in systems}
    assert len(ways) > 1


def test_a_page_learns_what_it_shows(asked: tuple[TestClient, Recommender]) -> None:
    client, run = asked
    facts = client.get("/v1/run").json()
    assert (facts["name"], facts["policy"], facts["delegates"]) == ("tiny", "toy", ["popularity", "transitions"])
    assert facts["dataset"]["items"] == run.dataset.n_items
    assert facts["results"]["systems"]["toy"]["NDCG@5"]["value"] is not None
    assert "leave-one-out" in facts["results"]["protocol"]
    field = facts["fields"][0]
    known = client.get("/v1/labels", params={"field": field["field"], "q": field["labels"][0]}).json()
    assert field["labels"][0] in known["labels"]
    assert client.get("/v1/labels", params={"field": "no such"}).status_code == 404
    kinds = {each["field"]: each["kind"] for each in facts["filters"]}
    assert kinds["brand"] == "text"
    assert kinds["price"] == "number"
    assert "title" not in kinds


def test_values_of_a_field_are_named_with_how_many_items_a_condition_leaves(
    asked: tuple[TestClient, Recommender],
) -> None:
    client, run = asked
    found = client.get("/v1/values", params={"field": "brand"}).json()["values"]
    assert [each["items"] for each in found] == sorted((each["items"] for each in found), reverse=True)
    for each in found:
        assert each["items"] == run.item_filter.match({"brand": each["value"]}).sum() > 0
    first = found[0]["value"]
    assert client.get("/v1/values", params={"field": "brand", "q": first.upper()}).json()["values"] == found[:1]
    refused = client.get("/v1/values", params={"field": "brnad"})
    assert refused.status_code == 422
    assert "no field 'brnad'" in refused.json()["what"]


def test_what_was_asked_is_counted(asked: tuple[TestClient, Recommender]) -> None:
    client, _ = asked
    before = client.get("/v1/status").json()
    for _ in range(3):
        client.post("/v1/recommend", json={"history": []})
    client.get("/no/such/route")
    after = client.get("/v1/status").json()
    route = "/v1/recommend"
    assert after["latency"][route]["count"] - before["latency"].get(route, {"count": 0})["count"] == 3
    assert 0 < after["latency"][route]["p50_ms"] <= after["latency"][route]["p95_ms"]
    assert sum(after["answers"].values()) - sum(before["answers"].values()) == 3
    assert after["store"] == {"kind": "SqliteStore", "reached": True, "last_position": 0}
    text = client.get("/metrics").text
    assert 'reasonrec_requests_total{route="/v1/recommend",status="200"}' in text
    assert 'reasonrec_requests_total{route="other",status="404"}' in text


def test_openapi_names_every_route(asked: tuple[TestClient, Recommender]) -> None:
    described = asked[0].get("/openapi.json").json()
    assert {"/v1/recommend", "/v1/batch", "/v1/events", "/v1/items", "/health/ready"} <= described["paths"].keys()
    body = described["components"]["schemas"]["RecommendBody"]
    assert body["additionalProperties"] is False
    assert "oldest first" in body["properties"]["history"]["description"]


def test_similar_items_are_those_of_python(asked: tuple[TestClient, Recommender]) -> None:
    client, run = asked
    item = run.dataset.catalog.ids[3]
    expected = _as_json(run.similar(item, k=4).to_dict())
    found = client.post("/v1/similar", json={"item": item, "k": 4}).json()
    del expected["seconds"], found["seconds"]
    assert found == expected
    assert client.post("/v1/similar", json={"item": "no such"}).status_code == 422
    assert client.post("/v1/similar", json={"item": item, "by": "magic"}).status_code == 422


def test_pictures_are_given_by_id_alone_in_few_sizes(asked: tuple[TestClient, Recommender]) -> None:
    client, run = asked
    catalog = run.dataset.catalog
    shown = next(i for i, path in enumerate(catalog.image_paths) if path is not None)
    without = next(i for i, path in enumerate(catalog.image_paths) if path is None)
    response = client.get(f"/v1/images/{catalog.ids[shown]}", params={"w": 50})
    assert (response.status_code, response.headers["content-type"]) == (200, "image/jpeg")
    assert max(Image.open(BytesIO(response.content)).size) <= 64
    for path in (catalog.ids[without], "no such item", str(catalog.image_paths[shown]), "../tiny/run.json"):
        assert client.get(f"/v1/images/{quote(path, safe='')}").status_code == 404
    assert client.get(f"/v1/images/{catalog.ids[shown]}", params={"w": 100_000}).status_code == 422


def test_a_picture_outside_the_data_s_folder_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "pictures" / "link.png").symlink_to(tmp_path / "secret.png")
    paths = ["../secret.png", str(tmp_path / "secret.png"), "link.png", "..\\secret.png", "\0"]
    table = pa.table({"item_id": [str(n) for n in range(len(paths))], "image": paths})
    pictures = Thumbnails(Catalog(table, tmp_path / "pictures"))
    for item in table.column("item_id").to_pylist():
        with pytest.raises(Refused) as refused:
            pictures.get(item, 64)
        assert refused.value.status == 404
        assert str(tmp_path) not in refused.value.what
