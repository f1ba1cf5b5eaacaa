"""Clicks told from rankings: what is fitted, what decides, what a policy answers beside rankings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reasonrec_cot.answers import fit_ctr_fusion as fitting_module
from reasonrec_cot.answers.ctr_fusion import CtrFusion
from reasonrec_cot.answers.fit_ctr_fusion import fit_ctr_fusion
from reasonrec_cot.answers.fit_fusion import CROSSED
from reasonrec_cot.answers.score_fusion import FusionSet
from reasonrec_cot.config import CotConfig
from reasonrec_cot.items.click_counts import CLICKS, RATE, ClickCounts
from reasonrec_cot.policy import Cot
from sklearn.metrics import log_loss, roc_auc_score
from tuning_shop import SMALL

from reasonrec_core.data import SplitConfig, draw_click_split, make_split
from reasonrec_core.errors import DataError
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import Bool, Float32, Interactions, Task

PAIRS, WIDE = 400, 11
EVEN = np.full(PAIRS, 0.5, np.float32)


def stood(strengths: dict[str, float], seed: int = 0) -> tuple[dict[str, Float32], Bool]:
    """Sources that put the target so many units of log odds higher than others."""
    rng = np.random.default_rng(seed)
    clicked = np.arange(WIDE) == rng.integers(WIDE, size=PAIRS)[:, None]
    odds = {name: rng.logistic(size=clicked.shape) + by * clicked for name, by in strengths.items()}
    return {name: (1 / (1 + np.exp(-values))).astype(np.float32) for name, values in odds.items()}, clicked


def test_what_is_stated_is_how_often_it_is_a_click_where_half_of_all_are() -> None:
    learned, clicked = stood({"head": 2.0, "generator": 1.0})
    found = fit_ctr_fusion(learned, clicked, EVEN)
    assert found.decision is not None
    assert found.report["decides"] == CROSSED
    figures = found.report["figures"]
    assert figures[CROSSED]["AUC"] > max(figures["head"]["AUC"], figures["generator"]["AUC"])
    unseen, label = stood({"head": 2.0, "generator": 1.0}, seed=1)
    chance = found.decision(unseen, EVEN)
    weight = np.where(label, 1.0, 1 / (WIDE - 1))
    assert np.average(chance, weights=weight) == pytest.approx(0.5, abs=0.03)
    assert log_loss(label.ravel(), chance.ravel(), sample_weight=weight.ravel()) < np.log(2) - 0.1
    assert roc_auc_score(label.ravel(), chance.ravel()) == pytest.approx(figures[CROSSED]["AUC"], abs=0.03)


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_a_source_that_adds_nothing_is_not_heard(seed: int) -> None:
    sources, clicked = stood({"head": 2.0})
    noise, _ = stood({"generator": 0.0}, seed=seed)
    for other in (noise["generator"], sources["head"].copy()):
        found = fit_ctr_fusion({"head": sources["head"], "generator": other}, clicked, EVEN)
        assert found.report["decides"] == "head"
        assert found.decision is not None
        assert found.decision.sources == ("head",)
        assert roc_auc_score(clicked.ravel(), found.decision(sources, EVEN).ravel()) == pytest.approx(
            found.report["figures"]["head"]["AUC"], abs=1e-4
        )


def test_too_few_pairs_teach_nothing() -> None:
    sources, clicked = stood({"head": 2.0})
    found = fit_ctr_fusion({"head": sources["head"][:20]}, clicked[:20], EVEN[:20])
    assert found.decision is None
    assert found.report["decides"] is None


def test_weights_may_differ_by_how_much_is_known_and_are_kept() -> None:
    made = CtrFusion(("head", "generator"), ((1.0, 2.0), (0.5, 0.0)), (0.1, -0.2))
    kept = FusionSet(clicks=made)
    assert FusionSet.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept
    assert FusionSet.from_dict({"proposed": None, "listed": None}).clicks is None
    half = {name: np.full((2, 1), 0.5, np.float32) for name in made.sources}
    high = {**half, "head": np.full((2, 1), 0.9, np.float32)}
    horizon = np.array([0.0, 1.0], np.float32)
    odds = np.log(made(high, horizon) / (1 - made(high, horizon)))
    assert odds[:, 0] == pytest.approx([0.1 + 0.1 + 0.0, 0.1 - 0.1 + 2.0 * np.log(9)], abs=1e-4)
    assert "the tuned head and als, which rank it" in made.describe("als")
    assert "als, which ranks it" in CtrFusion(("generator",), ((1.0, 0.0),), (0.0, 0.0)).describe("als")


def labelled(rows: list[tuple[int, int]]) -> Interactions:
    """Rows of one user: item, clicked."""
    items, values = np.array(rows, np.int32).T
    users = np.zeros(len(rows), np.int32)
    return Interactions(users, items, np.arange(len(rows), dtype=np.int64), values.astype(np.float32))


def test_counts_shrink_to_what_all_items_have() -> None:
    train = labelled([(0, 1)] * 8 + [(1, 0)] * 8 + [(2, 1)])
    made = ClickCounts.of(train, 4)
    assert made.base == pytest.approx(9 / 17)
    high, low, once, never = made.rate
    assert never == pytest.approx(9 / 17)
    assert 1 > high > once > never > low > 0
    said = made.look_up(np.array([[0, 3, 7, -1]], np.int32))
    assert said[RATE][0] == pytest.approx([high, made.base, made.base, made.base])
    assert said[CLICKS][0, 2:] == pytest.approx([0.5, 0.5])
    assert ((said[CLICKS] > 0) & (said[CLICKS] < 1)).all()
    assert made.share[0] > made.share[2] > made.share[1] == made.share[3]


def test_items_that_are_alike_are_believed_to_be(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    items = np.repeat(np.arange(60), 12)
    alike = ClickCounts.of(labelled(list(zip(items.tolist(), (rng.random(720) < 0.5).tolist(), strict=True))), 60)
    rates = np.repeat(rng.choice([0.05, 0.95], 60), 12)
    apart = ClickCounts.of(labelled(list(zip(items.tolist(), (rng.random(720) < rates).tolist(), strict=True))), 60)
    assert alike.rate.std() < 0.1 < 0.3 < apart.rate.std()
    apart.save(tmp_path / "counts.safetensors")
    np.testing.assert_array_equal(ClickCounts.load(tmp_path / "counts.safetensors").rate, apart.rate)
    (tmp_path / "counts.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="counts cannot be read"):
        ClickCounts.load(tmp_path / "counts.safetensors")


@pytest.mark.slow
def test_labelled_clicks_are_told_by_the_model_and_by_counts(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting_module, "FEWEST", 10)  # the tiny shop has 28 clicks and 20 that are none
    world = tiny(tmp_path / "world", task=Task.CTR)
    tree = {
        "backbone": {"model": str(llama), "device": "cpu", "precision": "float32"},
        "prompt": {"history": 4, "history_text": "none"},
        "tuning": {**SMALL, "steps": 4, "validations": 1, "shares": {"sequential": 0.0, "direct": 0.0, "ctr": 1.0}},
    }
    policy = Cot(CotConfig.model_validate(tree))
    policy.fit(world.fit)
    report = policy.report["decision"]["clicks"]
    asked = world.test.queries
    answer = policy.deliberate(asked, world.observation(asked))
    assert answer.probability is not None
    assert ((answer.probability > 0) & (answer.probability < 1)).all()
    assert set(report["figures"]) == {"yes", RATE, CLICKS, CROSSED}
    assert report["decides"] in report["figures"]
    engine = policy.engine
    assert engine.decision is not None
    assert engine.decision.clicks is not None
    assert engine.counts is not None
    assert asked.candidates is not None
    said = {"yes": engine.score_clicks(asked)[0], **engine.counts.look_up(asked.candidates)}
    expected = engine.decision.clicks(said, world.observation(asked).horizon)
    np.testing.assert_allclose(answer.probability, expected, rtol=1e-4)
    (tmp_path / "kept").mkdir()
    policy.save(tmp_path / "kept")
    same = Cot.load(tmp_path / "kept", world.dataset.catalog).deliberate(asked, world.observation(asked))
    np.testing.assert_allclose(same.probability, answer.probability, rtol=1e-4)


@pytest.mark.slow
def test_a_tuned_policy_tells_clicks_from_rankings_and_keeps_how(llama: Path, tmp_path: Path) -> None:
    world = tiny(tmp_path / "world")
    tree = {
        "backbone": {"model": str(llama), "device": "cpu", "precision": "float32"},
        "prompt": {"history": 4, "history_text": "none"},
        "shortlist": {"size": 6, "sources": ["popularity"]},
        "answer": "head",
        "tuning": {**SMALL, "steps": 4, "validations": 1},
    }
    policy = Cot(CotConfig.model_validate(tree))
    policy.fit(world.fit)
    assert policy.report["decision"]["clicks"]["pairs"] == len(world.fit.valid or [])
    split = draw_click_split(make_split(world.dataset, SplitConfig()), world.dataset, seed=0)
    asked = split.test.queries
    answer = policy.deliberate(asked, world.observation(asked))
    assert answer.probability is not None
    assert answer.probability.shape == (len(asked), 2)
    assert ((answer.probability > 0) & (answer.probability < 1)).all()
    assert "its rank in the catalogue according to" in " ".join(step.claim for step in answer.steps[0])
    # One item at a time: what stands beside it is not looked at.
    assert asked.candidates is not None
    turned = replace(asked, candidates=np.ascontiguousarray(asked.candidates[:, ::-1]))
    again = policy.deliberate(turned, world.observation(asked))
    assert again.probability is not None
    np.testing.assert_allclose(again.probability[:, ::-1], answer.probability, rtol=1e-5)
    (tmp_path / "kept").mkdir()
    policy.save(tmp_path / "kept")
    loaded = Cot.load(tmp_path / "kept", world.dataset.catalog)
    same = loaded.deliberate(asked, world.observation(asked))
    np.testing.assert_allclose(same.probability, answer.probability, rtol=1e-5)
