"""Items are found beside what is barred, and beginnings end where something is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reasonrec_torch.batching import TensorBatch
from reasonrec_torch.next_item import draw_beginnings, find_best, list_entries


def test_the_best_of_what_is_left_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    states, table = rng.normal(size=(7, 3)).astype(np.float32), rng.normal(size=(12, 3)).astype(np.float32)
    bias = rng.normal(size=12).astype(np.float32)
    bias[5] = -np.inf
    barred = np.array([[0, 0, 3, 6, 3], [1, 2, 7, 0, 7]])
    expected = states @ table.T + bias
    expected[barred[0], barred[1]] = -np.inf
    order = np.argsort(-expected, axis=1)[:, :4]
    for most in (1 << 22, 30):  # in one piece, and two rows at a time
        monkeypatch.setattr("reasonrec_torch.next_item.LOGITS", most)
        given = (torch.from_numpy(a) for a in (states, table, bias, barred))
        assert np.array_equal(find_best(*given, 4).numpy(), order)


def test_where_little_is_left_the_rest_is_padding() -> None:
    found = find_best(torch.ones(1, 2), torch.eye(3, 2), torch.zeros(3), torch.tensor([[0, 0], [0, 2]]), 5)
    assert found.tolist() == [[1, -1, -1]]


def test_entries_are_what_is_not_padding() -> None:
    assert list_entries(torch.tensor([[4, -1], [-1, 7], [-1, -1]])).tolist() == [[0, 1], [4, 7]]


def test_beginnings_end_at_each_position_with_a_target_alike_often() -> None:
    items = torch.tensor([[1, 2, 3, 4], [5, 6, -1, -1]])
    batch = TensorBatch(items, torch.tensor([[-1, 3, 4, 9], [6, -1, -1, -1]]), None, torch.arange(2))
    rng, ends = np.random.default_rng(0), np.zeros(4, np.int64)
    for _ in range(300):
        rows, at, targets = draw_beginnings(batch, rng)
        end = int(at[0])
        ends[end] += 1
        assert int(targets[0]) == int(batch.targets[0, end])
        assert (int(at[1]), int(targets[1])) == (0, 6)
        assert rows.tolist() == [[*range(1, end + 2)], [5, *[-1] * end]]
    assert ends[0] == 0
    assert (ends[1:] > 75).all()
