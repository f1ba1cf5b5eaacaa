"""The estimator: conformance, coverage on a catalogue whose truth is known, chunks, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import reasonrec_conformal.estimator as module
from reasonrec_conformal.estimator import Conformal, ConformalConfig
from reasonrec_serve import Recommender
from scipy.stats import betabinom

from reasonrec_core.components import Empty, FitData, ReasoningPolicy
from reasonrec_core.config import check_config
from reasonrec_core.errors import PluginError
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.testing import UncertaintyConformance
from reasonrec_core.testing.habits import habits
from reasonrec_core.testing.tiny import Tiny, tiny, tiny_dataset
from reasonrec_core.types import Cases, Float32, History, Observation, QueryBatch, Task


class TestConformal(UncertaintyConformance):
    component = "conformal"
    settings: ClassVar[dict[str, Any]] = {"coverage": 0.5}


class TestRandomised(UncertaintyConformance):
    component = "conformal"
    settings: ClassVar[dict[str, Any]] = {"coverage": 0.4, "score": "raps", "randomised": True, "groups": 1}


class Planted(ReasoningPolicy[Empty]):
    """Says a flattened form of the truth, a distribution per user; the history is masked."""

    def __init__(self, truth: Float32) -> None:
        super().__init__(Empty())
        self.truth, self.largest = truth, 0

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Any:
        raise NotImplementedError

    def distribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        raw = self.truth[batch.users] ** 0.5
        raw[batch.history.rows, batch.history.items] = 0
        self.largest = max(self.largest, raw.size)
        return np.asarray(raw / raw.sum(axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("tiny"))


def planted(data: FitData, n: int, seed: int) -> tuple[Planted, Cases, Observation]:
    """``n`` queries of one-item histories whose targets are drawn from a known distribution."""
    random, width = np.random.default_rng(seed), len(data.catalog)
    truth = random.dirichlet(np.full(width, 0.2), n)
    history = random.integers(0, width, n)
    truth[np.arange(n), history] = 1e-9
    truth /= truth.sum(axis=1, keepdims=True)
    targets = (truth.cumsum(axis=1) < random.random((n, 1))).sum(axis=1).clip(0, width - 1).astype(np.int32)
    batch = QueryBatch(Task.SEQUENTIAL, np.arange(n, dtype=np.int32), History.of(history[:, None].tolist()))
    observation = Observation({}, {}, random.random(n).astype(np.float32))
    return Planted(truth.astype(np.float32)), Cases(batch, np.arange(n + 1), targets), observation


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_covers_new_queries_as_promised(data: Tiny, score: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", 4000)
    policy, cases, seen = planted(data.fit, 6000, 3)
    first, second = np.arange(3000), np.arange(3000, 6000)
    estimator = Conformal(ConformalConfig(score=score))
    estimator.attach(policy)
    estimator.fit(replace(data.fit, valid=cases.take(first), observation=seen.take(first)))
    found = estimator.coverage(cases.take(second), seen.take(second))
    assert policy.largest <= 4000
    for row in found.table()[1:]:
        n = int(estimator.limits.counts[int(row["group"])])
        place = int(np.ceil((n + 1) * 0.9 - 1e-9))
        law = betabinom(int(row["queries"]), place, n + 1 - place)
        assert law.ppf(1e-4) <= round(row["coverage"] * row["queries"]) <= law.ppf(1 - 1e-4), row
    total = estimator.estimate(cases.queries, seen, None).total
    expected = np.log(np.maximum(found.sizes, 1)) / np.log(len(data.dataset.catalog) - 1)
    np.testing.assert_allclose(total[3000:], expected, rtol=1e-5)
    assert 1 < found.sizes.mean() < 30


def test_without_validation_a_set_is_everything(data: Tiny) -> None:
    estimator = Conformal(ConformalConfig())
    estimator.attach(habits(data.fit))
    estimator.fit(replace(data.fit, valid=None))
    batch = data.test.queries
    assert (estimator.estimate(batch, data.observation(batch), None).total == 1).all()


def test_a_policy_without_a_distribution_is_refused() -> None:
    class Mute(ReasoningPolicy[Empty]):
        def deliberate(self, batch: QueryBatch, observation: Observation) -> Any:
            raise NotImplementedError

    with pytest.raises(PluginError, match="probability of every item"):
        Conformal(ConformalConfig()).attach(Mute(Empty()))


def test_in_a_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted with the policy, reused, fitted anew for another policy, and there when the run is opened again."""
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    path = tiny_dataset(tmp_path / "data").folder
    pipeline: dict[str, Any] = {
        "name": "sets",
        "data": {"path": str(path)},
        "policy": "profile",
        "delegates": ["popularity"],
        "uncertainty": [{"name": "conformal", "coverage": 0.9}],
        "evaluate": {"tasks": ["sequential"], "k": [5], "resamples": 100, "latency_sample": 2},
    }

    def run(**changes: Any) -> float:
        config = check_config({**pipeline, **changes}, "sets.toml")
        run_pipeline(config, tmp_path / "run", Registry.discover(), lambda done, total, label: None)
        return (tmp_path / "run" / "stages" / "uncertainty-conformal" / "stage.json").stat().st_mtime_ns

    first = run()
    assert run() == first
    answer = Recommender.open(tmp_path / "run").recommend(history=["item-03"])
    assert 0 < answer.uncertainty["conformal"] <= 1
    assert run(policy={"name": "profile", "max_history": 3}) != first
