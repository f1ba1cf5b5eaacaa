"""Users that training did not see share a row; items of which nothing is known come last, in catalogues and lists."""

from __future__ import annotations

import numpy as np
from reasonrec_torch.answering import find_user_rows, rank_unknown_last

from reasonrec_core.types import History, QueryBatch, Task


def ask(candidates: np.ndarray | None) -> QueryBatch:
    return QueryBatch(Task.DIRECT, np.array([0, -1], np.int32), History.of([[], []]), candidates=candidates)


def test_anybody_else_has_the_last_row() -> None:
    rows = find_user_rows(np.array([0, 2, 3, -1, 9], np.int32), 3)
    assert rows.tolist() == [0, 2, 3, 3, 3]
    assert rows.dtype == np.int64


def test_unknown_items_come_last() -> None:
    unknown = np.array([False, True, False])
    scores = np.array([[1, 9, 2], [-1, -0.5, -3]], np.float32)
    ranked = rank_unknown_last(scores.copy(), unknown, ask(None))
    assert np.argsort(-ranked).tolist() == [[2, 0, 1], [0, 2, 1]]
    np.testing.assert_array_equal(ranked[:, ~unknown], scores[:, ~unknown])
    listed = rank_unknown_last(scores.copy(), unknown, ask(np.array([[1, 0], [2, -1]], np.int32)))
    np.testing.assert_array_equal(listed, [[ranked[0, 1], 1], [-3, -np.inf]])
    np.testing.assert_array_equal(rank_unknown_last(scores.copy(), np.zeros(3, np.bool_), ask(None)), scores)
