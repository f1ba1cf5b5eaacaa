"""Which queries benchmarks/models.py counts apart."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from reasonrec_core.types import Cases, History, Interactions, QueryBatch, Task

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_query_counts_as_rare_when_all_its_targets_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    protocols = importlib.import_module("model_protocols")
    items = np.repeat([0, 1, 2], [80, 15, 5]).astype(np.int32)  # and nobody chose item 3
    users = np.arange(100, dtype=np.int32)
    train = Interactions(users, items, np.zeros(100, np.int64))
    history = History(np.array([0, 6, 7, 7, 7]), np.zeros(7, np.int32), np.zeros(7, np.int64))
    queries = QueryBatch(Task.SEQUENTIAL, np.arange(4, dtype=np.int32), history)
    cases = Cases(queries, np.array([0, 1, 3, 5, 6]), np.array([2, 2, 1, 2, 3, 0], np.int32))
    groups = protocols.group_queries(cases, train, 4)
    assert groups["rare items"].tolist() == [True, False, True, False]
    assert groups["less popular items"].tolist() == [True, True, True, False]
    assert groups["few interactions"].tolist() == [False, True, True, True]
