"""Where the relevant items stand in the rankings, ties counted against the ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.types import Bool, Cases, Int32, Int64, Ranking


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
    after = _count_after(group)
    rank = end - after
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


def _count_after(groups: Int64) -> Int64:
    """int64[H]: how many later entries share the value; equal values are neighbours."""
    return _count_before(groups[::-1])[::-1]
