"""Built-in metrics conform, each against its definition in a few plain lines."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from reasonrec_core.testing import MetricConformance


def places(ranked: list[int], relevant: set[int], k: int) -> list[int]:
    return [place for place, item in enumerate(ranked[:k], 1) if item in relevant]


def ndcg(ranked: list[int], relevant: set[int], k: int) -> float:
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(relevant)) + 1))
    return sum(1 / math.log2(place + 1) for place in places(ranked, relevant, k)) / ideal


def average_precision(ranked: list[int], relevant: set[int], k: int) -> float:
    found = places(ranked, relevant, k)
    return sum(number / place for number, place in enumerate(found, 1)) / min(k, len(relevant))


def auc(labels: list[float], probabilities: list[float]) -> float:
    pairs = list(zip(labels, probabilities, strict=True))
    above = [(p > q) + (p == q) / 2 for y, p in pairs if y for z, q in pairs if not z]
    return sum(above) / len(above)


def logloss(labels: list[float], probabilities: list[float]) -> float:
    return -sum(math.log(p if y else 1 - p) for y, p in zip(labels, probabilities, strict=True)) / len(labels)


def brier(labels: list[float], probabilities: list[float]) -> float:
    return sum((p - y) ** 2 for y, p in zip(labels, probabilities, strict=True)) / len(labels)


BY_HAND: dict[str, Callable[..., float]] = {
    "ndcg": ndcg,
    "hr": lambda *query: float(bool(places(*query))),
    "mrr": lambda *query: 1 / min(places(*query), default=math.inf),
    "recall": lambda ranked, relevant, k: len(places(ranked, relevant, k)) / len(relevant),
    "precision": lambda ranked, relevant, k: len(places(ranked, relevant, k)) / k,
    "map": average_precision,
    "auc": auc,
    "logloss": logloss,
    "brier": brier,
}


@pytest.fixture(autouse=True, params=BY_HAND)
def metric(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request.cls, "component", request.param)
    monkeypatch.setattr(request.cls, "by_hand", staticmethod(BY_HAND[request.param]))
    monkeypatch.setattr(request.cls, "bounds", (0.0, 10.0 if request.param == "logloss" else 1.0))


class TestBuiltIn(MetricConformance):
    component: Any = "ndcg"
