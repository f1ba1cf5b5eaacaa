"""The policy without its language model: it passes the suite of delegates, and weighs what the policy's sources say."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_cot.answers.score_sources import GENERATOR
from reasonrec_cot.config import CotConfig
from reasonrec_cot.fusion_delegate import CotFusion, CotFusionConfig
from reasonrec_cot.policy import Cot
from reasonrec_cot.retriever import Retriever

from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.testing.toy_policy import ToyPolicy
from reasonrec_core.types import Task

_retrievers: dict[str, Retriever] = {}


def policy_for(data: FitData, *sources: str) -> Cot:
    """A policy that asks ``transitions`` and these; its language model is never loaded.

    Its delegates are fitted once per log, and loaded for a catalogue that has grown since.
    """
    shortlist = {"size": 6, "delegate": "transitions", "sources": sources}
    cot = Cot(CotConfig.model_validate({"backbone": {"model": "none"}, "shortlist": shortlist}))
    key = f"{sources}{data.task}{data.train.items.tobytes()!r}{data.train.users.tobytes()!r}"
    if key not in _retrievers:
        _retrievers[key] = Retriever.fit(cot.config.shortlist, data)
    with tempfile.TemporaryDirectory() as folder:
        _retrievers[key].save(Path(folder))
        cot.retriever = Retriever.load(cot.config.shortlist, Path(folder), data.catalog)
    return cot


class TestFusionConformance(DelegateConformance):
    component = "cot-fusion"

    @classmethod
    def ready(cls, component: Any, data: FitData) -> None:
        component.attach(policy_for(data, "popularity"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny dataset, divided."""
    return tiny(tmp_path_factory.mktemp("world"), task=Task.SEQUENTIAL)


def made(world: Tiny) -> CotFusion:
    delegate = CotFusion(CotFusionConfig())
    delegate.attach(policy_for(world.fit, "popularity"))
    delegate.fit(world.fit)
    return delegate


def test_what_is_proposed_stands_before_all_else_in_the_order_of_the_weights(world: Tiny) -> None:
    delegate, batch = made(world), world.test.queries
    seen = world.observation(batch)
    ranking, shortlist = delegate.recommend(batch, seen), delegate._attached.of(batch, seen)
    joint = delegate._weigh(batch, shortlist, seen)
    for row, listed in enumerate(shortlist.items):
        order = listed[np.argsort(-joint[row], kind="stable")]
        known = order[order >= 0]
        assert ranking.items[row, : len(known)].tolist() == known[: ranking.items.shape[1]].tolist()


def test_without_validation_it_is_the_generator(world: Tiny) -> None:
    delegate = CotFusion(CotFusionConfig())
    delegate.attach(policy_for(world.fit, "popularity"))
    delegate.fit(replace(world.fit, valid=None))
    batch = world.test.queries
    seen = world.observation(batch)
    expected = delegate._attached.delegate.recommend(batch, seen)
    np.testing.assert_array_equal(delegate.recommend(batch, seen).items, expected.items)
    assert delegate.weights.proposed is not None
    assert delegate.weights.proposed.sources == (GENERATOR,)


def test_a_policy_that_asks_one_delegate_or_is_another_is_refused(world: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only one delegate"):
        CotFusion(CotFusionConfig()).attach(policy_for(world.fit))
    with pytest.raises(PluginError, match="needs a policy cot"):
        CotFusion(CotFusionConfig()).attach(ToyPolicy(ToyPolicy.Config()))


def test_delegates_are_loaded_by_what_they_are_and_not_by_their_labels(world: Tiny, tmp_path: Path) -> None:
    called = {"first": "transitions", "second": "popularity"}
    make = world.fit.delegate
    assert make is not None
    data = replace(world.fit, delegate=lambda label: make(called[label]))
    config = CotConfig.model_validate({"shortlist": {"delegate": "first", "sources": ["second"]}}).shortlist
    fitted = Retriever.fit(config, data)
    fitted.save(tmp_path)
    loaded = Retriever.load(config, tmp_path, data.catalog)
    assert type(loaded.delegate) is type(fitted.delegate)
    assert {name: type(each) for name, each in loaded.sources.items()} == {"second": type(fitted.sources["second"])}
