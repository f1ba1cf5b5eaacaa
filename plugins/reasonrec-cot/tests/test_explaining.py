"""The policy explains out of reviews, with its evidence, and does so again after it was saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reasonrec_cot.config import CotConfig
from reasonrec_cot.policy import Cot

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


def cot(world: Tiny, llama: Path) -> Cot:
    backbone = {"model": str(llama), "device": "cpu", "precision": "float32"}
    made = Cot(CotConfig.model_validate({"backbone": backbone, "explanations": "consensus"}))
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
            assert "that most others agree with and the evidence verifies, from a review of" in steps[-2].claim
    policy.save(tmp_path)
    again = Cot.load(tmp_path, world.dataset.catalog).deliberate(batch, world.observation(batch))
    assert again.text == answer.text
    (tmp_path / "reviews.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match="not what was saved"):
        Cot.load(tmp_path, world.dataset.catalog)


def test_without_reviews_there_is_nothing_to_explain_out_of(world: Tiny, llama: Path) -> None:
    with pytest.raises(ConfigError, match="no reviews to explain out of"):
        cot(replace(world, fit=replace(world.fit, reviews=None)), llama)
