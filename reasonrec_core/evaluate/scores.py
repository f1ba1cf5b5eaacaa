"""`Scores`: everything that one evaluation of one system found, per query and over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reasonrec_core.components import MetricInfo
from reasonrec_core.evaluate.ctr_metrics import CLICK_METRICS, Clicks
from reasonrec_core.evaluate.metrics import Totals, call_metric, mean_of_defined, mean_of_rows
from reasonrec_core.types import Float64, Int32, Int64, Ranking, Task

if TYPE_CHECKING:
    from reasonrec_core.data.dataset import Dataset
    from reasonrec_core.data.split import Split

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that an explanation says.

    Attributes:
        kind: what is claimed, such as a title, a label, an aspect or a number.
        text: the words.
        verified: whether the evidence of the request holds it.
    """

    kind: str
    text: str
    verified: bool


@dataclass(frozen=True)
class Scores:
    """One system's result on B test queries.

    Attributes:
        task: what was asked.
        users: int32[B] dense user indices, -1 = unknown.
        per_query: float64[B] by metric name; NaN where a metric is undefined for a query.
        overall: metrics that exist for all queries together only (Coverage, AUC, ECE...).
        ranking: B lists, one place longer than the largest cutoff (see `relevance.find_hits`); None for `Task.CTR`.
        rank: int32[B] rank of the best-ranked relevant item, 0 where it is below the largest cutoff; None for CTR.
        clicks: labels and probabilities for `Task.CTR`, else None.
        counts: how many items were ``invalid`` or ``repeated`` and dropped, and how many lists were ``short``
            (fewer items than the largest cutoff, of those that could be shown).
        totals: metrics by name that are functions of sums over queries.
        text: B explanations, for `Task.EXPLAIN`.
        references: B texts that explanations were compared with, None where that is not known.
        claims: per explanation what it claims, None where that was not checked.
        seconds: wall-clock time of the system's answers, checks included, metrics not.
        sampled: ``uni99`` where the target was ranked among 99 uniformly drawn items, "" for the full catalogue.
        click_metrics: by name what ``overall`` and ``totals`` of clicks are computed by.
        added: names of metrics that plugins brought; they are resampled apart, so that no other interval moves.
    """

    task: Task
    users: Int32
    per_query: Mapping[str, Float64]
    overall: Mapping[str, float] = field(default_factory=dict)
    ranking: Ranking | None = None
    rank: Int32 | None = None
    clicks: Clicks | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    sampled: str = ""
    totals: Mapping[str, Totals] = field(default_factory=dict)
    text: tuple[str, ...] | None = None
    references: tuple[str, ...] | None = None
    claims: tuple[tuple[Claim, ...], ...] | None = None
    click_metrics: tuple[MetricInfo, ...] = ()
    added: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.users)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return tuple(self.values)

    @cached_property
    def values(self) -> dict[str, float]:
        """Every metric as one number: the mean over queries, or over all queries together."""
        means = {name: mean_of_defined(values) for name, values in self.per_query.items()}
        return {**means, **{name: each.value for name, each in self.totals.items()}, **self.overall}

    @cached_property
    def units(self) -> Int64:
        """int64[B]: queries with equal numbers belong to one user; what significance resamples.

        Numbers run from 0 without gaps. Every unknown user counts as a different one.
        """
        return user_units(self.users)

    def take(self, index: npt.NDArray[np.intp], metrics: Sequence[str] | None = None) -> Scores:
        """The queries at ``index``; what is over all is recomputed for clicks and left out for rankings.

        ``metrics``: those of clicks that are wanted; None for all.
        """
        users = self.users[index]
        if self.clicks is not None:
            clicks = _take_clicks(self.clicks, index, user_units(users))
            wanted = [m for m in self.click_metrics if metrics is None or m.name in metrics]
            return score_clicks(clicks, users, wanted)
        return Scores(
            self.task,
            users,
            {name: values[index] for name, values in self.per_query.items()},
            {},
            None if self.ranking is None else self.ranking.take(index),
            None if self.rank is None else self.rank[index],
            sampled=self.sampled,
            totals={name: replace(each, parts=each.parts[index]) for name, each in self.totals.items()},
            text=_picked(self.text, index),
            references=_picked(self.references, index),
            claims=_picked(self.claims, index),
            added=self.added,
        )

    def table(self) -> pa.Table:
        """One row per query (ranking) or per shown item (CTR), ready for Parquet.

        Columns: ``user`` (int32); for rankings ``rank`` (int32, 0 = not within the largest cutoff), every metric
        (float64, null where undefined), ``items`` (list<int32>) and ``scores`` (list<float>) without padding; for
        explanations the metrics of single ones, ``text`` and, where known, ``reference``; for CTR ``query`` (int64),
        ``label``, ``probability`` and the loss of the row.
        """
        if self.clicks is not None:
            clicks = self.clicks
            return pa.table(
                {
                    "user": self.users[clicks.query],
                    "query": clicks.query,
                    "label": clicks.label,
                    "probability": clicks.probability,
                    "LogLoss": clicks.losses,
                    "Brier": clicks.squares,
                }
            )
        columns: dict[str, object] = {"user": self.users}
        if self.rank is not None:
            columns["rank"] = self.rank
        columns.update({name: pa.array(values, from_pandas=True) for name, values in self.per_query.items()})
        if self.text is not None:
            columns["text"] = list(self.text)
        if self.references is not None:
            columns["reference"] = list(self.references)
        if self.ranking is not None:
            real = self.ranking.items >= 0
            offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int32)
            columns["items"] = pa.ListArray.from_arrays(offsets, self.ranking.items[real])
            columns["scores"] = pa.ListArray.from_arrays(offsets, self.ranking.scores[real])
        return pa.table(columns)


def user_units(users: Int32) -> Int64:
    """int64[B]: a number per user, 0, 1, ... without gaps; every unknown user (-1) gets one of its own."""
    keys = users.astype(np.int64)
    unknown = keys < 0
    keys[unknown] = -1 - np.arange(int(unknown.sum()))
    return np.unique(keys, return_inverse=True)[1].astype(np.int64, copy=False)


def _picked(values: tuple[T, ...] | None, index: npt.NDArray[np.intp]) -> tuple[T, ...] | None:
    return None if values is None else tuple(values[row] for row in index)


def _take_clicks(clicks: Clicks, index: npt.NDArray[np.intp], units: Int64) -> Clicks:
    """The clicks of the queries at ``index``, renumbered."""
    order = np.argsort(clicks.query, kind="stable")
    starts = np.searchsorted(clicks.query[order], index, side="left")
    lengths = np.searchsorted(clicks.query[order], index, side="right") - starts
    query = np.repeat(np.arange(len(index)), lengths)
    inside = np.arange(len(query)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = order[np.repeat(starts, lengths) + inside]
    return Clicks(query, units[query], clicks.label[rows], clicks.probability[rows], int(units.max(initial=-1)) + 1)


def score_clicks(clicks: Clicks, users: Int32, metrics: Sequence[MetricInfo], seconds: float = 0.0) -> Scores:
    """Metrics of clicks; ``users``: int32[B] of the queries that were shown something.

    Raises:
        PluginError: a metric fails, or gives something else than `MetricInfo` says.
    """
    per_query: dict[str, Float64] = {}
    totals: dict[str, Totals] = {}
    overall: dict[str, float] = {}
    shown = np.bincount(clicks.query, minlength=len(users))
    for info in metrics:
        found = call_metric(info, len(clicks.query), clicks)
        if isinstance(found, Totals):
            totals[info.name], overall[info.name] = found, found.value
        elif isinstance(found, np.ndarray):
            with np.errstate(invalid="ignore", divide="ignore"):
                per_query[info.name] = np.bincount(clicks.query, found, len(users)) / shown
            totals[info.name] = mean_of_rows(found)
            overall[info.name] = mean_of_defined(found)
        elif found is not None:
            overall[info.name] = found
    added = frozenset(m.name for m in metrics if m not in CLICK_METRICS)
    return Scores(
        Task.CTR,
        users,
        per_query,
        overall,
        clicks=clicks,
        seconds=seconds,
        totals=totals,
        click_metrics=tuple(metrics),
        added=added,
    )


@runtime_checkable
class JudgingPolicy(Protocol):
    """A policy that judges explanations: how like what users then wrote they are, and whether what they claim is true.

    The libraries for that are the plugin's, not the core's.
    """

    def judge(
        self, dataset: Dataset, split: Split, part: str, answers: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Scores]:
        """Score explanations, and whatever they should be better than.

        Args:
            dataset: with reviews.
            split: how it is divided.
            part: "valid" or "test"; the requests are those of `reasonrec_core.data.reviews.make_review_cases`.
            answers: per system a text for each request.

        Returns:
            the systems of ``answers`` in their order, then further ones to compare with; each with at least the
            metrics ``ROUGE-L`` and ``BLEU-4`` (0 to 100) and ``Verified``, the share of claims that are true. With
            ``text``, ``references`` and ``claims`` the report shows some of them.
        """
