"""A model on a server ranks like the same model here; what fails is repeated, and said where it goes on failing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from local_server import LocalServer, serving
from pydantic import ValidationError
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.config import CotConfig
from reasonrec_cot.policy import Cot
from reasonrec_cot.server_config import ServerConfig

from reasonrec_core.errors import ConfigError, PluginError, WeightsError
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import QueryBatch, Task

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny dataset, divided."""
    return tiny(tmp_path_factory.mktemp("world"), task=Task.DIRECT)


def made(
    world: Tiny, llama: Path, url: str | None = None, asked: dict[str, object] | None = None, **more: object
) -> Cot:
    settings: dict[str, object] = {
        "backbone": {"model": str(llama), "device": "cpu", "precision": "float32"},
        "shortlist": {"size": 6},
        **more,
    }
    if url is not None:
        settings["server"] = {"url": url, "retries": 2, **(asked or {})}
    cot = Cot(CotConfig.model_validate(settings))
    cot.fit(world.fit)
    return cot


def asked(world: Tiny, count: int = 4) -> QueryBatch:
    return world.test.queries.slice(0, count)


def same_answers(here: Cot, there: Cot, world: Tiny) -> None:
    batch = asked(world)
    seen = world.observation(batch)
    one, other = here.deliberate(batch, seen), there.deliberate(batch, seen)
    assert one.ranking is not None
    assert other.ranking is not None
    np.testing.assert_array_equal(one.ranking.items, other.ranking.items)
    np.testing.assert_allclose(one.mass, other.mass, atol=1e-4)  # type: ignore[arg-type]
    for row, listed in enumerate(batch.candidates):  # type: ignore[arg-type]
        assert set(other.ranking.items[row].tolist()) <= set(listed.tolist()), "an answer left the candidates"


def test_labels_rank_as_they_do_here_for_one_request_each(world: Tiny, llama: Path, server: LocalServer) -> None:
    here, there = made(world, llama), made(world, llama, server.url, {"price_read": 2.0})
    same_answers(here, there, world)
    assert len(server.asked) == 4
    assert all(isinstance(body["prompt"][0], int) for body in server.asked)
    assert there.bill is not None
    assert there.bill.requests == 5  # with the list of models
    read = sum(len(body["prompt"]) for body in server.asked)
    assert (there.bill.usage.read, there.bill.usage.written) == (read, 4)
    answer = there.deliberate(asked(world), world.observation(asked(world)))
    assert answer.cost.tokens == read + 4
    claims = " ".join(step.claim for step in answer.steps[0])
    assert (
        f"{read / 4:,.0f} tokens read and 1 written by the server, which costs {read / 2000:,.4g} per 1,000" in claims
    )


def test_titles_rank_as_they_do_here_where_prompts_are_stated(world: Tiny, llama: Path, server: LocalServer) -> None:
    same_answers(made(world, llama, answer="title"), made(world, llama, server.url, answer="title"), world)
    with serving(made(world, llama).backbone, echo=False) as bare:
        there = made(world, llama, bare.url, answer="title")
        with pytest.raises(ConfigError, match="does not say how likely a prompt's tokens are"):
            there.deliberate(asked(world), world.observation(asked(world)))


def test_thoughts_and_stated_confidence_are_those_of_the_model_here(
    world: Tiny, llama: Path, server: LocalServer
) -> None:
    more = {"thought": {"observe": 5, "deliberate": 5}, "confidence": "verbalised"}
    batch = asked(world)
    here, there = made(world, llama, **more), made(world, llama, server.url, **more)
    one, other = (cot.deliberate(batch, world.observation(batch)) for cot in (here, there))
    assert [step.claim for step in one.steps[0]][:1] == [step.claim for step in other.steps[0]][:1]
    np.testing.assert_allclose(one.confidence, other.confidence)


def test_clicks_are_as_likely_as_they_are_here(world: Tiny, llama: Path, server: LocalServer) -> None:
    batch = asked(world)
    here, there = made(world, llama), made(world, llama, server.url)
    np.testing.assert_allclose(here.engine.score_clicks(batch)[0], there.engine.score_clicks(batch)[0], atol=1e-4)


def test_what_a_server_leaves_out_is_asked_for_as_prompts_or_follows_behind(
    world: Tiny, llama: Path, backbone: Backbone
) -> None:
    here = made(world, llama)
    with serving(backbone, named=False) as local:
        there = made(world, llama, local.url, {"top": 3})
        same_answers(here, there, world)
        assert any(body.get("echo") for body in local.asked)
    with serving(backbone, named=False, echo=False) as local:
        there = made(world, llama, local.url, {"top": 3})
        batch = asked(world)
        answer = there.deliberate(batch, world.observation(batch))
        assert answer.ranking is not None
        assert there.engine.likelihood.unscored > 0  # type: ignore[attr-defined]
        for row, listed in enumerate(batch.candidates):  # type: ignore[arg-type]
            assert set(answer.ranking.items[row].tolist()) <= set(listed.tolist())
            assert len(set(answer.ranking.items[row].tolist())) == answer.ranking.items.shape[1]
        wide = made(world, llama, local.url, {"top": 400})
        same_answers(here, wide, world)  # tokens by their texts


def test_prompts_may_be_sent_as_text(world: Tiny, llama: Path, server: LocalServer) -> None:
    there = made(world, llama, server.url, {"prompts": "text"})
    there.deliberate(asked(world), world.observation(asked(world)))
    assert all(isinstance(body["prompt"], str) for body in server.asked)
    assert server.asked[0]["prompt"].endswith("<answer>")


@pytest.mark.parametrize("fault", [429, 500, 503, "cut", "text", "short", "nan", "empty"])
def test_what_fails_is_asked_again_to_the_same_effect(
    world: Tiny, llama: Path, server: LocalServer, fault: object
) -> None:
    here, there = made(world, llama), made(world, llama, server.url)
    server.faults.extend([fault, fault])
    same_answers(here, there, world)
    assert there.bill is not None
    assert there.bill.repeats == 2
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (500, r"asked 3 times and failed: status 500 \(no room \[31m just now\)"),
        ("cut", "its reply is not JSON"),
        ("short", "lists no next tokens"),
        ("hang", r"no reply within 0\.3 seconds"),
    ],
)
def test_what_goes_on_failing_is_one_error_that_says_what(
    world: Tiny, llama: Path, server: LocalServer, fault: object, said: str
) -> None:
    there = made(world, llama, server.url, {"timeout": 0.3 if fault == "hang" else 30, "concurrency": 1})
    server.faults.extend([fault] * 3)
    with pytest.raises(PluginError, match=said) as caught:
        there.deliberate(asked(world, 1), world.observation(asked(world, 1)))
    assert caught.value.where == server.url
    assert caught.value.fix


def test_nobody_there_is_said(world: Tiny, llama: Path) -> None:
    with pytest.raises(PluginError, match="was asked 3 times and failed"):
        made(world, llama, "http://127.0.0.1:9/v1")


def test_a_refusal_is_not_repeated(
    world: Tiny, llama: Path, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    there = made(world, llama, server.url, {"key": "SHOP_KEY"})
    server.faults.append(401)
    with pytest.raises(ConfigError, match="status 401") as caught:
        there.deliberate(asked(world, 1), world.observation(asked(world, 1)))
    assert "SHOP_KEY" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert server.keys == ["Bearer s3cret"]


def test_as_many_are_asked_at_once_as_is_set(world: Tiny, llama: Path, server: LocalServer) -> None:
    there = made(world, llama, server.url, {"concurrency": 2})
    there.deliberate(asked(world, 8), world.observation(asked(world, 8)))
    assert server.most == 2


def test_a_model_that_is_not_there_is_named(world: Tiny, llama: Path, server: LocalServer) -> None:
    with pytest.raises(ConfigError, match=r"no model 'tinny'\. Did you mean 'tiny'"):
        made(world, llama, server.url, {"model": "tinny"})


def test_a_run_remembers_the_servers_model_and_no_key(
    world: Tiny, llama: Path, server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    cot = made(world, llama, server.url)
    cot.save(tmp_path)
    assert not any(b"s3cret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    same_answers(cot, Cot.load(tmp_path, world.dataset.catalog), world)
    text = (tmp_path / "cot.json").read_text()
    (tmp_path / "cot.json").write_text(text.replace("server: tiny", "server: other"))
    with pytest.raises(WeightsError, match="other weights"):
        Cot.load(tmp_path, world.dataset.catalog)


def test_settings_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for url, said in (
        ("localhost:8000", "not the address of a server"),
        ("ftp://host/v1", "not the address of a server"),
        ("http://me:pw@host/v1", "environment"),
    ):
        with pytest.raises(ValidationError, match=said):
            ServerConfig(url=url)
    server = {"url": "http://localhost:8000/v1"}
    for more, said in (
        ({"answer": "written"}, "hidden states"),
        ({"tuning": {}}, "cannot be tuned"),
        ({"backbone": {"layers": 2}}, "shortens"),
    ):
        with pytest.raises(ValidationError, match=said):
            CotConfig.model_validate({"server": server, **more})
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    from reasonrec_cot.backbone.server_client import ServerClient

    with pytest.raises(ConfigError, match="unencrypted") as caught:
        ServerClient(ServerConfig(url="http://shop.example/v1"))
    assert "s3cret" not in str(caught.value)
    ServerClient(ServerConfig(url="https://shop.example/v1"))
