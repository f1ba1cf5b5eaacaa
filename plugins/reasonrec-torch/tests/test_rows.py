"""Rows keep together what belongs together, each once an epoch, and a training can go on within one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reasonrec_torch.rows import TrainingRows

from reasonrec_core.errors import DataError


def test_the_arrays_of_a_row_stay_together() -> None:
    users, items = np.repeat(np.arange(6), 5), np.tile(np.arange(5), 6)
    kinds = (users + items) % 3
    rows = TrainingRows({"users": users, "items": items, "kinds": kinds}, batch=7)
    plan = rows.epoch(0, 1, np.random.default_rng(0))
    for start in (0, 2):
        batches = [batch.to(torch.device("cpu")) for batch in plan.batches(start)]
        pairs = torch.cat([batch["users"] * 5 + batch["items"] for batch in batches])
        assert len(torch.unique(pairs)) == len(pairs) == 30 - 7 * start
        for batch in batches:
            assert torch.equal(batch["kinds"], (batch["users"] + batch["items"]) % 3)
    assert rows.digest != TrainingRows({"users": users, "items": items, "kinds": kinds[::-1]}, batch=7).digest


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="no training rows"):
        TrainingRows({"users": np.zeros(0, np.int64)})
