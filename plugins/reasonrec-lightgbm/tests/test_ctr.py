"""`lightgbm-ctr`: conformance, no leak from a row's own label or the future, errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from reasonrec_lightgbm.ctr import CTRConfig, LightGBMCTR

from reasonrec_core.errors import DataError
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Task

SMALL = {"rounds": 30, "bags": 1, "min_leaf": 5, "unguided_rounds": 20, "blocks": 4, "threads": 1}


class TestLightGBMCTR(DelegateConformance):
    component = "lightgbm-ctr"
    settings: ClassVar = SMALL


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("clicks"), task=Task.CTR)


def test_test_labels_do_not_reach_the_answer(clicks: Tiny) -> None:
    delegate = LightGBMCTR(CTRConfig.model_validate(SMALL))
    delegate.fit(clicks.fit)
    batch = clicks.test.queries
    scores = delegate.score(batch, clicks.observation(batch))
    one_by_one = [delegate.score(b, clicks.observation(b))[0, 0] for _, b in batch.chunks(1)]
    np.testing.assert_allclose(scores[:, 0], one_by_one, rtol=1e-5)
    assert (scores >= 0).all()
    assert (scores <= 1).all()


def test_prequential_uses_earlier_labels_and_only_those(clicks: Tiny) -> None:
    delegate = LightGBMCTR(CTRConfig.model_validate({**SMALL, "prequential": True, "refresh": 3600.0}))
    delegate.fit(clicks.fit)
    cases = clicks.test
    assert cases.labels is not None
    assert cases.queries.times is not None
    before = delegate.score_prequential(cases, clicks.fit.observation)
    moved = 0
    for row in range(0, len(cases), 5):
        flipped = cases.labels.copy()
        flipped[row] = 1 - flipped[row]
        after = delegate.score_prequential(replace(cases, labels=flipped), clicks.fit.observation)
        not_later = cases.queries.times <= cases.queries.times[row]
        np.testing.assert_array_equal(after[not_later], before[not_later])
        moved += int((after != before).any())
    assert moved > 0, "no label reaches any later answer: the test cannot fail"


def test_fields_of_users_and_context_count(clicks: Tiny, tmp_path: Path) -> None:
    """Clicks that hang on the day and on who the user is are known by both; a value nobody saw is an unknown one."""
    rng = np.random.default_rng(0)
    train, batch = clicks.fit.train, clicks.test.queries
    days = rng.integers(1, 3, (len(train), 1)).astype(np.int32)
    kinds = rng.integers(0, 2, clicks.fit.n_users)
    values = ((days[:, 0] == 2) & (kinds[train.users] == 1)).astype(np.float32)
    fields = {"kind": ["regular" if kind else None for kind in kinds.tolist()]}
    logged, context = replace(train, context=days, values=values), {"day": ["week", "weekend", "never"]}
    data = replace(clicks.fit, train=logged, valid=None, context=context, user_fields=fields)
    delegate = LightGBMCTR(CTRConfig.model_validate(SMALL | {"min_leaf": 2, "feature_share": 1.0}))
    delegate.fit(data)
    assert delegate.names[-2:] == ["category_0", "category_1"]

    def ask(day: int | None) -> Any:
        moment = None if day is None else np.full((len(batch), 1), day, np.int32)
        asked = replace(batch, context=moment)
        return delegate.score(asked, clicks.observation(asked))[:, 0]

    regular = kinds[batch.users] == 1
    weekend, week = ask(2), ask(1)
    assert weekend[regular].min() > max(weekend[~regular].max(), week.max())
    np.testing.assert_array_equal(ask(3), ask(None))
    strangers = replace(batch, users=np.full(len(batch), -1, np.int32), context=np.full((len(batch), 1), 2, np.int32))
    assert np.isfinite(delegate.score(strangers, clicks.observation(strangers))).all()
    delegate.save(tmp_path)
    delegate = LightGBMCTR.load(tmp_path, clicks.fit.catalog)
    np.testing.assert_array_equal(ask(2), weekend)


def test_prequential_must_be_set(clicks: Tiny) -> None:
    delegate = LightGBMCTR(CTRConfig.model_validate(SMALL))
    delegate.fit(clicks.fit)
    with pytest.raises(DataError, match="Set prequential"):
        delegate.score_prequential(clicks.test, clicks.fit.observation)


def test_better_than_chance_on_later_rows(clicks: Tiny) -> None:
    """LabelledRows of the tiny data follow the user's category, which the history shows."""
    from sklearn.metrics import roc_auc_score

    delegate = LightGBMCTR(CTRConfig.model_validate(SMALL))
    delegate.fit(clicks.fit)
    assert clicks.test.labels is not None
    scores = delegate.score(clicks.test.queries, clicks.fit.observation)
    assert roc_auc_score(clicks.test.labels.ravel(), scores.ravel()) > 0.7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: None, "no labels"),
        (lambda v: v * 5, "not 0 or 1"),
        (lambda v: v * 0, "every training label is 0"),
    ],
)
def test_unusable_labels_are_errors(clicks: Tiny, change: Any, message: str) -> None:
    train = replace(clicks.fit.train, values=change(clicks.fit.train.values))
    with pytest.raises(DataError, match=message):
        LightGBMCTR(CTRConfig.model_validate(SMALL)).fit(replace(clicks.fit, train=train))


def test_too_few_rows_are_an_error(clicks: Tiny) -> None:
    few = clicks.fit.train.take(np.arange(10))
    with pytest.raises(DataError, match="too few"):
        LightGBMCTR(CTRConfig.model_validate(SMALL)).fit(replace(clicks.fit, train=few))


def test_a_broken_model_is_an_error(clicks: Tiny, tmp_path: Path) -> None:
    delegate = LightGBMCTR(CTRConfig.model_validate(SMALL))
    delegate.fit(clicks.fit)
    delegate.save(tmp_path)
    (tmp_path / "model-0.txt").unlink()
    with pytest.raises(DataError, match="no model"):
        LightGBMCTR.load(tmp_path, clicks.fit.catalog)
