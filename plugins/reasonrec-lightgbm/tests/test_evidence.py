"""Trees with a Beta distribution: derivatives, what is learned where the truth is known, the delegate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import lightgbm
import numpy as np
import pytest
from reasonrec_clicks.evidence import compute_probability, find_loss
from reasonrec_lightgbm.boosting import BoostingConfig, train_models
from reasonrec_lightgbm.ctr import CTRConfig, LightGBMCTR
from reasonrec_lightgbm.evidence import (
    EvidentialObjective,
    click_loss,
    compute_evidence,
    predict_evidence,
)

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import Task

LOSSES = ("dirichlet-mse", "dirichlet-log", "dirichlet-digamma")
SMALL = {"rounds": 30, "bags": 2, "min_leaf": 5, "unguided_rounds": 20, "blocks": 4, "threads": 1}
pytestmark = pytest.mark.filterwarnings("ignore:Using backward")
torch = pytest.importorskip("torch")
pytest.importorskip("reasonrec_evidential")


class TestEvidential(DelegateConformance):
    component = "lightgbm-ctr"
    settings: ClassVar = {**SMALL, "evidence": "dirichlet-mse"}


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_are_those_of_the_loss(name: str) -> None:
    rng = np.random.default_rng(0)
    raw, label = rng.normal(size=(6, 2)), np.array([1.0, 0, 1, 0, 0, 1])
    rows = lightgbm.Dataset(np.zeros((6, 1)), label)
    slope, bend = EvidentialObjective(name, 0.0, 10)(raw, rows)
    loss, target = find_loss(name), torch.from_numpy(np.stack([label, 1 - label], axis=1))

    def whole(scores: Any) -> float:
        return float(loss(torch.nn.functional.softplus(torch.from_numpy(scores)), target, 0.0, 0.0)) * 6

    step = 1e-4
    for row, column in ((0, 0), (1, 1), (4, 0)):
        moved = np.zeros_like(raw)
        moved[row, column] = step
        up, down, here = whole(raw + moved), whole(raw - moved), whole(raw)
        assert slope[row, column] == pytest.approx((up - down) / (2 * step), abs=1e-6)
        assert bend[row, column] == pytest.approx(max((up - 2 * here + down) / step**2, 1e-3), abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_probability_is_learned_and_evidence_is_where_rows_agree(name: str) -> None:
    """Where the label is a coin's, evidence is held down; where it is nearly sure, it is found."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 3, 6000)
    rate = np.array([0.5, 0.9, 0.02])[x]
    y = (rng.random(6000) < rate).astype(np.float32)
    table = np.stack([x, rng.random(6000)], axis=1).astype(np.float32)
    learn = lightgbm.Dataset(table[:4000], y[:4000], free_raw_data=False)
    check = lightgbm.Dataset(table[4000:], y[4000:], reference=learn)
    config = BoostingConfig(bags=1, rounds=150, feature_share=1.0, learning_rate=0.1, threads=1)
    task = EvidentialObjective(name, 0.05, 50).task
    models = train_models(config, task, learn, check, seed=0, progress=lambda d, n: None, figure=click_loss)
    evidence = predict_evidence(models, table[4000:])
    assert np.abs(compute_probability(evidence) - rate[4000:]).mean() < 0.06
    vacuity = 2 / (evidence.sum(axis=1) + 2)
    assert vacuity[x[4000:] == 2].mean() < 0.7 * vacuity[x[4000:] == 0].mean()


def test_it_states_its_evidence_and_is_saved(tmp_path: Path) -> None:
    data = tiny(tmp_path / "clicks", task=Task.CTR)
    delegate = LightGBMCTR(CTRConfig.model_validate({**SMALL, "evidence": "dirichlet-log"}))
    delegate.fit(data.fit)
    batch = data.test.queries
    seen = data.observation(batch)
    found = delegate.evidence(batch, seen)
    assert batch.candidates is not None
    assert found.shape == (*batch.candidates.shape, 2)
    real = batch.candidates >= 0
    np.testing.assert_allclose(compute_probability(found)[real], delegate.score(batch, seen)[real], atol=1e-6)
    (tmp_path / "saved").mkdir()
    delegate.save(tmp_path / "saved")
    again = LightGBMCTR.load(tmp_path / "saved", data.dataset.catalog)
    np.testing.assert_allclose(again.evidence(batch, seen), found, atol=1e-6)


def test_without_it_there_is_none(tmp_path: Path) -> None:
    data = tiny(tmp_path / "clicks", task=Task.CTR)
    delegate = LightGBMCTR(CTRConfig.model_validate(SMALL))
    delegate.fit(data.fit)
    with pytest.raises(PluginError, match="not trained to state its evidence"):
        delegate.evidence(data.test.queries, data.observation(data.test.queries))
    with pytest.raises(ConfigError, match="no evidential loss 'wishful'"):
        LightGBMCTR(CTRConfig.model_validate({**SMALL, "evidence": "wishful"})).fit(data.fit)


def test_no_rows_have_no_evidence() -> None:
    assert predict_evidence([], np.zeros((0, 2), np.float32)).shape == (0, 2)
    assert (compute_evidence(np.full((1, 2), -1000.0)) >= 0).all()
