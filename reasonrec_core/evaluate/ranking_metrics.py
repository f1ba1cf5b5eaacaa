"""Where the relevant items stand in ranked lists, ties counted against the list, and the metrics made from that.

`docs/metrics.md` has the formulas and where others differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reasonrec_core.components import MetricInfo
from reasonrec_core.ranking import compute_gain, compute_ideal_gain
from reasonrec_core.types import Bool, Cases, Float64, Int32, Int64, Ranking


@dataclass(frozen=True)
class Hits:
    """The relevant items that were found, in the order of queries and, within a query, of ranks.

    Attributes:
        query: int64[H] the query that each belongs to.
        rank: int64[H] its rank, 1-based and pessimistic under ties.
        ordinal: int64[H] 1 for the best-ranked relevant item of its query, 2 for the next, and so on.
        relevant: int64[B] how many different relevant items each query has.
    """

    query: Int64
    rank: Int64
    ordinal: Int64
    relevant: Int64

    @property
    def first(self) -> Int32:
        """int32[B]: rank of each query's best-ranked relevant item, 0 where none was found."""
        ranks = np.zeros(len(self.relevant), np.int32)
        best = self.ordinal == 1
        ranks[self.query[best]] = self.rank[best]
        return ranks


def find_hits(ranking: Ranking, cases: Cases, deepest: int) -> Hits:
    """Find the relevant items in ``ranking``; ``deepest``: the largest cutoff that will be applied.

    The rank of a relevant item is ``1 + #{j: s_j > s} + #{j irrelevant: s_j = s}`` plus the relevant items of the
    same score counted before it: within a group of equal scores the relevant items come last.

    A list of the best ``deepest + 1`` items and their scores is enough to know this exactly for every cutoff
    k <= deepest. If the relevant item's group of equal scores ends at or before place k, the list shows a smaller
    score after it, so the whole group is visible. If it does not, the rank is at least k + 1: a miss, however long
    the group. (With several relevant items in one group that reaches the list's end, how many of them a full ranking
    would still place within k cannot be known; they count as misses.) Without the extra place a group could be cut
    at k and look complete.
    """
    found, relevant = _relevant(ranking.items, cases)
    query, column = np.nonzero(found)
    scores = ranking.scores[query]
    score = scores[np.arange(len(query)), column][:, None]
    real = ranking.items[query] >= 0
    end = ((scores >= score) & real).sum(axis=1)
    # Relevant items of one group share (query, end); the last of them stands at the end, the one before it one above.
    group = query * (ranking.items.shape[1] + 1) + end
    rank = end - _count_before(group[::-1])[::-1]
    cut = (end == ranking.items.shape[1]) & (end > deepest)
    rank[cut] = end[cut]
    return Hits(query, rank, _count_before(query) + 1, relevant)


def drop_invalid(ranking: Ranking, valid: Bool) -> tuple[Ranking, int, int]:
    """Without invalid items and repeats of an item: the rest moves up, padding fills the end.

    Args:
        ranking: B rows.
        valid: bool[B, K]; padding counts as valid.

    Returns:
        The ranking, how many items were invalid, how many repeated an earlier one.
    """
    repeated = _repeats(ranking.items) & valid
    keep = valid & ~repeated
    pad = ranking.items < 0
    dropped = (int((~valid).sum()), int(repeated.sum()))
    keep &= ~pad
    if not any(dropped) and not (keep[:, 1:] & ~keep[:, :-1]).any():
        return ranking, 0, 0
    order = np.argsort(~keep, axis=1, kind="stable")
    kept = np.take_along_axis(keep, order, axis=1)
    items = np.where(kept, np.take_along_axis(ranking.items, order, axis=1), np.int32(-1))
    scores = np.where(kept, np.take_along_axis(ranking.scores, order, axis=1), np.float32(-np.inf))
    return Ranking(items, scores), *dropped


@dataclass(frozen=True)
class RankedLists:
    """What a metric of rankings is computed from: B lists, and where the relevant items stand in them.

    Attributes:
        ranking: B lists, best first, -1 pads at the end; one place longer than the largest cut-off.
        cases: the queries and their relevant items.
        hits: where those stand.
        n_items: size of the catalogue.
        item_counts: int64[n_items] training interactions per item, None where they are not known.
    """

    ranking: Ranking
    cases: Cases
    hits: Hits
    n_items: int
    item_counts: Int64 | None = None

    @cached_property
    def relevant(self) -> Float64:
        """float64[B]: how many relevant items each query has; NaN for none."""
        return np.where(self.hits.relevant > 0, self.hits.relevant, np.nan)

    @cached_property
    def undefined(self) -> Float64:
        """float64[B]: 0, and NaN for queries without a relevant item; added to what is undefined there."""
        return np.where(self.hits.relevant > 0, 0.0, np.nan)

    def sum_hits(self, values: Float64, k: int) -> Float64:
        """float64[B]: per query the sum of ``values`` (float64[H], one per hit) within the first ``k``."""
        within = self.hits.rank <= k
        sums = np.bincount(self.hits.query[within], values[within], len(self.hits.relevant))
        return np.asarray(sums, np.float64)

    def count_hits(self, k: int) -> Float64:
        """float64[B]: relevant items within the first ``k``."""
        return np.bincount(self.hits.query[self.hits.rank <= k], minlength=len(self.hits.relevant)).astype(np.float64)


def metric_name(metric: str, k: int, sampled: str = "") -> str:
    """``NDCG@10``, or ``NDCG@10[uni99]`` where the ranking was among sampled candidates; ``k`` 0: none."""
    name = f"{metric}@{k}" if k else metric
    return f"{name}[{sampled}]" if sampled else name


def hit_rate(lists: RankedLists, k: int) -> Float64:
    """float64[B]: whether any relevant item is among the first ``k``."""
    return (lists.count_hits(k) > 0) + lists.undefined


def recall(lists: RankedLists, k: int) -> Float64:
    """float64[B]: the share of the relevant items among the first ``k``."""
    return lists.count_hits(k) / lists.relevant


def precision(lists: RankedLists, k: int) -> Float64:
    """float64[B]: the share of the first ``k`` that is relevant."""
    return lists.count_hits(k) / k + lists.undefined


def ndcg(lists: RankedLists, k: int) -> Float64:
    """float64[B]: discounted gain of the relevant items over the best possible (Järvelin and Kekäläinen, 2002)."""
    ideal = compute_ideal_gain(k)[np.minimum(lists.hits.relevant, k)]
    return lists.sum_hits(compute_gain(lists.hits.rank), k) / ideal + lists.undefined


def reciprocal_rank(lists: RankedLists, k: int) -> Float64:
    """float64[B]: 1 / rank of the best-ranked relevant item, 0 beyond ``k``."""
    hits, values = lists.hits, np.zeros(len(lists.hits.relevant))
    best = (hits.rank <= k) & (hits.ordinal == 1)
    values[hits.query[best]] = 1.0 / hits.rank[best]
    return values + lists.undefined


def average_precision(lists: RankedLists, k: int) -> Float64:
    """float64[B]: precision at the relevant items' ranks, over min(k, number of relevant items)."""
    possible = np.minimum(lists.relevant, k)
    return lists.sum_hits(lists.hits.ordinal / lists.hits.rank, k) / possible


def novelty(lists: RankedLists, k: int) -> Float64 | None:
    """float64[B]: mean self-information of the first ``k``, in bits; NaN for an empty list.

    Shares are smoothed by one interaction per item (Laplace), so that an item unseen in training is very novel
    rather than infinitely so.
    """
    if lists.item_counts is None:
        return None
    share = (lists.item_counts + 1.0) / (lists.item_counts.sum() + len(lists.item_counts))
    return _mean_of_shown(lists.ranking.items, -np.log2(share), k)


def popularity(lists: RankedLists, k: int) -> Float64 | None:
    """float64[B]: mean training interactions of the first ``k``; NaN for an empty list."""
    if lists.item_counts is None:
        return None
    return _mean_of_shown(lists.ranking.items, lists.item_counts.astype(float), k)


def coverage(lists: RankedLists, k: int) -> float:
    """The share of the catalogue that stands in at least one list's first ``k``."""
    shown = np.zeros(lists.n_items + 1, np.bool_)
    shown[lists.ranking.items[:, :k]] = True  # -1 falls on the extra last place
    return float(shown[: lists.n_items].mean())


HR = MetricInfo(
    "HR", hit_rate, "higher", "hit rate: share of queries with a relevant item among the first {k}", 20,
    definition="1 if any relevant item has rank <= k")  # fmt: skip
RECALL = MetricInfo(
    "Recall", recall, "higher", "share of a query's relevant items that are among the first {k}", 40,
    definition="#{t in R : rank(t) <= k} / \\|R\\|")  # fmt: skip
PRECISION = MetricInfo(
    "Precision", precision, "higher", "share of the first {k} that is relevant", 50,
    definition="#{t in R : rank(t) <= k} / k")  # fmt: skip
NDCG = MetricInfo(
    "NDCG", ndcg, "higher",
    "like the hit rate, but a hit counts less the further down it stands (1 at the top, 0.5 in third place)", 10,
    definition="sum over i <= k of rel(i) / log2(i + 1), divided by the sum over i <= min(k, \\|R\\|) of "
    "1 / log2(i + 1)")  # fmt: skip
MRR = MetricInfo(
    "MRR", reciprocal_rank, "higher", "mean of 1 / rank of the first relevant item, 0 beyond the first {k}", 30,
    definition="1 / (rank of the best-ranked relevant item), 0 if it is above k")  # fmt: skip
MAP = MetricInfo(
    "MAP", average_precision, "higher", "mean average precision over the first {k}", 60,
    definition="sum over relevant ranks i <= k of (relevant items at or above i) / i, divided by min(k, \\|R\\|)",
)  # fmt: skip
NOVELTY = MetricInfo(
    "Novelty", novelty, "neither",
    "how rare the recommended items are: mean of -log2 of their share of the training interactions", 910,
    definition="mean over the first k items of -log2((c_i + 1) / (C + n)), in bits; c_i: training "
               "interactions of the item, C: of all items, n: number of items")  # fmt: skip
POPULARITY = MetricInfo(
    "Popularity", popularity, "neither", "mean number of training interactions of the recommended items", 910,
    definition="mean of c_i over the first k items")  # fmt: skip
COVERAGE = MetricInfo(
    "Coverage", coverage, "neither", "share of the catalogue that is recommended to anybody among the first {k}", 90,
    definition="share of the catalogue that is among the first k of at least one list")  # fmt: skip

RANKING_METRICS = (HR, RECALL, PRECISION, NDCG, MRR, MAP, NOVELTY, POPULARITY, COVERAGE)
"""In the order in which they are computed and resampled."""


def _mean_of_shown(items: Int32, table: Float64, k: int) -> Float64:
    """float64[B]: the mean of ``table`` (float64[n_items]) over each list's first ``k`` items."""
    listed = items[:, :k]
    real = listed >= 0
    total = np.cumsum(np.where(real, table[np.maximum(listed, 0)], 0.0), axis=1)[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Float64 = total / real.sum(axis=1)
    return mean


def _relevant(items: Int32, cases: Cases) -> tuple[Bool, Int64]:
    """bool[B, K]: whether each item is relevant; int64[B]: how many different relevant items each query has."""
    lengths = np.diff(cases.target_indptr)
    if len(cases.targets) == len(items) and (lengths == 1).all():
        return items == cases.targets[:, None], lengths
    span = np.int64(max(int(cases.targets.max(initial=0)), int(items.max(initial=0))) + 2)
    keys = np.unique(np.repeat(np.arange(len(items), dtype=np.int64), lengths) * span + cases.targets)
    wanted = np.arange(len(items), dtype=np.int64)[:, None] * span + items
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    found = (keys[place] == wanted) & (items >= 0) if len(keys) else np.zeros(items.shape, np.bool_)
    return found, np.bincount(keys // span, minlength=len(items))


def _repeats(items: Int32) -> Bool:
    """bool[B, K]: whether an item stands earlier in its row (padding does not count)."""
    ordered = np.sort(items, axis=1)
    rows = np.flatnonzero(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1))
    repeated = np.zeros(items.shape, np.bool_)
    if len(rows):
        some = items[rows]
        order = np.argsort(some, axis=1, kind="stable")
        ordered = np.take_along_axis(some, order, axis=1)
        again = np.zeros(some.shape, np.bool_)
        again[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
        marked = np.zeros(some.shape, np.bool_)
        np.put_along_axis(marked, order, again, axis=1)
        repeated[rows] = marked
    return repeated


def _count_before(groups: Int64) -> Int64:
    """int64[H]: how many earlier entries share the value; equal values are neighbours."""
    index = np.arange(len(groups), dtype=np.int64)
    starts = np.ones(len(groups), np.bool_)
    starts[1:] = groups[1:] != groups[:-1]
    first: Int64 = np.maximum.accumulate(np.where(starts, index, 0))
    return index - first
