"""Click models: suites, formulas written out, and what they say of the unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reasonrec_clicks.categories import RowCategories
from reasonrec_fields.config import XDeepFMConfig
from reasonrec_fields.delegates import DCNv2, FieldDelegate, XDeepFM
from reasonrec_fields.network import CrossLayer, InteractionNetwork, fit_line
from reasonrec_fields.rows import FieldReader
from reasonrec_torch.testing import LearningDelegateConformance

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.evaluate.ctr_metrics import auc
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Task

TRAINING = {"epochs": 20, "patience": 20, "learning_rate": 0.01, "warmup": 5, "ema": 0.8, "device": "cpu", "batch": 64}
SMALL: dict[str, Any] = {
    "dimensions": 4, "hidden": [16], "bins": 4, "least": 2, "blocks": 4, "members": 1, "components": 4,
    "training": TRAINING,
}  # fmt: skip
EVERY: list[type[FieldDelegate[Any]]] = [XDeepFM, DCNv2]


class TestXDeepFM(LearningDelegateConformance):
    component = "xdeepfm"
    settings = SMALL


class TestDCNv2(LearningDelegateConformance):
    component = "dcnv2"
    settings = SMALL | {"history": "mean", "members": 2}


class TestEvidentialDCNv2(LearningDelegateConformance):
    component = "dcnv2"
    settings = SMALL | {"evidence": "dirichlet-mse"}


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("clicks"), task=Task.CTR)


def make(model: type[FieldDelegate[Any]], clicks: Tiny, settings: dict[str, Any] = SMALL, **changes: Any) -> Any:
    delegate = model(model.Config.model_validate(settings))
    delegate.fit(replace(clicks.fit, **changes))
    return delegate


@pytest.mark.parametrize("model", EVERY)
def test_it_tells_clicks_from_others(model: type[FieldDelegate[Any]], clicks: Tiny) -> None:
    delegate, cases = make(model, clicks), clicks.test
    assert cases.labels is not None
    scores = delegate.score(cases.queries, clicks.observation(cases.queries))
    assert auc(cases.labels.ravel().astype(np.float64), scores.ravel().astype(np.float64)) > 0.65


def test_crosses_are_those_of_the_equations() -> None:
    torch.manual_seed(0)
    net, x = InteractionNetwork(3, (2, 4)), torch.randn(5, 3, 6)
    state, expected = x, []
    for weight in net.weights:
        maps = []
        for h in range(len(weight)):
            total = torch.zeros(5, 6)
            for i in range(state.shape[1]):
                for j in range(3):
                    total += weight[h, i, j] * state[:, i] * x[:, j]
            maps.append(total)
        state = torch.stack(maps, 1)
        expected.append(state.sum(-1))
    torch.testing.assert_close(net(x), torch.cat(expected, 1))
    cross, first, now = CrossLayer(4), torch.randn(2, 4), torch.randn(2, 4)
    torch.testing.assert_close(cross(first, now), first * (now @ cross.linear.weight.T + cross.linear.bias) + now)


def test_a_number_stands_between_its_quantiles() -> None:
    one = np.zeros(1, np.int32)
    nothing = RowCategories(np.zeros((1, 0), np.int32), np.zeros((0, 1), np.int32))
    reader = FieldReader(one, one, np.array([[0, 1, 5]], np.float32), nothing)
    numbers = np.array([[-2], [0], [0.5], [1], [3], [5], [9], [np.nan]], np.float32)
    place, between = reader._place(numbers)
    assert place[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 3]
    np.testing.assert_allclose(between[:, 0], [0, 0, 0.5, 0, 0.5, 1, 1, 0])


def test_a_line_makes_probabilities_of_logits() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-true))).astype(np.float32)
    slope, offset = fit_line(torch.from_numpy(3 * true + 1).float(), torch.from_numpy(labels))
    assert abs(slope - 1 / 3) < 0.03
    assert abs(offset + 1 / 3) < 0.1


def test_unknown_users_are_answered_by_the_other_fields(clicks: Tiny) -> None:
    delegate, batch = make(XDeepFM, clicks), clicks.test.queries
    unknown = replace(batch, users=np.full(len(batch), -1, np.int32))
    scores = delegate.score(unknown, clicks.observation(unknown))
    labels = clicks.test.labels
    assert labels is not None
    assert auc(labels.ravel().astype(np.float64), scores.ravel().astype(np.float64)) > 0.6
    assert XDeepFMConfig().members == 5


@pytest.mark.parametrize("model", EVERY)
def test_the_context_of_a_request_counts(model: type[FieldDelegate[Any]], clicks: Tiny, tmp_path: Path) -> None:
    """Clicks that hang on the hour alone are known by the hour alone, and at an hour nobody saw like at none."""
    rng = np.random.default_rng(0)
    train, batch = clicks.fit.train, clicks.test.queries
    hours = np.stack([rng.integers(1, 3, len(train)), rng.integers(1, 5, len(train))], axis=1).astype(np.int32)
    logged = replace(train, context=hours, values=(hours[:, 0] == 2).astype(np.float32))
    context = {"day": ["week", "weekend"], "device": ["a", "b", "c", "d", "never"]}
    delegate = make(model, clicks, train=logged, valid=None, context=context)
    now = rng.integers(1, 3, (len(batch), 2)).astype(np.int32)
    asked = replace(batch, context=now)
    scores = delegate.score(asked, clicks.observation(asked))
    assert scores[now[:, 0] == 2].min() > scores[now[:, 0] == 1].max()
    unknown, unseen = (
        delegate.score(replace(batch, context=each), clicks.observation(batch)) for each in (None, now * 0)
    )
    np.testing.assert_array_equal(unknown, unseen)
    elsewhere = np.stack([now[:, 0], np.full(len(now), 5)], axis=1).astype(np.int32)
    nowhere = np.stack([now[:, 0], np.zeros(len(now))], axis=1).astype(np.int32)
    there, gone = (delegate.score(replace(batch, context=c), clicks.observation(batch)) for c in (elsewhere, nowhere))
    np.testing.assert_array_equal(there, gone)
    delegate.save(tmp_path)
    again = model.load(tmp_path, clicks.fit.catalog)
    np.testing.assert_allclose(again.score(asked, clicks.observation(asked)), scores, atol=1e-6)


def test_evidence_is_where_rows_agree(clicks: Tiny) -> None:
    rng = np.random.default_rng(0)
    train, batch = clicks.fit.train, clicks.test.queries
    days = rng.integers(1, 3, (len(train), 1)).astype(np.int32)
    values = np.where(days[:, 0] == 2, 1, rng.integers(0, 2, len(train))).astype(np.float32)
    logged, context = replace(train, context=days, values=values), {"day": ["coin", "sure"]}
    settings = SMALL | {"evidence": "dirichlet-log", "divergence": 0.05}
    delegate = make(DCNv2, clicks, settings, train=logged, valid=None, context=context)
    coin, sure = (
        delegate.evidence(replace(batch, context=np.full((len(batch), 1), day, np.int32)), clicks.observation(batch))
        for day in (1, 2)
    )
    assert sure[..., 0].mean() > 2 * max(coin.mean(), sure[..., 1].mean())
    alpha = sure + 1
    asked = replace(batch, context=np.full((len(batch), 1), 2, np.int32))
    scores = delegate.score(asked, clicks.observation(asked))
    np.testing.assert_allclose(scores, alpha[..., 0] / alpha.sum(-1), atol=1e-5)
    with pytest.raises(PluginError, match="xdeepfm was not trained to state its evidence"):
        XDeepFM(XDeepFMConfig()).evidence(batch, clicks.observation(batch))
    with pytest.raises(ConfigError, match="no evidential loss 'nothing'"):
        make(DCNv2, clicks, SMALL | {"evidence": "nothing"})
