"""The conformance suite of metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest

from reasonrec_core.components import MetricInfo
from reasonrec_core.evaluate.ctr_metrics import Clicks
from reasonrec_core.evaluate.metrics import Totals, call_metric
from reasonrec_core.evaluate.ranking_metrics import RankedLists, find_hits
from reasonrec_core.hookspecs import Kind
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, Float64, History, QueryBatch, Ranking, Task, indptr_of

K, N_ITEMS, N_QUERIES, N_CLICKS = 5, 30, 40, 120

Index = np.ndarray[Any, np.dtype[np.intp]]


class MetricConformance:
    """Subclass it in a plugin's tests, set ``component`` and say in `by_hand` what the metric should be.

    Attributes:
        component: the metric's name, as in a pipeline file.
        bounds: the smallest and largest possible value.
    """

    component: ClassVar[str]
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def by_hand(self, *arguments: Any) -> float:
        """The metric of one query, the plain way: ``by_hand(ranked, relevant, k)`` with a list of items and a set.

        Of clicks: ``by_hand(labels, probabilities)``, two lists, the value over all of them.
        """
        pytest.fail("define by_hand: the metric of a single query in a few plain lines")

    @property
    def info(self) -> MetricInfo:
        """The record."""
        found: MetricInfo = Registry.discover().load(Kind.METRIC, self.component)
        return found

    def test_the_record_says_what_a_reader_needs(self) -> None:
        spec = Registry.discover().spec(Kind.METRIC, self.component).spec
        assert spec.name == re.sub(r"[^a-z0-9]+", "-", self.info.name.lower()).strip("-")
        assert spec.tasks == self.info.tasks, "the spec and the record name different tasks"
        assert self.info.meaning, "a reader needs to know what the metric means"
        assert "\n" not in self.info.meaning

    def test_values_lie_within_the_bounds(self) -> None:
        found = self._values(every(self._clicks))
        low, high = self.bounds
        least, most = float(np.nanmin(found)), float(np.nanmax(found))
        said = f"values from {least:g} to {most:g}, bounds = {self.bounds}: set the metric's bounds in the test's class"
        assert low <= least, said
        assert most <= high, said

    def test_the_order_of_queries_does_not_matter(self) -> None:
        order = np.random.default_rng(1).permutation(len(every(self._clicks)))
        np.testing.assert_allclose(
            self._values(order), self._values(every(self._clicks))[self._moved(order)], rtol=1e-9
        )

    def test_a_query_has_its_value_whoever_is_asked_beside_it(self) -> None:
        if not isinstance(self._found(every(self._clicks)), np.ndarray):
            return  # one number over all queries
        some = np.arange(3, 11)
        np.testing.assert_allclose(self._values(some), self._values(every(self._clicks))[some], rtol=1e-9)

    def test_better_is_better(self) -> None:
        good, bad = (float(np.nanmean(self._values(every(self._clicks), quality=q))) for q in (1, -1))
        if self.info.better == "higher":
            assert good > bad
        elif self.info.better == "lower":
            assert good < bad

    def test_it_is_what_is_computed_by_hand(self) -> None:
        if self._clicks:
            clicks = sample_clicks(every(True), 0)
            whole = self.by_hand(clicks.label.tolist(), clicks.probability.tolist())
            assert float(np.nanmean(self._values(every(True)))) == pytest.approx(whole)
            return
        lists = sample_lists(every(), 0)
        expected = [self.by_hand(ranked, relevant, *self._k) for ranked, relevant in single_lists(lists)]
        found = self._values(every())
        if len(found) == len(expected):
            np.testing.assert_allclose(found, expected, rtol=1e-9)
        else:
            assert found[0] == pytest.approx(np.nanmean(expected))

    @property
    def _clicks(self) -> bool:
        return "ctr" in self.info.tasks

    @property
    def _k(self) -> list[int]:
        return [K] if self.info.cutoff else []

    def _found(self, rows: Index, quality: int = 0) -> Float64 | Totals | float | None:
        if self._clicks:
            return call_metric(self.info, len(rows), sample_clicks(rows, quality))
        return call_metric(self.info, len(rows), sample_lists(rows, quality), *self._k)

    def _values(self, rows: Index, quality: int = 0) -> Float64:
        """float64[B], or a single number where the metric is over all queries."""
        found = self._found(rows, quality)
        assert found is not None, "the metric cannot be computed although everything is known"
        value = found.value if isinstance(found, Totals) else found
        return np.atleast_1d(np.asarray(value, np.float64))

    def _moved(self, order: Index) -> Index:
        return order if isinstance(self._found(order), np.ndarray) else np.zeros(1, np.intp)


def every(clicks: bool = False) -> Index:
    """Positions of all sample queries, or clicks."""
    return np.arange(N_CLICKS if clicks else N_QUERIES)


def sample_lists(rows: Index, quality: int) -> RankedLists:
    """Ranked lists of the sample queries at ``rows``: 1 relevant items first, -1 last, 0 anywhere."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(1, 4, N_QUERIES)
    targets = [np.sort(rng.permutation(N_ITEMS)[:size]) for size in sizes]
    items = np.stack([_ranked(rng, relevant, quality) for relevant in targets]).astype(np.int32)
    chosen = [targets[row] for row in rows]
    history = History.of([[] for _ in rows])
    queries = QueryBatch(Task.SEQUENTIAL, rows.astype(np.int32), history, K + 1)
    cases = Cases(queries, indptr_of([len(each) for each in chosen]), np.concatenate(chosen).astype(np.int32))
    scores = np.tile(-np.arange(K + 1, dtype=np.float32), (len(rows), 1))
    ranking = Ranking(items[rows], scores)
    counts = np.random.default_rng(8).integers(0, 50, N_ITEMS)
    return RankedLists(ranking, cases, find_hits(ranking, cases, K), N_ITEMS, counts)


def _ranked(rng: np.random.Generator, relevant: Index, quality: int) -> Index:
    others = rng.permutation(np.setdiff1d(np.arange(N_ITEMS), relevant))
    if quality:
        return np.concatenate([relevant, others] if quality > 0 else [others, relevant])[: K + 1]
    return rng.permutation(np.concatenate([relevant, others[: K + 4]]))[: K + 1]


def single_lists(lists: RankedLists) -> Sequence[tuple[list[int], set[int]]]:
    """Each query's items, best first, and its relevant items."""
    bounds = lists.cases.target_indptr
    targets = [set(lists.cases.targets[a:b].tolist()) for a, b in pairwise(bounds)]
    return [(row.tolist(), relevant) for row, relevant in zip(lists.ranking.items, targets, strict=True)]


def sample_clicks(rows: Index, quality: int) -> Clicks:
    """Sample clicks at ``rows``: probabilities that fit the labels (1), that do not (-1), or by chance (0)."""
    rng = np.random.default_rng(9)
    label = (rng.random(N_CLICKS) < 0.4).astype(np.float64)
    probability = rng.uniform(0.05, 0.95, N_CLICKS)
    if quality:
        probability = np.abs((label if quality > 0 else 1 - label) - 0.1 * rng.random(N_CLICKS))
    unit = np.arange(N_CLICKS) // 12
    return Clicks(rows // 12, unit[rows], label[rows], probability[rows], int(unit.max()) + 1)
