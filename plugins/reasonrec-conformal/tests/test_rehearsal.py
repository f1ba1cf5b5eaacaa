"""Steps that get harder: how much coverage a step costs is seen one step earlier, and made good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_conformal.estimator import Conformal, ConformalConfig
from reasonrec_conformal.rehearsal import measure_loss
from reasonrec_conformal.scores import ConformalScore

from reasonrec_core.components import Empty, FitData, ReasoningPolicy
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Cases, Float32, History, Interactions, Observation, QueryBatch, Task

USERS, STEPS = 4000, 6


class Fixed(ReasoningPolicy[Empty]):
    """The same distribution for everyone, history masked."""

    def __init__(self, probability: Float32) -> None:
        super().__init__(Empty())
        self.probability = probability

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Any:
        raise NotImplementedError

    def distribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        found = np.tile(self.probability, (len(batch), 1))
        found[batch.history.rows, batch.history.items] = 0
        return np.asarray(found / found.sum(axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("tiny"))


def shop(data: FitData, rarer: float) -> tuple[FitData, Cases, Float32]:
    """Every step is chosen by popularity ** (1 - rarer * step); the next two are validation and test."""
    rng, n = np.random.default_rng(1), len(data.catalog)
    popularity = 1 / np.arange(1, n + 1)
    rows = np.zeros((USERS, STEPS + 2), np.int32)
    free = np.ones((USERS, n), np.bool_)
    for step in range(rows.shape[1]):
        chance = np.where(free, popularity ** (1 - rarer * step), 0)
        chance = chance.cumsum(axis=1) / chance.sum(axis=1, keepdims=True)
        rows[:, step] = (chance < rng.random((USERS, 1))).sum(axis=1)
        free[np.arange(USERS), rows[:, step]] = False
    users = np.repeat(np.arange(USERS, dtype=np.int32), STEPS)
    train = Interactions(users, rows[:, :STEPS].ravel(), np.tile(np.arange(STEPS), USERS).astype(np.int64))

    def after(step: int) -> Cases:
        batch = QueryBatch(Task.SEQUENTIAL, np.arange(USERS, dtype=np.int32), History.of(rows[:, :step].tolist()))
        return Cases(batch, np.arange(USERS + 1), rows[:, step])

    seen = Observation({}, {}, np.zeros(USERS, np.float32))
    made = replace(data, train=train, n_users=USERS, valid=after(STEPS), observation=seen)
    return made, after(STEPS + 1), popularity.astype(np.float32)


def test_what_a_step_costs_is_made_good(world: Tiny) -> None:
    data, test, popularity = shop(world.fit, rarer=0.12)
    found = {}
    for rehearse in (True, False):
        estimator = Conformal(ConformalConfig(rehearse=rehearse))
        estimator.attach(Fixed(popularity))
        estimator.fit(data)
        found[rehearse] = estimator.coverage(test, data.observation).table()[0]["coverage"]
        assert (estimator.level > 0.9) == rehearse
    assert found[False] < 0.89, "the steps do get harder"
    assert abs(found[True] - 0.9) < min(0.015, abs(found[False] - 0.9))


def test_equal_steps_cost_nothing(world: Tiny) -> None:
    data, _, _ = shop(world.fit, rarer=0.0)
    assert measure_loss(data, ConformalScore(), 0.9, 20_000) < 0.015


def test_easier_steps_lower_no_promise(world: Tiny) -> None:
    data, _, _ = shop(world.fit, rarer=-0.2)
    assert measure_loss(data, ConformalScore(), 0.9, 20_000) == 0


def test_other_protocols_are_not_rehearsed(world: Tiny) -> None:
    data, _, _ = shop(world.fit, rarer=0.12)
    assert data.valid is not None
    history = data.valid.queries.history
    shorter = replace(data.valid.queries, history=History.of([row[:3] for row in _rows(history)]))
    strangers = replace(data.valid.queries, users=np.full(USERS, -1, np.int32))
    for queries in (shorter, strangers):
        assert (
            measure_loss(replace(data, valid=replace(data.valid, queries=queries)), ConformalScore(), 0.9, 20_000) == 0
        )
    few = data.valid.take(np.arange(50))
    assert measure_loss(replace(data, valid=few), ConformalScore(), 0.9, 20_000) == 0


def test_it_is_saved(world: Tiny, tmp_path: Path) -> None:
    data, _, popularity = shop(world.fit, rarer=0.12)
    estimator = Conformal(ConformalConfig())
    estimator.attach(Fixed(popularity))
    estimator.fit(data)
    estimator.save(tmp_path)
    assert Conformal.load(tmp_path, data.catalog).level == estimator.level > 0.9


def _rows(history: History) -> list[list[int]]:
    return [history.row(r).tolist() for r in range(len(history))]
