"""A policy as a delegate: it passes the suite, answers and explains as the policy does, and refuses what cannot be."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from reasonrec_chain.policy import Chain
from reasonrec_profile.policy import Profile
from reasonrec_routers.policy_delegate import PolicyDelegate

from reasonrec_core.components import ChoosesOnValidation, Delegate, FitData, Kind, ReasoningPolicy
from reasonrec_core.config_errors import validated
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.registry import Registry
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.testing.toy_policy import ToyPolicy, ToyPolicyConfig
from reasonrec_core.types import Cost, Deliberation, Observation, QueryBatch

CHAIN: dict[str, Any] = {
    "network": {"dimensions": 16, "layers": 1, "heads": 2, "max_history": 20, "components": 8},
    "training": {"epochs": 3, "warmup": 5, "learning_rate": 0.01, "ema": 0.8, "device": "cpu"},
    "counted": {"fields": ["categories", "brand"], "transitions": {"trials": 2}},
    "gates": {"steps": 20, "epochs": 2, "folds": 2, "hidden": 4, "depth": 15},
}


class TestProfileAsDelegate(DelegateConformance):
    component = "policy"
    settings: ClassVar = {"policy": "profile", "settings": {"trials": 20}}
    steady = False  # probabilities: a new item takes its part of them


class TestChainAsDelegate(DelegateConformance):
    component = "policy"
    settings: ClassVar = {"policy": "chain", "settings": CHAIN}
    steady = False


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(policy: str = "profile", **settings: Any) -> PolicyDelegate:
    return PolicyDelegate(validated(PolicyDelegate.Config, {"policy": policy, "settings": settings}))


class Plain(ReasoningPolicy[ToyPolicyConfig]):
    """The toy policy, which here states no probabilities, asks a language model and cannot be fitted again."""

    Config = ToyPolicyConfig
    tokens: ClassVar[int] = 0

    def fit(self, data: FitData) -> None:
        self.toy = ToyPolicy(self.config)
        self.toy.fit(data)

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        found = self.toy.deliberate(batch, observation)
        return replace(found, mass=None, cost=Cost(tokens=self.tokens))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> type[Plain]:
    """It is found where `profile` is asked for."""
    load = Registry.load
    monkeypatch.setattr(
        Registry, "load", lambda self, kind, name: Plain if kind == Kind.POLICY else load(self, kind, name)
    )
    return Plain


def test_it_answers_and_explains_as_the_policy_does(world: Tiny) -> None:
    alone, level = Profile(Profile.Config(trials=20)), make(trials=20)
    for each in (alone, level):
        each.fit(world.fit)
    batch = world.test.queries
    seen = world.observation(batch)
    mine, theirs = level.deliberate(batch, seen), alone.deliberate(batch, seen)
    assert theirs.ranking is not None
    assert np.array_equal(level.recommend(batch, seen).items, theirs.ranking.items)
    assert mine.steps[3] == theirs.steps[3]
    assert len(mine.steps[3]) > 2
    assert level.thread_safe == alone.thread_safe


def test_a_batch_is_one_question(world: Tiny, plain: type[Plain], monkeypatch: pytest.MonkeyPatch) -> None:
    level, asked = make(), []
    level.fit(world.fit)
    deliberate = plain.deliberate
    monkeypatch.setattr(plain, "deliberate", lambda self, *a: asked.append(len(a[0])) or deliberate(self, *a))
    batch = world.test.queries
    level.recommend(batch, world.observation(batch))
    assert asked == [len(batch)]


def test_a_policy_without_a_distribution_scores_by_its_ranking(world: Tiny, plain: type[Plain]) -> None:
    level, batch = make(), world.test.queries
    level.fit(world.fit)
    seen = world.observation(batch)
    scores, ranking = level.score(batch, seen), level.recommend(batch, seen)
    assert scores.shape == (len(batch), len(world.dataset.catalog))
    assert np.array_equal(np.take_along_axis(scores, ranking.items, axis=1), ranking.scores)
    listed = np.tile(np.array([5, -1, 3], np.int32), (len(batch), 1))
    some = level.score(replace(batch, candidates=listed), seen)
    assert np.isneginf(some[:, 1]).all()
    assert not np.isneginf(some[:, [0, 2]]).all()


def test_it_is_fitted_again_as_the_policy_can_be(
    world: Tiny, plain: type[Plain], monkeypatch: pytest.MonkeyPatch
) -> None:
    level = make()
    level.fit(world.fit)
    assert level.refit(replace(world.fit, valid=None)) is not level
    fit = plain.fit
    monkeypatch.setattr(plain, "fit", lambda self, data: fit(self, replace(data, valid=data.valid)))
    with pytest.raises(ChoosesOnValidation, match="chosen on validation"):
        level.refit(replace(world.fit, valid=None))


def test_it_is_fitted_to_everything_by_the_policys_own_choices(world: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    level = make(trials=20)
    level.fit(world.fit)
    given = []
    refit = Profile.refit
    monkeypatch.setattr(Profile, "refit", lambda self, data: given.append(data) or refit(self, data))
    again = level.refit(replace(world.fit, valid=None))
    assert [data.valid for data in given] == [None]
    assert again is not level


def test_its_policy_asks_the_pipelines_delegates(world: Tiny) -> None:
    asked: list[str] = []

    def give(label: str) -> Delegate[Any]:
        asked.append(label)
        assert world.fit.delegate is not None
        return world.fit.delegate(label)

    level = make("chain", **CHAIN, experts=["ease"])
    level.fit(replace(world.fit, delegate=give))
    assert set(asked) == {"ease"}


def test_it_cannot_ask_itself(world: Tiny) -> None:
    settings = {**CHAIN, "experts": ["level"]}
    level = make("chain", **settings)
    with pytest.raises(ConfigError, match="It may ask other delegates, and not itself"):
        level.fit(replace(world.fit, delegate=lambda label: make("chain", **settings)))


def test_a_delegate_that_learns_from_the_pipelines_policy_cannot_be_asked(world: Tiny) -> None:
    level = make("chain", **CHAIN, experts=["distilled"])
    with pytest.raises(ConfigError, match="'distilled' learns from the policy, so the policy cannot ask it"):
        level.fit(world.fit)


def test_what_is_missing_or_wrong_is_one_message_with_its_place() -> None:
    def refusal(**settings: Any) -> str:
        with pytest.raises(ConfigError) as raised:
            validated(PolicyDelegate.Config, settings, where="delegates.level")
        return raised.value.message

    assert refusal(policy="profil") == "delegates.level.policy: no policy is called 'profil'. Did you mean 'profile'?"
    found = refusal(policy="chain", settings={"network": {"member": 3}})
    assert found == "delegates.level.settings: network.member: unknown key. Did you mean 'members'?"


def test_a_policy_that_does_not_rank_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Registry.spec

    def clicks(self: Registry, kind: Any, name: str, **more: Any) -> Any:
        found = spec(self, kind, name, **more)
        return found._replace(spec=found.spec._replace(tasks=("ctr",)))

    monkeypatch.setattr(Registry, "spec", clicks)
    with pytest.raises(ConfigError, match="cannot do the task 'sequential', so it cannot be a delegate"):
        make()


def test_tokens_that_are_not_counted_are_said_once(
    world: Tiny, plain: type[Plain], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    level, batch = make(), world.test.queries
    level.fit(world.fit)
    with caplog.at_level(logging.WARNING):
        level.recommend(batch, world.observation(batch))
        assert not caplog.messages
        monkeypatch.setattr(plain, "tokens", 7)
        for _ in range(2):
            level.recommend(batch, world.observation(batch))
    assert len(caplog.messages) == 1
    assert "tokens" in caplog.messages[0]


def test_it_answers_only_when_fitted(world: Tiny) -> None:
    batch = world.test.queries
    with pytest.raises(PluginError, match="before it was fitted"):
        make().recommend(batch, world.observation(batch))


def test_what_it_depends_on_includes_its_policys_code(world: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from reasonrec_core.pipeline import component_key

    registry = Registry.discover()

    def key() -> dict[str, Any]:
        return component_key.component_key(registry, Kind.DELEGATE, "policy", {"policy": "chain", "settings": {}})

    before = key()
    assert before["parts"][0]["component"] == [Kind.POLICY, "chain"]
    hashed = component_key.hash_source
    changed = {"chain": "edited"}
    monkeypatch.setattr(component_key, "hash_source", lambda p: changed.get(p.spec.name) or hashed(p))
    assert key() != before


def test_it_is_loaded_with_the_policy_that_it_was_saved_with(world: Tiny, tmp_path: Path) -> None:
    level = make("chain", **CHAIN)
    level.fit(world.fit)
    level.save(tmp_path)
    again = PolicyDelegate.load(tmp_path, world.dataset.catalog)
    assert isinstance(again._policy, Chain)
    batch = world.test.queries
    seen = world.observation(batch)
    assert np.array_equal(again.recommend(batch, seen).items, level.recommend(batch, seen).items)
