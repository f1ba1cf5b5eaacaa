"""What a server counts: requests, their latency, who answered, events. One set for all processes of a server."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from reasonrec_serve.history_store import Appended

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names the folder through which processes share their numbers."""
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.018, 0.025, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
QUANTILES = (0.5, 0.95, 0.99)


class Metrics:
    """Counters of one process, read together with those of the others."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self._seconds = Histogram(
            "reasonrec_request_seconds",
            "From the first byte to the last.",
            ["route"],
            buckets=BUCKETS,
            registry=self._own,
        )
        self._requests = Counter(
            "reasonrec_requests", "Requests by route and status.", ["route", "status"], registry=self._own
        )
        self._answers = Counter(
            "reasonrec_answers", "Answers by system and reason.", ["by", "decision"], registry=self._own
        )
        self._events = Counter("reasonrec_events", "Events by outcome.", ["outcome"], registry=self._own)
        self._failures = Counter(
            "reasonrec_store_failures", "How often the store of events failed.", registry=self._own
        )

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered or refused."""
        self._seconds.labels(route).observe(seconds)
        self._requests.labels(route, str(status)).inc()

    def count_answer(self, by: str, decision: str) -> None:
        """The run answered."""
        self._answers.labels(by or "nobody", decision).inc()

    def count_events(self, kept: Appended) -> None:
        """Events came."""
        for outcome, count in (("new", kept.new), ("repeated", kept.repeated), ("conflicting", len(kept.conflicting))):
            if count:
                self._events.labels(outcome).inc(count)

    def count_failure(self) -> None:
        """The store failed."""
        self._failures.inc()

    def expose(self) -> bytes:
        """All processes' numbers as Prometheus reads them."""
        return bytes(generate_latest(self._all()))

    def summarise(self) -> dict[str, Any]:
        """The same for a reader: latency by route, who answered, what became of events."""
        buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
        counts: dict[str, dict[str, float]] = {"requests": {}, "answers": {}, "decisions": {}, "events": {}}
        failures = 0.0
        for family in self._all().collect():
            for name, labels, value, *_ in family.samples:
                if name == "reasonrec_request_seconds_bucket":
                    buckets[labels["route"]][float(labels["le"])] += value
                elif name == "reasonrec_requests_total":
                    _add(counts["requests"], labels["status"], value)
                elif name == "reasonrec_answers_total":
                    _add(counts["answers"], labels["by"], value)
                    _add(counts["decisions"], labels["decision"], value)
                elif name == "reasonrec_events_total":
                    _add(counts["events"], labels["outcome"], value)
                elif name == "reasonrec_store_failures_total":
                    failures += value
        latency = {route: _describe(sorted(each.items())) for route, each in sorted(buckets.items())}
        return {"latency": latency, **counts, "store_failures": failures}

    def _all(self) -> CollectorRegistry:
        if SHARED not in os.environ:
            return self._own
        together = CollectorRegistry()
        collect: Any = MultiProcessCollector
        collect(together)
        return together


def _add(into: dict[str, float], name: str, value: float) -> None:
    into[name] = into.get(name, 0.0) + value


def _describe(buckets: list[tuple[float, float]]) -> dict[str, float | None]:
    """Count, and quantiles in milliseconds; None beyond the last bucket."""
    count = buckets[-1][1] if buckets else 0.0
    found: dict[str, float | None] = {"count": count}
    for quantile in QUANTILES:
        found[f"p{quantile * 100:g}_ms"] = _find_quantile(buckets, quantile * count)
    return found


def _find_quantile(buckets: list[tuple[float, float]], rank: float) -> float | None:
    """Milliseconds, interpolated within the bucket that holds it."""
    low, below = 0.0, 0.0
    for high, upto in buckets:
        if upto >= rank and upto > below:
            share = (rank - below) / (upto - below)
            return None if high == float("inf") else round(1000 * (low + share * (high - low)), 3)
        low, below = high, upto
    return None
