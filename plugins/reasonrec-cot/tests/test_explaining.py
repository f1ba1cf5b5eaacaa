"""The policy explains out of reviews, with its evidence, and does so again after it was saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reasonrec_cot.config import CotConfig
from reasonrec_cot.policy import Cot
from reasonrec_cot.prompting.dialogue import Role
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.prompt_builder import PromptBuilder
from reasonrec_cot.prompting.templates import load_templates
from reasonrec_cot.tuning.review_requests import ReviewRequests

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import QueryBatch, Reviews, StepKind, Task

FEATURES = ("handle", "lid", "spout", "strap", "hinge")


def reviews_of(world: Tiny) -> Reviews:
    """Each training interaction reviewed: what is named depends on the item."""
    log = world.fit.train
    texts = [f"The {FEATURES[i % len(FEATURES)]} of it is as good as I had hoped for" for i in log.items.tolist()]
    nothing = np.array([""] * len(log), np.object_)
    stars = np.full(len(log), 4, np.float32)
    return Reviews(log.users, log.items, log.times, np.array(texts, np.object_), nothing, stars)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    made = tiny(tmp_path_factory.mktemp("world"))
    return replace(made, fit=replace(made.fit, task=Task.EXPLAIN, reviews=lambda: reviews_of(made)))


def cot(world: Tiny, llama: Path, how: str = "consensus") -> Cot:
    backbone = {"model": str(llama), "device": "cpu", "precision": "float32"}
    made = Cot(CotConfig.model_validate({"backbone": backbone, "explanations": how, "explanation": 6}))
    made.fit(world.fit)
    return made


def asked(world: Tiny, count: int = 12) -> QueryBatch:
    targets = world.test.targets[:count, None]
    return replace(world.test.queries.slice(0, count), task=Task.EXPLAIN, candidates=targets)


def test_what_is_said_is_said_of_the_item(world: Tiny, llama: Path, tmp_path: Path) -> None:
    policy, batch = cot(world, llama), asked(world)
    answer = policy.deliberate(batch, world.observation(batch))
    assert answer.text is not None
    reviewed = set(reviews_of(world).items.tolist())
    items = world.test.targets[: len(batch)].tolist()
    assert reviewed & set(items)
    for text, item in zip(answer.text, items, strict=True):
        if item in reviewed:
            assert FEATURES[item % len(FEATURES)] in text
        assert not any(name in text for name in FEATURES if name != FEATURES[item % len(FEATURES)])
    for item, steps in zip(items, answer.steps, strict=True):
        assert [step.kind for step in steps[-2:]] == [StepKind.WEIGH, StepKind.DECIDE]
        if item in reviewed:
            assert "reviews of it, mean 4.0 stars" in steps[0].claim
            assert "most others agree with it and the evidence supports it; from a review of" in steps[-2].claim
    policy.save(tmp_path)
    again = Cot.load(tmp_path, world.dataset.catalog).deliberate(batch, world.observation(batch))
    assert again.text == answer.text
    (tmp_path / "reviews.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match="has changed since it was saved"):
        Cot.load(tmp_path, world.dataset.catalog)


def test_a_model_that_writes_is_told_what_reviews_say(world: Tiny, llama: Path, tmp_path: Path) -> None:
    policy, batch = cot(world, llama, "written"), asked(world)
    answer = policy.deliberate(batch, world.observation(batch))
    blind = cot(replace(world, fit=replace(world.fit, reviews=None)), llama, "written")
    unaware = blind.deliberate(batch, world.observation(batch))
    assert answer.cost.tokens > unaware.cost.tokens
    counts = np.bincount(reviews_of(world).items, minlength=len(world.dataset.catalog))
    for item, steps, others in zip(world.test.targets, answer.steps, unaware.steps, strict=False):
        claims = [step.claim for step in steps]
        assert " items are read: " in claims[0]
        assert not counts[item] or f"{counts[item]} reviews of it" in claims[1]
        assert not any("reviews of it" in step.claim for step in others)
    policy.save(tmp_path)
    again = Cot.load(tmp_path, world.dataset.catalog).deliberate(batch, world.observation(batch))
    assert again.text == answer.text


def test_what_is_learned_from_tells_the_others_reviews_alone(world: Tiny) -> None:
    items = ItemWords(world.dataset.catalog)
    requests = ReviewRequests.of(world.fit, items, 10)
    assert requests is not None
    counts = np.bincount(reviews_of(world).items, minlength=len(items))
    prompt_builder = PromptBuilder(items, load_templates(None))
    drawn = requests.draw(prompt_builder, 40, np.random.default_rng(0))
    assert {dialogue.task for dialogue in drawn} == {Task.EXPLAIN}
    for dialogue in drawn:
        told = "".join(part.text for part in dialogue.segments if part.role is Role.USER)
        others = counts[dialogue.target] - 1
        assert (f"{others} reviews of it, mean 4.0 stars" in told) == (others > 0)


def test_sentences_are_learned_and_the_last_weights_kept(world: Tiny, llama: Path) -> None:
    tuning = {
        "steps": 30, "learning_rate": 5e-3, "batch_tokens": 900, "validations": 3, "collaborative": 4,
        "lora": {"rank": 4}, "shares": {"sequential": 0, "direct": 0, "ctr": 0, "explain": 1}, "weights": {"answer": 1},
    }  # fmt: skip
    backbone = {"model": str(llama), "device": "cpu", "precision": "float32"}
    policy = Cot(CotConfig.model_validate({"backbone": backbone, "tuning": tuning}))
    policy.fit(world.fit)
    training = policy.report["training"]
    assert "decision" not in policy.report
    assert training["validation"] is None
    assert training["steps"] == 30
    assert training["best"] == training["epochs"][-1]["epoch"]
    losses = [record["losses"]["answer"] for record in training["epochs"] if "answer" in record["losses"]]
    assert losses[-1] < losses[0]


def test_without_reviews_there_is_nothing_to_explain_out_of(world: Tiny, llama: Path) -> None:
    with pytest.raises(ConfigError, match="no reviews to build explanations from"):
        cot(replace(world, fit=replace(world.fit, reviews=None)), llama)
