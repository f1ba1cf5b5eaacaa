"""What describes a click: nothing of its own label or of later ones; statistics that are fair; no trace of chunks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_clicks.click_features import ClickRequests, compute_click_features
from reasonrec_clicks.description import ClickDescriber
from reasonrec_clicks.item_content import ItemContent
from reasonrec_clicks.item_statistics import ItemStatistics
from reasonrec_clicks.labelled_rows import LabelledRows, RaggedRows

from reasonrec_core.components import FitData
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Task

BLOCKS = 4


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("clicks"), task=Task.CTR)


def training_rows(data: FitData, **changes: Any) -> tuple[Any, Any, LabelledRows]:
    """The training table, its labels, and the labelled rows."""
    describer = ClickDescriber.of(data, 4, (), "test")
    found = describer.describe_training(BLOCKS, **changes)
    return found.table, describer.labels.values[found.rows], describer.labels


@pytest.mark.parametrize("prequential", [False, True])
def test_no_training_row_knows_its_own_label_or_a_later_one(clicks: Tiny, prequential: bool) -> None:
    """Flip a label: nothing that describes its row, or a row of an earlier or equal time, may change."""
    train = clicks.fit.train
    assert train.values is not None
    table, values, labels = training_rows(clicks.fit, prequential=prequential)
    described = len(values)
    edge = np.sort(labels.times)[-described]
    order = np.concatenate([np.flatnonzero(labels.times < edge), _described_order(labels, edge, blocks=BLOCKS)])
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
    monkeypatch.setattr("reasonrec_clicks.click_features.CHUNK", 7)
    pieces = compute_click_features(asked, known, labels, content)
    for name in whole:
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-6, err_msg=name)
