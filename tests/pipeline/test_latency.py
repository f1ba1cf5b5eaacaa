"""Answers are timed fairly: in an order that is drawn anew, and as if nobody had asked before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reasonrec_core.pipeline import latency
from reasonrec_core.pipeline.latency import compare_seconds, time_in_turn
from reasonrec_core.types import History, QueryBatch, Task


class Remembering:
    """A policy to which a request that it keeps costs nothing; the clock is its own."""

    def __init__(self) -> None:
        self.kept, self.grows, self.now = set[int](), True, 0.0

    def remember_requests(self, wanted: bool) -> None:
        self.grows = wanted

    def answer(self, batch: QueryBatch) -> None:
        user = int(batch.users[0])
        self.now += 0.1 if user in self.kept else 1.0
        if self.grows:
            self.kept.add(user)


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Remembering:
    made = Remembering()
    monkeypatch.setattr(latency.time, "perf_counter", lambda: made.now)
    return made


def agent_of(policy: Any) -> Any:
    return SimpleNamespace(parts=[("policy", SimpleNamespace(part=policy))])


def singles(n: int) -> list[QueryBatch]:
    return [QueryBatch(Task.SEQUENTIAL, np.array([user], np.int32), History.of([[]]), 1) for user in range(n)]


def test_a_request_costs_the_same_whoever_asked_it_before(policy: Remembering) -> None:
    times = time_in_turn(agent_of(policy), {"routed": policy.answer, "alone": policy.answer}, singles(20))
    np.testing.assert_allclose(times, 1.0)
    found = compare_seconds(times[:, 0], times[:, 1], seed=0)
    assert found.low <= 0 <= found.high
    assert policy.grows, "afterwards it keeps requests as before"


def test_it_keeps_requests_again_after_an_error(policy: Remembering) -> None:
    def fail(batch: QueryBatch) -> None:
        if not policy.grows:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        time_in_turn(agent_of(policy), {"": fail}, singles(2))
    assert policy.grows


def test_nobody_always_follows_the_same_other(policy: Remembering) -> None:
    order: list[str] = []
    ways = {name: (lambda _, name=name: order.append(name)) for name in "abcd"}
    time_in_turn(agent_of(policy), ways, singles(50))
    rounds = [order[start : start + 4] for start in range(4, len(order), 4)]
    assert all(sorted(each) == [*"abcd"] for each in rounds)
    before = [each[each.index("b") - 1] if each[0] != "b" else "" for each in rounds]
    assert all(0.15 < before.count(other) / len(rounds) < 0.35 for other in ("a", "c", "d", ""))
