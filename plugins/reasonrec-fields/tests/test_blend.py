"""`click-blend`: the suite, what the weights are, members of every kind, errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from reasonrec_fields.blend import ClickBlend, fit_weights
from reasonrec_fields.config import ClickBlendConfig
from reasonrec_fields.delegates import DCNv2, FieldDelegate, XDeepFM

from reasonrec_core.components import Delegate, Empty, FitData, Kind
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.registry import Registry
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Float32, Observation, QueryBatch, Task

TRAINING = {"epochs": 8, "patience": 8, "learning_rate": 0.01, "warmup": 5, "ema": 0.8, "device": "cpu", "batch": 64}
SMALL: dict[str, Any] = {
    "dimensions": 4, "hidden": [16], "bins": 4, "least": 2, "blocks": 4, "members": 1, "components": 4,
    "training": TRAINING,
}  # fmt: skip


def make_small(label: str) -> Delegate[Any]:
    """The pipeline's delegates: labels that are not the plugins' names, in an order that is not the alphabet's."""
    if label == "shop":
        found: Delegate[Any] = Registry.discover().create(Kind.DELEGATE, "popularity")
        return found
    if label == "constant":
        return Constant(Empty())
    model: type[FieldDelegate[Any]] = {"wide": XDeepFM, "cross": DCNv2}[label]
    return model(model.Config.model_validate(SMALL))


class Constant(Delegate[Any]):
    """Knows nothing, and says so with certainty."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.CTR})
    thread_safe: ClassVar[bool] = False

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        assert batch.candidates is not None
        return np.where(batch.candidates >= 0, np.float32(1), np.float32(0))


class SmallBlend(ClickBlend):
    """In a pipeline of small delegates."""

    def fit(self, data: FitData) -> None:
        super().fit(replace(data, delegate=make_small))


class TestClickBlend(DelegateConformance):
    component = SmallBlend
    settings: ClassVar = {"members": ["wide", "cross"]}


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("clicks"), task=Task.CTR)


def make(clicks: Tiny, *members: str, **changes: Any) -> ClickBlend:
    blend = ClickBlend(ClickBlendConfig(members=members))
    blend.fit(replace(clicks.fit, **{"delegate": make_small, **changes}))
    return blend


def test_it_is_registered_under_its_name() -> None:
    assert Registry.discover().load(Kind.DELEGATE, "click-blend") is ClickBlend
    assert set(Registry.discover().spec(Kind.DELEGATE, "click-blend").spec.tasks) == {"ctr"}


def test_weights_are_those_of_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3))
    chance = 1 / (1 + np.exp(-(0.5 + 2 * logits[:, 0] + 0.5 * logits[:, 1] - logits[:, 2])))
    weights, offset = fit_weights(logits, (rng.random(20_000) < chance).astype(np.float64))
    assert weights[2] == 0, "a member that speaks against the others is left out, not reversed"
    assert 0.2 < weights[1] < weights[0] < 2.1
    assert offset > 0.3
    alone, _ = fit_weights(logits[:, :2], (rng.random(20_000) < 1 / (1 + np.exp(-logits[:, 0]))).astype(np.float64))
    np.testing.assert_allclose(alone, [1, 0], atol=0.06)


def test_rows_that_are_told_apart_give_finite_weights() -> None:
    labels = np.array([0.0, 1, 1])
    weights, offset = fit_weights(np.stack([labels * 20 - 10, labels * 2 - 1], axis=1), labels)
    assert np.isfinite([*weights, offset]).all()
    assert (weights < 5).all()


def test_the_answer_is_the_weighed_log_odds_of_its_members(clicks: Tiny) -> None:
    blend, batch = make(clicks, "wide", "cross"), clicks.test.queries
    seen = clicks.observation(batch)
    wide, cross = (member.score(batch, seen).astype(np.float64) for member in blend.members.values())
    joint = blend.weights[0] * np.log(wide / (1 - wide)) + blend.weights[1] * np.log(cross / (1 - cross))
    np.testing.assert_allclose(blend.score(batch, seen), 1 / (1 + np.exp(-joint - blend.offset)), rtol=1e-4)
    assert list(blend.members) == ["wide", "cross"]
    assert (blend.weights >= 0).all()
    assert blend.weights.sum() > 0.2


def test_its_members_are_what_they_are_alone(clicks: Tiny) -> None:
    blend, alone, batch = make(clicks, "wide", "cross"), make_small("cross"), clicks.test.queries
    alone.fit(clicks.fit)
    seen = clicks.observation(batch)
    np.testing.assert_array_equal(blend.members["cross"].score(batch, seen), alone.score(batch, seen))


def test_a_member_that_knows_nothing_moves_only_the_offset(clicks: Tiny) -> None:
    blend, batch = make(clicks, "wide", "constant"), clicks.test.queries
    wide = blend.members["wide"].score(batch, clicks.observation(batch)).ravel()
    np.testing.assert_array_equal(
        np.argsort(wide, kind="stable"),
        np.argsort(blend.score(batch, clicks.observation(batch)).ravel(), kind="stable"),
    )


def test_without_labels_to_weigh_by_members_count_alike(clicks: Tiny) -> None:
    assert clicks.fit.valid is not None
    assert clicks.fit.valid.labels is not None
    one = replace(clicks.fit.valid, labels=np.ones_like(clicks.fit.valid.labels))
    for valid in (None, one):
        blend = make(clicks, "wide", "cross", valid=valid)
        assert blend.weights.tolist() == [0.5, 0.5]
        assert blend.offset == 0


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (("wide", "wide"), "names a delegate twice"),
        (("wide", "shop"), "'shop' gives no click probabilities"),
    ],
)
def test_unusable_members_are_errors(clicks: Tiny, members: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(clicks, *members)


def test_a_blend_of_blends_is_an_error(clicks: Tiny) -> None:
    with pytest.raises(ConfigError, match="weighs others itself"):
        make(clicks, "a", "b", delegate=lambda label: ClickBlend(ClickBlendConfig()))


def test_it_needs_a_pipeline_and_two_members(clicks: Tiny) -> None:
    with pytest.raises(PluginError, match="no delegates can be asked"):
        make(clicks, "wide", "cross", delegate=None)
    with pytest.raises(ValueError, match="at least 2"):
        ClickBlendConfig(members=("wide",))


def test_members_from_no_plugin_cannot_be_kept(clicks: Tiny, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="comes from no installed plugin"):
        make(clicks, "wide", "constant").save(tmp_path)
