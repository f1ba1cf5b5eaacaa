"""Anyone's lists under our protocol: the queries, metrics, intervals and paired significance of a run's systems."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from reasonrec_core.components import Kind, MetricInfo
from reasonrec_core.data import Dataset, Split, make_split
from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate import (
    CLICK_METRICS,
    RANKING_METRICS,
    Comparison,
    Scores,
    compare_all,
    evaluate_ranking,
    holm,
    metric_name,
    score_ranking,
    summarise,
)
from reasonrec_core.evaluate.schema import Estimate, MetricFacts, PairedComparison
from reasonrec_core.registry import Registry
from reasonrec_core.types import Task
from reasonrec_frames.dataset import FrameDataset
from reasonrec_frames.evaluation import Evaluation
from reasonrec_frames.model import SingleModel
from reasonrec_frames.native_frames import FrameKind, check_kind, name_kind
from reasonrec_frames.ranked_lists import read_lists
from reasonrec_frames.split_frames import read_split

SINGLE = "lists"
"""What lists are called that come without a name."""
HEADLINES = ("NDCG", "HR")


def evaluate_lists(
    recommendations: Any,
    dataset: Dataset | str | os.PathLike[str],
    *,
    k: Sequence[int] | int = (5, 10),
    against: Any = "popularity",
    split: str | Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = 10_000,
    frames: FrameKind | None = None,
) -> Evaluation:
    """Measure lists on the test part of ``dataset`` and compare them.

    The numbers are those that a run with the same split, seed and resamples would write for the same lists.

    Args:
        recommendations: a frame of ``user_id``, ``item_id`` and ``rank`` or ``score`` (1 = best, larger = better; see
            `read_lists`), or several by name. They may rest on ``train`` and ``valid`` of `FrameDataset.split`.
        dataset: the data, or its path.
        k: cut-offs. Lists one place longer than the largest make ties exact.
        against: what the lists are compared with: names of delegates, which are fitted on the training part, further
            frames, by name or not, or None for nothing.
        split: the name of a splitter, or its settings with the name as ``kind``; leave-one-out by default.
        columns: ``{ours: theirs}`` for frames with names of their own.
        metrics: beside NDCG and HR; None for all that are installed.
        seed, resamples: of the bootstrap; delegates that are fitted have the seed, too.
        frames: the kind of frames that are given back; by default that of the (first) lists.

    Raises:
        DataError: frames that cannot be read, or a split that leaves nothing to test.
        ConfigError: a name or setting that there is not.

    >>> import pyarrow as pa
    >>> users, items = [u for u in "uvw" for _ in range(3)], ["a", "b", "c", "a", "b", "c", "b", "a", "c"]
    >>> log = FrameDataset.from_frames(pa.table({"user_id": users, "item_id": items}))
    >>> lists = pa.table({"user_id": ["u", "v", "w"], "item_id": ["c", "c", "a"], "rank": [1, 1, 1]})
    >>> round(evaluate_lists(lists, log, k=1, against=None)["lists"]["HR@1"].value, 2)
    0.67
    """
    registry = Registry.discover()
    dataset = dataset if isinstance(dataset, Dataset) else FrameDataset.open(dataset)
    cut = _split_for_lists(dataset, split, registry)
    ks = sorted({*([k] if isinstance(k, int | np.integer) else map(int, k))})
    infos = _list_metrics(registry, metrics)
    judge = _Judge(dataset, cut, ks, infos, registry, seed, dict(columns or {}))
    mine, theirs = _name_systems(recommendations, SINGLE), {} if against is None else _name_systems(against, "others")
    if both := sorted(mine.keys() & theirs.keys()):
        raise ConfigError(f"two systems are called {both[0]!r}", where="evaluate", fix="Give the lists another name.")
    scores = {name: judge.score(name, each) for name, each in {**theirs, **mine}.items()}
    return Evaluation(
        {name: _estimate(scores[name], seed, resamples) for name in (*mine, *theirs)},
        _compare(scores, tuple(mine), tuple(theirs), judge.compared(scores), seed, resamples),
        protocol=cut.protocol,
        queries=len(cut.test),
        notes=tuple(judge.notes),
        facts={m.name: MetricFacts(better=m.better, meaning=m.meaning, order=m.order) for m in infos},
        kind=check_kind(frames) if frames else name_kind(next(iter(mine.values()))),
    )


def _split_for_lists(dataset: Dataset, split: str | Mapping[str, Any] | None, registry: Registry) -> Split:
    cut = make_split(dataset, read_split(split), registry)
    if cut.test.queries.task is not Task.SEQUENTIAL:
        what = "the split is about clicks, not lists"
        raise ConfigError(what, where="evaluate", fix='Choose another one, such as split="leave-one-out".')
    return cut


def _estimate(scores: Scores, seed: int, resamples: int) -> dict[str, Estimate]:
    return {name: Estimate(**value) for name, value in summarise(scores, seed=seed, resamples=resamples).items()}


def _compare(
    scores: Mapping[str, Scores],
    mine: Sequence[str],
    theirs: Sequence[str],
    metrics: Sequence[str],
    seed: int,
    resamples: int,
) -> tuple[PairedComparison, ...]:
    """Each of the lists against each of the others; one family for Holm's correction."""
    rows: list[PairedComparison] = []
    for name in mine if theirs else ():
        systems = {each: scores[each] for each in (name, *theirs)}
        rows += [_turn(each) for each in compare_all(systems, name, metrics, seed=seed, resamples=resamples)]
    corrected = holm([1.0 if row.p is None else row.p for row in rows])
    return tuple(row.model_copy(update={"p_corrected": p}) for row, p in zip(rows, corrected, strict=True))


def _turn(each: Comparison) -> PairedComparison:
    """As the lists minus what they are compared with."""
    turned = replace(each, a=each.b, b=each.a, difference=-each.difference, low=-each.high, high=-each.low)
    return PairedComparison(**asdict(turned))


class _Judge:
    """Scores systems on the test part; remembers what is to be said of them."""

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        ks: Sequence[int],
        metrics: Sequence[MetricInfo],
        registry: Registry,
        seed: int,
        columns: Mapping[str, str],
    ) -> None:
        self.dataset, self.split, self.ks, self.metrics = dataset, split, ks, metrics
        self.registry, self.seed, self.columns = registry, seed, columns
        self.notes: list[str] = []
        self.counts = np.bincount(split.train.items, minlength=dataset.n_items).astype(np.int64)

    def score(self, name: str, system: Any) -> Scores:
        """The scores of a frame's lists, or of a delegate that is fitted on the training part."""
        cases, n_items = self.split.test, self.dataset.n_items
        if isinstance(system, str):
            model = SingleModel(system, Kind.DELEGATE, {}, self.registry)
            model.fit_part(self.dataset, self.split.train, self.split.valid, seed=self.seed)
            return evaluate_ranking(
                model.rank,
                cases,
                self.ks,
                n_items=n_items,
                item_counts=self.counts,
                threads=1,
                name=name,
                metrics=self.metrics,
            )
        read = read_lists(system, name, self.dataset, cases, max(self.ks, default=0) + 1, self.columns)
        self.notes += read.notes
        found = score_ranking(
            read.ranking, cases, self.ks, n_items=n_items, item_counts=self.counts, metrics=self.metrics
        )
        if found.rank is not None and not found.rank.any():
            why = "did their model leave out everything that users did, including the test part?"
            self.notes.append(f"{name}: no list has a test item among its first {max(self.ks)}: {why}")
        if short := found.counts["short"]:
            self.notes.append(
                f"{name}: {short:,} of {len(cases):,} lists are shorter than {max(self.ks)}; missing items "
                "count as misses"
            )
        return found

    def compared(self, scores: Mapping[str, Scores]) -> tuple[str, ...]:
        """The metrics that comparisons are made on: NDCG and HR at the largest cut-off, and what plugins added."""
        first, k = next(iter(scores.values())), max(self.ks)
        added = [metric_name(m.name, k if m.cutoff else 0) for m in self.metrics if m.better != "neither"]
        there = {*first.per_query, *first.totals}
        return (*(metric_name(name, k) for name in HEADLINES), *(n for n in added if n in first.added and n in there))


def _list_metrics(registry: Registry, names: Sequence[str] | None) -> list[MetricInfo]:
    """As a run lists them: built-in ones first, as they have always been drawn."""
    wanted = None if names is None else list(dict.fromkeys(("ndcg", "hr", *(each.lower() for each in names))))
    found = registry.metrics(Task.SEQUENTIAL, wanted)
    usual = [m for m in (*RANKING_METRICS, *CLICK_METRICS) if m in found]
    return usual + [m for m in found if m not in usual and m.function is not None]


def _name_systems(given: Any, default: str) -> dict[str, Any]:
    """Systems by name: one alone, several in a mapping, names of delegates in a list."""
    if isinstance(given, str):
        return {given: given}
    if isinstance(given, Mapping):
        systems = {str(name): each for name, each in given.items()}
    elif isinstance(given, list | tuple):
        systems = {each if isinstance(each, str) else f"{default} {n}": each for n, each in enumerate(given, 1)}
    else:
        systems = {default: given}
    if not systems:
        raise ConfigError("there are no lists", where="evaluate", fix="Give a frame of user_id, item_id and rank.")
    return systems
