"""The estimator: conformance, what it learns where the truth is known, counting where there is too little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from reasonrec_evidential.estimator import Evidential, EvidentialConfig
from reasonrec_evidential.hits import HitTraining, predict_hits, train_hit_network

from reasonrec_core.errors import PluginError
from reasonrec_core.testing import UncertaintyConformance
from reasonrec_core.testing.habits import habits
from reasonrec_core.testing.tiny import Tiny, tiny

QUICK = {"steps": 50, "hidden": 4}


class TestEvidential(UncertaintyConformance):
    component = "evidential"
    settings: ClassVar[dict[str, Any]] = {**QUICK, "top": 5}


class TestStatedByThePolicy(UncertaintyConformance):
    component = "evidential"
    settings: ClassVar[dict[str, Any]] = {"source": "policy", "top": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("tiny"))


def test_learns_the_probability_of_a_hit() -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=(3000, 3))
    truth = 1 / (1 + np.exp(-2 * x[:, 0]))
    hit = random.random(3000) < truth
    net, report = train_hit_network(x[:2000], hit[:2000], HitTraining("mse", 8, 150, 0))
    predicted, entropy, vacuity = predict_hits(net, x[2000:])
    assert np.abs(predicted - truth[2000:]).mean() < 0.06
    brier = ((predicted - hit[2000:]) ** 2).mean()
    assert report["brier"] == pytest.approx(brier, abs=0.02), "cross-fitted figures are those of unseen cases"
    assert report["ece"] < 0.05
    assert np.corrcoef(entropy, -np.abs(truth[2000:] - 0.5))[0, 1] > 0.8
    assert ((vacuity > 0) & (vacuity <= 1)).all()


def test_noise_is_not_learned() -> None:
    """Cross-fitting keeps a network that has many features and no signal from believing in one."""
    random = np.random.default_rng(3)
    x, hit = random.normal(size=(300, 20)), random.random(300) < 0.3
    _, report = train_hit_network(x, hit, HitTraining("mse", 16, 100, 0))
    assert 0.3 < report["auc"] < 0.7
    assert report["brier"] > 0.19


def test_a_short_list_is_judged_as_the_whole_one(data: Tiny) -> None:
    """The network learned from answers of `top` items; how much of one is shown must not change what it says."""
    policy, batch = habits(data.fit), data.test.queries
    estimator = Evidential(EvidentialConfig(top=5, steps=50, hidden=4))
    estimator.attach(policy)
    estimator.fit(data.fit)
    assert "brier" in estimator.report, "it has learned"
    seen = data.observation(batch)
    long, short = (estimator.estimate(batch, seen, policy.deliberate(replace(batch, k=k), seen)).total for k in (9, 2))
    np.testing.assert_allclose(short, long, rtol=1e-6)
    assert np.ptp(long) > 0


def test_few_cases_are_counted(data: Tiny) -> None:
    assert data.fit.valid is not None
    some = np.arange(6)
    few = replace(data.fit, valid=data.fit.valid.take(some), observation=data.fit.observation.take(some))
    estimator = Evidential(EvidentialConfig())
    estimator.attach(habits(data.fit))
    estimator.fit(few)
    batch = data.test.queries
    seen = data.observation(batch)
    found = estimator.estimate(batch, seen, habits(data.fit).deliberate(batch, seen))
    hits = estimator.report["hits"]
    assert found.total == pytest.approx(1 - (hits + 1) / 8)
    assert found.epistemic == pytest.approx(2 / 8)


def test_without_validation_it_knows_nothing(data: Tiny) -> None:
    estimator = Evidential(EvidentialConfig())
    estimator.fit(replace(data.fit, valid=None))
    batch = data.test.queries
    found = estimator.estimate(batch, data.observation(batch), None)
    assert found.total == pytest.approx(0.5)
    assert found.epistemic == pytest.approx(1)


def test_a_policy_without_a_distribution_is_refused(data: Tiny) -> None:
    class Mute:
        def deliberate(self, batch: Any, observation: Any) -> Any:
            return replace(habits(data.fit).deliberate(batch, observation), mass=None)

    estimator = Evidential(EvidentialConfig())
    estimator.attach(Mute())  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="needs the policy's distribution"):
        estimator.fit(data.fit)


def test_what_the_policy_states_is_its_dirichlet(data: Tiny) -> None:
    """Habits counts: the strength of its evidence, and so the vacuity, is known."""
    policy, batch = habits(data.fit), data.test.queries
    estimator, seen = Evidential(EvidentialConfig(source="policy", top=5)), data.observation(batch)
    estimator.attach(policy)
    estimator.fit(data.fit)
    found = estimator.estimate(batch, seen, policy.deliberate(replace(batch, k=5), seen))
    strength = policy.parameters(batch).sum(axis=1) + 6
    np.testing.assert_allclose(found.epistemic, 6 / strength, rtol=1e-4)
    ranking = policy.deliberate(replace(batch, k=5), seen).ranking
    assert ranking is not None
    others = policy.evidence(batch, seen, ranking.items)[:, -1]
    np.testing.assert_allclose(found.total, (others + 1) / strength, rtol=1e-4)


def test_a_policy_that_states_no_evidence_is_refused(data: Tiny) -> None:
    class Unsaid:
        evidential = False

        def evidence(self, *given: Any) -> Any:
            raise NotImplementedError

    with pytest.raises(PluginError, match="does not state its evidence"):
        Evidential(EvidentialConfig(source="policy")).attach(Unsaid())  # type: ignore[arg-type]
