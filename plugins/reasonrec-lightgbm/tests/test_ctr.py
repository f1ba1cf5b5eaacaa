"""`lightgbm-ctr`: conformance, no leak from a row's own label or the future, errors."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_lightgbm.click_features import ClickRequests, compute_click_features
from reasonrec_lightgbm.ctr import CTRConfig, LightGBMCTR
from reasonrec_lightgbm.item_content import ItemContent
from reasonrec_lightgbm.item_statistics import ItemStatistics
from reasonrec_lightgbm.labelled_rows import LabelledRows, RaggedRows

from reasonrec_core.components import FitData
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


def training_rows(data: FitData, **changes: Any) -> tuple[Any, Any, LabelledRows]:
    """The training table as `LightGBMCTR` makes it, its labels, and the labelled rows."""
    delegate = LightGBMCTR(CTRConfig.model_validate({**SMALL, **changes}))
    delegate._n_users, delegate._labels = data.n_users, LabelledRows.of(data.train)
    table, values = delegate._training_table(data, ItemContent.of(data.catalog, data.observation, 4))
    return table, values, delegate._labels


@pytest.mark.parametrize("prequential", [False, True])
def test_no_training_row_knows_its_own_label_or_a_later_one(clicks: Tiny, prequential: bool) -> None:
    """Flip a label: nothing that describes its row, or a row of an earlier or equal time, may change."""
    train = clicks.fit.train
    assert train.values is not None
    table, values, labels = training_rows(clicks.fit, prequential=prequential)
    described = len(values)
    edge = np.sort(labels.times)[-described]
    order = np.concatenate(
        [np.flatnonzero(labels.times < edge), _described_order(labels, edge, blocks=SMALL["blocks"])]
    )
    assert (values == labels.values[order][-described:]).all()
    random = np.random.default_rng(0)
    changed = 0
    for row in random.choice(len(train), 25, replace=False):
        flipped = train.values.copy()
        flipped[row] = 1 - flipped[row]
        after, _, _ = training_rows(replace(clicks.fit, train=replace(train, values=flipped)), prequential=prequential)
        not_later = labels.times[order][-described:] <= train.times[row]
        np.testing.assert_array_equal(after[not_later], table[not_later])
        changed += int((~np.isclose(after, table, equal_nan=True)).any())
    assert changed > 5, "no label reaches any feature: the test cannot fail"


def _described_order(labels: LabelledRows, edge: int, blocks: int) -> Any:
    """Positions of the described rows in the order of the table: block by block."""
    edges = np.unique(np.quantile(labels.times, np.arange(1, blocks) / blocks, method="higher"))
    edges = edges[edges > labels.times.min()]
    bounds = [*edges, np.iinfo(np.int64).max]
    inside = [np.flatnonzero((labels.times >= low) & (labels.times < high)) for low, high in pairwise(bounds)]
    assert edges[0] == edge
    return np.concatenate(inside)


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


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 9), st.booleans()), min_size=1, max_size=30)
)
def test_known_rows_are_the_users_strictly_earlier_ones(rows: list[tuple[int, int, int, bool]]) -> None:
    columns = [np.array(c, t) for c, t in zip(zip(*rows, strict=True), (int, int, int, float), strict=True)]
    labels = LabelledRows.sorted(
        columns[0].astype(np.int32), columns[1].astype(np.int32), columns[2].astype(np.int64), columns[3]
    )
    users, cuts = np.array([0, 1, 2, 3, 7, -1], np.int32), np.array([0, 5, 10, 3, 5, 5], np.int64)
    found = labels.before(users, cuts)
    for n, (user, cut) in enumerate(zip(users, cuts, strict=True)):
        mine = found.index[found.indptr[n] : found.indptr[n + 1]]
        expected = np.flatnonzero((labels.users == user) & (labels.times < cut))
        np.testing.assert_array_equal(mine, expected)
    liked = labels.earlier_positives()
    for n in range(len(labels)):
        mine = liked.index[liked.indptr[n] : liked.indptr[n + 1]]
        same = (labels.users == labels.users[n]) & (labels.times < labels.times[n]) & (labels.values > 0.5)
        np.testing.assert_array_equal(mine, np.flatnonzero(same))


def test_item_bias_is_fair_to_items_that_hard_users_rate() -> None:
    """Item 0 and item 1 get the same share of likes, but item 0 from users who like little else."""
    rows = []
    for user in range(20):
        hard = user < 10
        rows += [(user, 2 + k, float(not hard)) for k in range(8)]
        rows += [(user, 0 if hard else 1, float(user % 2))]
    users, items, values = (np.array(c) for c in zip(*rows, strict=True))
    times = np.arange(len(users), dtype=np.int64)
    labels = LabelledRows.sorted(users.astype(np.int32), items.astype(np.int32), times, values.astype(np.float32))
    known = ItemStatistics.learn(labels, 20, 12, np.ones((12, 1)))
    assert known.item_bias[0] > known.item_bias[1] + 0.2


def test_features_do_not_depend_on_the_chunk(clicks: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = LabelledRows.of(clicks.fit.train)
    content = ItemContent.of(clicks.fit.catalog, clicks.fit.observation, 4)
    known = ItemStatistics.learn(labels, clicks.fit.n_users, len(clicks.fit.catalog), content.design())
    liked = labels.earlier_positives()
    history = RaggedRows(liked.indptr, labels.items[liked.index].astype(np.int64), liked.rows)
    asked = ClickRequests(labels.users, labels.items, history, labels.before(labels.users, labels.times), labels.times)
    whole = compute_click_features(asked, known, labels, content)
    monkeypatch.setattr("reasonrec_lightgbm.click_features.CHUNK", 7)
    pieces = compute_click_features(asked, known, labels, content)
    for name in whole:
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-6, err_msg=name)
