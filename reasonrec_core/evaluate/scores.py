"""`Scores`: everything that one evaluation of one system found, per query and over all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reasonrec_core.evaluate.ctr_metrics import Clicks, click_metrics
from reasonrec_core.types import Float64, Int32, Int64, Ranking, Task, indptr_of

T = TypeVar("T")


@dataclass(frozen=True)
class Totals:
    """A metric that is a function of sums over queries, such as BLEU of a corpus.

    Attributes:
        parts: float64[B, q] what each query adds to q sums.
        combine: float64[R, q] sums of R resamples -> float64[R] values.
    """

    parts: Float64
    combine: Callable[[Float64], Float64]

    @property
    def value(self) -> float:
        """The metric itself."""
        return float(self.combine(self.parts.sum(axis=0)[None])[0])


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

    def __len__(self) -> int:
        return len(self.users)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return tuple(self.values)

    @cached_property
    def values(self) -> dict[str, float]:
        """Every metric as one number: the mean over queries, or over all queries together."""
        means = {name: _mean(values) for name, values in self.per_query.items()}
        return {**means, **{name: each.value for name, each in self.totals.items()}, **self.overall}

    @cached_property
    def units(self) -> Int64:
        """int64[B]: queries with equal numbers belong to one user; what significance resamples.

        Numbers run from 0 without gaps. Every unknown user counts as a different one.
        """
        return user_units(self.users)

    def take(self, index: npt.NDArray[np.intp]) -> Scores:
        """The queries at ``index``; ``overall`` is recomputed for clicks and left out for rankings."""
        users = self.users[index]
        clicks, overall = self.clicks, {}
        if clicks is not None:
            clicks = _take_clicks(clicks, index, user_units(users))
            overall = click_metrics(clicks, len(np.unique(clicks.unit)))
        return Scores(
            self.task,
            users,
            {name: values[index] for name, values in self.per_query.items()},
            overall,
            None if self.ranking is None else self.ranking.take(index),
            None if self.rank is None else self.rank[index],
            clicks,
            sampled=self.sampled,
            totals={name: replace(each, parts=each.parts[index]) for name, each in self.totals.items()},
            text=_picked(self.text, index),
            references=_picked(self.references, index),
            claims=_picked(self.claims, index),
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
            offsets = indptr_of(real.sum(axis=1)).astype(np.int32)
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
    return Clicks(query, units[query], clicks.label[rows], clicks.probability[rows])


def _mean(values: Float64) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
