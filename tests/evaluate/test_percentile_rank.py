"""Where an item stands among scores of the whole catalogue."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrec_core.errors import PluginError
from reasonrec_core.ranking import percentile_rank
from reasonrec_core.types import Float32, History, Int32, QueryBatch, Task


def asked(history: list[int], candidates: list[int]) -> QueryBatch:
    listed: Int32 = np.array([candidates], np.int32)
    return QueryBatch(Task.CTR, np.zeros(1, np.int32), History.of([history]), candidates=listed)


def test_by_hand() -> None:
    scores = np.array([[5.0, 4.0, 4.0, 9.0, -np.inf, -np.inf]], np.float32)
    found = percentile_rank(scores, asked([3], [0, 1, 4, -1]))
    # Five items are free: 0 is the first, 1 shares places 2 and 3, 4 shares 4 and 5.
    assert found[0] == pytest.approx([4.5 / 5, 3 / 5, 1 / 5, 0.5])
    again = percentile_rank(scores, asked([3], [3]))  # what the user has already stands among all six
    assert again[0] == pytest.approx([5.5 / 6])


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=30), st.data())
def test_it_is_what_the_order_says_whatever_the_unit(values: list[int], data: st.DataObject) -> None:
    n = len(values)
    history = data.draw(st.lists(st.integers(0, n - 1), unique=True, max_size=n - 1))
    free = [item for item in range(n) if item not in history]
    scores: Float32 = np.array([values], np.float32)
    found = percentile_rank(scores, asked(history, free))
    assert ((found > 0) & (found < 1)).all()
    assert found.mean() == pytest.approx(0.5, abs=1e-5)  # mid-ranks
    stretched: Float32 = (np.exp(scores / 2) * 7 + 1).astype(np.float32)
    np.testing.assert_allclose(percentile_rank(stretched, asked(history, free)), found, rtol=1e-6)
    order = np.argsort(scores[0, free], kind="stable")
    assert (np.diff(found[0, order]) >= -1e-6).all()
    one = data.draw(st.sampled_from(free))
    assert percentile_rank(scores, asked(history, [one]))[0, 0] == found[0, free.index(one)], "whoever stands beside it"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_say_nothing_are_refused(bad: float) -> None:
    with pytest.raises(PluginError, match="NaN or"):
        percentile_rank(np.array([[0.0, bad]], np.float32), asked([], [0]))
