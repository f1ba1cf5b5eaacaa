"""Against a synthetic shop whose choice probabilities are known: order, and what evidence takes away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from reasonrec_datasets import build_dataset, import_path
from reasonrec_datasets.synth import SynthConfig, make_catalogue, oracle_scores
from reasonrec_mc_dropout.estimator import MCDropout, MCDropoutConfig
from reasonrec_profile.api import Profile, ProfileConfig
from reasonrec_routers.uncertainty import Entropy
from scipy.stats import spearmanr

from reasonrec_core.components import Empty, FitData
from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.testing.habits import habits
from reasonrec_core.types import Observation, QueryBatch, Uncertainty

SHOP = SynthConfig(users=1200, items=60, mean_length=8, image_size=32, launched_later=0.8)


@dataclass(frozen=True)
class Shop:
    """What may be learned from, what is asked (of customers whom no subset leaves out), and P of every item."""

    fit: FitData
    asked: QueryBatch
    truth: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    horizon: EvidenceHorizonScale

    def seen(self, batch: QueryBatch) -> Observation:
        return Observation({}, {}, self.horizon(batch))

    def smaller(self, share: float) -> FitData:
        """As if only so many customers had been there."""
        return replace(self.fit, train=self.fit.train.take(self.fit.train.users < share * self.fit.n_users))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder: Path = tmp_path_factory.mktemp("shop")
    make_catalogue(folder / "shop", SHOP)
    dataset = build_dataset(import_path(folder / "shop"), folder / "dataset", seed=0)
    split = make_split(dataset, SplitConfig())
    horizon = EvidenceHorizonScale.fit(np.bincount(split.train.users, minlength=dataset.n_users).astype(np.int64))
    seen = Observation({}, {}, horizon(split.valid.queries))
    fit = FitData(dataset.catalog, dataset.n_users, split.train, split.valid, seen)
    truth = np.exp(oracle_scores(folder / "shop", dataset, split.test.queries).astype(np.float64))
    return Shop(fit, split.test.queries, truth, horizon)


def test_the_unsure_answers_are_those_that_miss_more_often(shop: Shop) -> None:
    policy = Profile(ProfileConfig())
    policy.fit(shop.fit)
    seen = shop.seen(shop.asked)
    answer = policy.deliberate(shop.asked, seen)
    assert answer.ranking is not None
    estimator = Entropy(Empty())
    estimator.fit(shop.fit)
    total = estimator.estimate(shop.asked, seen, answer).total
    missed = 1 - np.take_along_axis(shop.truth, answer.ranking.items, axis=1).sum(axis=1)
    entropy = -(shop.truth * np.log(np.maximum(shop.truth, 1e-300))).sum(axis=1)
    assert spearmanr(total, missed).statistic > 0.12
    assert spearmanr(total, entropy).statistic > 0.12


def test_evidence_takes_epistemic_uncertainty_away_and_leaves_the_other(shop: Shop) -> None:
    few, many = _means(shop, 0.1), _means(shop, 1.0)
    assert many[1] < 0.5 * few[1], "epistemic falls"
    assert abs(many[0] - few[0]) < 0.2 * few[0], "aleatoric stays near"


def _means(shop: Shop, share: float) -> tuple[float, float]:
    """Aleatoric and epistemic uncertainty of a policy that counts, over all queries."""
    policy = habits(shop.smaller(share))
    estimator = MCDropout(MCDropoutConfig(passes=30))
    estimator.attach(policy)
    estimator.fit(shop.fit)
    found: Uncertainty = estimator.estimate(
        shop.asked, shop.seen(shop.asked), policy.deliberate(shop.asked, shop.seen(shop.asked))
    )
    assert found.aleatoric is not None
    assert found.epistemic is not None
    return float(found.aleatoric.mean()), float(found.epistemic.mean())
