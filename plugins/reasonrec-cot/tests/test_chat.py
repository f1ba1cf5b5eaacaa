"""A server that only chats: labels, yes and no by the first word of its turn; what it cannot do is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from local_server import LocalServer, serving
from pydantic import ValidationError
from reasonrec_cot.backbone.chat_model import ChatTurns, Turns
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.server_replies import read_next_words
from reasonrec_cot.config import CotConfig
from reasonrec_cot.policy import Cot
from reasonrec_cot.prompting.consult import HEAD, DelegateTable, build_second_turn

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import QueryBatch, Task

ALL = 400
"""Words that a server may list: more than the small model knows."""


pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny dataset, divided."""
    return tiny(tmp_path_factory.mktemp("world"), task=Task.DIRECT)


def made(world: Tiny, server: LocalServer, asked: dict[str, object] | None = None, **more: object) -> Cot:
    settings: dict[str, object] = {
        "backbone": {"model": "no/such-model"},  # a chat needs no tokenizer
        "server": {"url": server.url, "api": "chat", "retries": 2, "top": ALL, **(asked or {})},
        "shortlist": {"size": 6},
        **more,
    }
    cot = Cot(CotConfig.model_validate(settings))
    cot.fit(world.fit)
    return cot


def some(world: Tiny, count: int = 4) -> QueryBatch:
    return world.test.queries.slice(0, count)


def likely(server: LocalServer, body: dict[str, Any], names: tuple[str, ...]) -> list[float]:
    """P of each name as the next word, by the model itself."""
    with torch.no_grad():
        tokens = torch.tensor([server.tokens_of_chat(body["messages"])])
        shares = server.backbone.model(tokens).logits[0, -1].double().softmax(-1)
    words = [server.backbone.tokenizer.decode([token]).strip() for token in range(len(shares))]
    words = [word.lower() if len(word) > 1 else word for word in words]
    return [sum(float(shares[at]) for at, word in enumerate(words) if word == name) for name in names]


def test_labels_rank_by_the_first_word_and_stay_among_the_candidates(world: Tiny, server: LocalServer) -> None:
    cot, batch = made(world, server, {"price_read": 2.0}), some(world)
    answer = cot.deliberate(batch, world.observation(batch))
    assert answer.ranking is not None
    assert len(server.asked) == 4
    for row, listed in enumerate(batch.candidates):  # type: ignore[arg-type]
        assert set(answer.ranking.items[row].tolist()) <= set(listed.tolist()), "an answer left the candidates"
    assert cot.spent == pytest.approx(2.0 * sum(len(server.tokens_of_chat(b["messages"])) for b in server.asked) / 1e6)
    asked = shortlisted(cot, world, batch)
    found = cot.engine.rank(asked).answer
    for row, dialogue in enumerate(cot.engine.build_dialogues(asked)):
        body = find_body(server, ChatTurns().prompt(dialogue))
        assert [turn["role"] for turn in body["messages"]] == ["system", "user"]
        assert body["messages"][1]["content"].endswith("one word and nothing before it: A, B, C, D, E or F.")
        assert (body["max_tokens"], body["logprobs"], body["top_logprobs"]) == (1, True, ALL)
        shares = np.array(likely(server, body, tuple("ABCDEF")))
        assert shares.all()
        np.testing.assert_allclose(found.mass[row], shares / shares.sum(), atol=1e-4)
        assert answer.ranking.items[row, 0] == asked.candidates[row, shares.argmax()]  # type: ignore[index]


def shortlisted(cot: Cot, world: Tiny, batch: QueryBatch) -> QueryBatch:
    """The same requests with the candidates that are listed."""
    assert cot.retriever is not None
    return replace(batch, candidates=cot.retriever.of(batch, world.observation(batch), whole=False).items)


def find_body(server: LocalServer, turns: Turns) -> dict[str, Any]:
    """What was asked in a conversation, whose last turn then says how to answer."""
    said = turns[-1]["content"]
    (first, *_) = (body for body in server.asked if body["messages"][-1]["content"].startswith(f"{said}\n"))
    return first


def test_clicks_are_yes_against_no(world: Tiny, server: LocalServer) -> None:
    cot, batch = made(world, server), some(world, 1)
    chance = cot.engine.score_clicks(batch).chance
    assert batch.candidates is not None
    prompts = cot.engine._ask_clicks(batch)
    assert len(prompts) == len(server.asked) == int((batch.candidates >= 0).sum())
    for prompt, told in zip(prompts, chance[batch.candidates >= 0], strict=True):
        body = find_body(server, prompt)
        assert body["messages"][-1]["content"].endswith("nothing before it: yes or no.")
        yes, no = likely(server, body, ("yes", "no"))
        assert yes > 0
        assert no > 0
        assert told == pytest.approx(yes / (yes + no), abs=1e-4)


def test_words_that_mean_the_same_are_added_up() -> None:
    def listed(*pairs: tuple[str, float]) -> dict[str, Any]:
        said = [{"token": word, "logprob": float(np.log(share))} for word, share in pairs]
        return {"choices": [{"logprobs": {"content": [{"top_logprobs": said}]}}]}

    found = np.exp(read_next_words(listed(("Yes", 0.4), (" yes", 0.2), ("no", 0.1), ("Well", 0.1)), ("yes", "no")))
    np.testing.assert_allclose(found, [0.6, 0.1])
    labels = read_next_words(listed(("A", 0.4), ("ĠA", 0.1), ("a", 0.3)), ("A", "B"))
    assert np.exp(labels[0]) == pytest.approx(0.5), "an article is no label"
    assert np.isnan(labels[1])


def test_what_is_left_out_follows_in_the_delegates_order(world: Tiny, server: LocalServer) -> None:
    cot, batch = made(world, server, {"top": 3}), some(world)
    answer = cot.deliberate(batch, world.observation(batch))
    assert answer.ranking is not None
    assert cot.engine.likelihood.unscored > 0  # type: ignore[attr-defined]
    for row, listed in enumerate(batch.candidates):  # type: ignore[arg-type]
        assert set(answer.ranking.items[row].tolist()) <= set(listed.tolist())
        assert len(set(answer.ranking.items[row].tolist())) == answer.ranking.items.shape[1]


def test_a_second_turn_is_a_turn(world: Tiny, server: LocalServer) -> None:
    cot, batch = made(world, server), some(world, 1)
    asked = shortlisted(cot, world, batch)
    first = cot.engine.build_dialogues(asked)
    second = build_second_turn(first[0], [DelegateTable("popularity", list(first[0].candidates))]).dialogue
    cot.engine.rank(asked, [second])
    assert HEAD in server.asked[-1]["messages"][-1]["content"]


@pytest.mark.parametrize("fault", [429, 500, 503, "cut", "text", "short", "nan", "empty"])
def test_what_fails_is_asked_again_to_the_same_effect(world: Tiny, server: LocalServer, fault: object) -> None:
    cot, batch = made(world, server), some(world)
    whole = cot.deliberate(batch, world.observation(batch))
    server.faults.extend([fault, fault])
    again = cot.deliberate(batch, world.observation(batch))
    np.testing.assert_array_equal(again.ranking.items, whole.ranking.items)  # type: ignore[union-attr]
    assert cot.bill is not None
    assert cot.bill.repeats == 2
    assert len(server.asked) == 10


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (500, r"asked 3 times and failed: status 500 \(no room \[31m just now\)"),
        ("cut", "its reply is not JSON"),
        ("short", "lists no next tokens"),
        ("hang", r"no reply within 0\.3 seconds"),
    ],
)
def test_what_goes_on_failing_is_one_error(world: Tiny, server: LocalServer, fault: object, said: str) -> None:
    cot = made(world, server, {"timeout": 0.3 if fault == "hang" else 30, "concurrency": 1})
    server.faults.extend([fault] * 3)
    with pytest.raises(PluginError, match=said) as caught:
        cot.deliberate(some(world, 1), world.observation(some(world, 1)))
    assert caught.value.where == server.url


def test_a_chat_without_likelihoods_is_named(world: Tiny, backbone: Backbone) -> None:
    with serving(backbone, likelihoods=False) as local:
        cot = made(world, local)
        with pytest.raises(PluginError, match="no likelihoods: does it support logprobs in chats"):
            cot.deliberate(some(world, 1), world.observation(some(world, 1)))


def test_as_many_are_asked_at_once_as_is_set(world: Tiny, server: LocalServer) -> None:
    cot = made(world, server, {"concurrency": 2})
    cot.deliberate(some(world, 8), world.observation(some(world, 8)))
    assert server.most == 2


def test_a_run_is_read_again(world: Tiny, server: LocalServer, tmp_path: Path) -> None:
    cot, batch = made(world, server), some(world)
    cot.save(tmp_path)
    again = Cot.load(tmp_path, world.dataset.catalog)
    one, other = (each.deliberate(batch, world.observation(batch)) for each in (cot, again))
    np.testing.assert_array_equal(one.ranking.items, other.ranking.items)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"answer": "title"}, r'answer = "title" cannot be had of server\.api = "chat".*use answer = "label"'),
        ({"thought": {"observe": 5}}, "thought cannot be had.*take the table thought out"),
        ({"confidence": "verbalised"}, 'use confidence = "probability"'),
        ({"shortlist": {"size": 27}}, "shortlist.size = 27 cannot be had.*use at most 26"),
    ],
)
def test_what_a_chat_cannot_do_is_refused(more: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CotConfig.model_validate({"server": {"url": "http://localhost:8000/v1", "api": "chat"}, **more})


def test_it_writes_no_explanations(world: Tiny, server: LocalServer) -> None:
    cot, batch = made(world, server), some(world, 1)
    with pytest.raises(ConfigError, match="cannot write the part <answer>") as caught:
        cot.engine.write_explanations(batch, [0])
    assert caught.value.where == "policy.server.api"
    assert "consensus" in str(caught.value)
