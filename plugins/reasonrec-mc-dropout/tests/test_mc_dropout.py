"""Known answers: networks that agree, networks that contradict each other, a Dirichlet posterior in closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_mc_dropout.estimator import MCDropout, MCDropoutConfig
from reasonrec_mc_dropout.information import split_entropy
from scipy.special import digamma

from reasonrec_core.components import Empty, ReasoningPolicy
from reasonrec_core.errors import PluginError
from reasonrec_core.testing import UncertaintyConformance
from reasonrec_core.testing.habits import habits
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import Observation, QueryBatch


class TestMCDropout(UncertaintyConformance):
    component = "mc-dropout"
    settings: ClassVar[dict[str, Any]] = {"passes": 6}


class TestListAlone(UncertaintyConformance):
    component = "mc-dropout"
    settings: ClassVar[dict[str, Any]] = {"passes": 3, "rest": False}


def test_networks_that_agree_leave_only_what_is_aleatoric() -> None:
    even = np.full((5, 1, 4), 0.25, np.float32)
    found = split_entropy(even, np.ones((1, 4), bool), None)
    assert (found.total[0], found.aleatoric[0], found.epistemic[0]) == pytest.approx((1, 1, 0))


def test_sure_networks_that_contradict_each_other_leave_only_what_is_epistemic() -> None:
    found = split_entropy(np.eye(4, dtype=np.float32)[:, None], np.ones((1, 4), bool), None)
    assert (found.total[0], found.aleatoric[0], found.epistemic[0]) == pytest.approx((1, 0, 1))


def test_the_rest_lies_evenly_on_the_other_items() -> None:
    alone = split_entropy(np.float32([[[0.5]], [[0.5]]]), np.ones((1, 1), bool), np.array([1]))
    assert (alone.total[0], alone.aleatoric[0]) == pytest.approx((1, 1))
    split = split_entropy(np.float32([[[1.0]], [[0.0]]]), np.ones((1, 1), bool), np.array([1]))
    assert (split.total[0], split.epistemic[0]) == pytest.approx((1, 1))
    sure, unsure = (split_entropy(np.float32([[[m]]]), np.ones((1, 1), bool), np.array([99])) for m in (0.9, 0.01))
    assert unsure.total[0] == pytest.approx(1, abs=1e-6), "who lists one item in a hundred with 1 % knows nothing"
    assert sure.total[0] == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1 / 99)) / np.log(100))
    listed_all = split_entropy(np.float32([[[0.5, 0.5]]]), np.ones((1, 2), bool), np.array([0]))
    assert listed_all.total[0] == pytest.approx(1)


def test_padding_is_no_outcome() -> None:
    p = np.float32([[[0.5, 0.5, 0.0]], [[0.9, 0.1, 0.0]]])
    short = split_entropy(p[:, :, :2], np.ones((1, 2), bool), None)
    padded = split_entropy(p, np.array([[True, True, False]]), None)
    assert padded.total == pytest.approx(short.total)
    assert split_entropy(p * 0, np.zeros((1, 3), bool), None).total[0] == 0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 8), st.booleans(), st.integers(0, 10**6))
def test_parts_add_up_and_lie_between_nothing_and_all(t: int, b: int, k: int, rest: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(k + 1, 0.3), (t, b))[..., :k].astype(np.float32)
    listed = random.random((b, k)) < 0.8
    p *= listed
    others = random.integers(0, 20, b) if rest else None
    found = split_entropy(p, listed, others)
    for part in (found.total, found.aleatoric, found.epistemic):
        assert ((part >= 0) & (part <= 1)).all()
    np.testing.assert_allclose(found.aleatoric + found.epistemic, found.total, atol=1e-9)
    again = split_entropy(p[::-1], listed, others)
    np.testing.assert_allclose(again.epistemic, found.epistemic, atol=1e-9)


def test_a_dirichlet_posterior_is_split_as_its_closed_form(tmp_path: Path) -> None:
    data = tiny(tmp_path)
    policy, batch = habits(data.fit), replace(data.test.queries, k=8)
    seen = data.observation(batch)
    answer = policy.deliberate(batch, seen)
    estimator = MCDropout(MCDropoutConfig(passes=400))
    estimator.attach(policy)
    estimator.fit(data.fit)
    found = estimator.estimate(batch, seen, answer)
    items = answer.ranking.items
    every = policy.parameters(batch)
    some = np.flatnonzero((items >= 0).all(axis=1))
    inside = np.take_along_axis(every, np.maximum(items, 0), axis=1)[some]
    alpha = np.concatenate([inside, every[some].sum(axis=1, keepdims=True) - inside.sum(axis=1, keepdims=True)], axis=1)
    whole = alpha.sum(axis=1, keepdims=True)
    mean = alpha / whole
    n_items = len(data.dataset.catalog)
    spread = mean[:, -1] * np.log(n_items - 8)
    total = (spread - (mean * np.log(mean)).sum(axis=1)) / np.log(n_items)
    expected = (spread + digamma(whole[:, 0] + 1) - (mean * digamma(alpha + 1)).sum(axis=1)) / np.log(n_items)
    np.testing.assert_allclose(found.total[some], total, atol=0.01)
    np.testing.assert_allclose(found.aleatoric[some], expected, atol=0.01)
    np.testing.assert_allclose(found.epistemic[some], total - expected, atol=0.006)
    assert np.corrcoef(found.epistemic[some], total - expected)[0, 1] > 0.9


def test_a_policy_that_draws_nothing_is_refused() -> None:
    class Fixed(ReasoningPolicy[Empty]):
        def deliberate(self, batch: QueryBatch, observation: Observation) -> Any:
            raise NotImplementedError

    with pytest.raises(PluginError, match="sample networks"):
        MCDropout(MCDropoutConfig()).attach(Fixed(Empty()))
