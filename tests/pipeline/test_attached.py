"""A delegate that answers with parts of the policy: it is fitted after it, and gets to know it again when loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_serve import Recommender, Request
from reasonrec_serve.resolve import resolve

from reasonrec_core.components import Delegate, Empty, FitData, Kind
from reasonrec_core.config import check_config
from reasonrec_core.errors import PluginError
from reasonrec_core.hookspecs import ComponentSpec
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.plugins import Installed, Registered, discover
from reasonrec_core.registry import Registry
from reasonrec_core.testing.toy_policy import ToyPolicy
from reasonrec_core.types import Float32, Observation, QueryBatch

from .conftest import pipeline, silent


class Echo(Delegate[Empty]):
    """Scores items as the policy ranks them."""

    Config = Empty
    policy: ToyPolicy | None = None

    def attach(self, policy: Any) -> None:
        if not isinstance(policy, ToyPolicy):
            raise PluginError("echo answers for the toy policy only")
        self.policy = policy

    def fit(self, data: FitData) -> None:
        assert self.policy is not None, "attached before the fit"
        assert self.policy.follows.any(), "the policy was fitted before"

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        assert self.policy is not None, "attached after loading"
        scores = np.zeros((len(batch), len(self.policy.follows)), np.float32)
        answer = self.policy.deliberate(replace(batch, candidates=None, k=5), observation).ranking
        assert answer is not None
        rows, columns = np.nonzero(answer.items >= 0)
        scores[rows, answer.items[rows, columns]] = answer.scores[rows, columns]
        if batch.candidates is None:
            return scores
        return np.where(
            batch.candidates < 0, -np.inf, np.take_along_axis(scores, np.maximum(batch.candidates, 0), axis=1)
        ).astype(np.float32)


@pytest.fixture(scope="module")
def registry() -> Registry:
    spec = ComponentSpec("echo", f"{__name__}:Echo", "Echoes the policy", ("sequential", "direct"))
    offer = Registered(Kind.DELEGATE, spec, "tests", "1")
    return Registry(Installed((*discover().components, offer), (), ()))


def test_it_is_fitted_after_the_policy_and_served_with_it(data: Path, tmp_path: Path, registry: Registry) -> None:
    settings = pipeline(data, delegates=["popularity", "echo"], router={"share": 1.0, "stage": "before"})
    run = tmp_path / "run"
    run_pipeline(check_config(settings, "echo.toml"), run, registry, silent)
    recommender = Recommender.open(run, registry)
    assert tuple(recommender.agent.delegates) == ("popularity", "echo"), "in the order of the pipeline"
    request = Request(history=[recommender.dataset.catalog.ids[3]], k=3)
    batch = resolve(recommender.dataset, request, recommender.item_filter).batch
    seen = recommender.agent.observe(batch)
    mine = recommender.agent.deliberate(batch, seen).ranking
    assert mine is not None
    assert np.array_equal(recommender.agent.delegate("echo", batch, seen).items, mine.items)


def test_it_is_fitted_again_with_another_policy(data: Path, tmp_path: Path, registry: Registry) -> None:
    run = tmp_path / "run"
    settings = pipeline(data, delegates=["echo", "popularity"], router=None)
    first = check_config(settings, "echo.toml")
    run_pipeline(first, run, registry, silent)
    stamp = run / "stages" / "delegate-echo" / "component"
    before = stamp.stat().st_mtime_ns
    other = {"name": "toy", "decay": 0.5}
    run_pipeline(check_config({**settings, "policy": other}, "echo.toml"), run, registry, silent)
    assert stamp.stat().st_mtime_ns > before
