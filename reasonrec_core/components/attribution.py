"""What of a history spoke for an item: shares, from contributions that are known or from leaving entries out.

Contributions are additive parts of a score; where a score has none, an entry's is what the score loses without it
(feature ablation: Zeiler and Fergus, ECCV 2014, section 4.2; "removal-based explanations", Covert et al., JMLR 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reasonrec_core.types import Float32, History, Int32, Int64, Observation, QueryBatch, indptr_of

if TYPE_CHECKING:
    from scipy import sparse

MOST = 50
"""Only this many newest entries are left out in turn; older ones count as the rest."""
FAINT = 1e-3
"""Standard deviations that a score may move by rounding."""
CELLS = 1 << 22
"""Scores held at a time."""


def share_contributions(contributions: Float32, rest: Float32, history: History) -> Float32:
    """float32[L, K]: each entry's share of all that speaks for an item; what speaks against it has none.

    Args:
        contributions: float32[L, K] of each history entry to the scores of its query's K items.
        rest: float32[B, K] what else speaks for them.
        history: of the B queries, with L entries in all.
    """
    positive = np.maximum(contributions, 0).astype(np.float32)
    total = np.maximum(rest, 0).astype(np.float32)
    np.add.at(total, history.rows, positive)
    return np.divide(positive, total[history.rows], out=np.zeros_like(positive), where=positive > 0)


def share_links(
    links: sparse.csr_matrix, weights: Float32, batch: QueryBatch, items: Int32, rest: Float32 | None = None
) -> Float32:
    """float32[L, K]: shares where a score is the sum over the history of weights times links, and the rest.

    Args:
        links: float32 CSR[n_items, n_items], from history item (row) to recommended item.
        weights: float32[L] of the history entries.
        batch: B queries.
        items: int32[B, K], -1 pads.
        rest: float32[B, K], nothing if None.
    """
    history, targets = batch.history, items[batch.history.rows]
    found = np.zeros(targets.shape, np.float32)
    if found.size:
        sources = np.repeat(history.items, items.shape[1])
        found += np.asarray(links[sources, np.maximum(targets, 0).ravel()]).reshape(targets.shape)
    found = np.where(targets < 0, np.float32(0), found * weights[:, None])
    return share_contributions(found, np.zeros(items.shape, np.float32) if rest is None else rest, history)


def leave_entries_out(
    score: Callable[[QueryBatch, Observation], Float32], batch: QueryBatch, observation: Observation, items: Int32
) -> Float32:
    """float32[L, K]: shares by how far the items' standing among all scores falls without each entry.

    The rest is what stands without any of the entries that are left out, `MOST` a query.

    Args:
        score: float32[B, n_items] or float32[B, C] of any queries.
        batch: B queries.
        observation: of them.
        items: int32[B, K], among the candidates where there are any; -1 pads.
    """
    history, rows = batch.history, batch.history.rows.astype(np.intp)
    tried = np.flatnonzero(history.ages < MOST)
    lost = np.zeros((len(history.items), items.shape[1]), np.float32)
    if not lost.size:
        return lost
    scores = score(batch, observation)
    whole = standardise(scores, batch, items)
    rest = standardise(score(_without(batch, tried), observation), batch, items)
    size = max(1, CELLS // scores.shape[1])
    for start in range(0, len(tried), size):
        some = tried[start : start + size]
        asked, place = batch.take(rows[some]), some - (history.indptr - history.indptr[0])[rows[some]]
        asked = _without(asked, asked.history.indptr[:-1] + place)
        found = standardise(score(asked, observation.take(rows[some])), asked, items[rows[some]])
        lost[some] = whole[rows[some]] - found
    return share_contributions(np.where(lost < FAINT, np.float32(0), lost), rest, history)


def standardise(scores: Float32, batch: QueryBatch, items: Int32) -> Float32:
    """float32[B, K]: how many standard deviations of its query's finite scores each item is above their mean.

    Scores are comparable within a query alone, and those of shorter histories may be smaller altogether. 0 for padding.
    """
    finite = np.isfinite(scores)
    shown = np.where(finite, scores, 0).astype(np.float64)
    count = np.maximum(finite.sum(axis=1, keepdims=True), 1)
    mean = shown.sum(axis=1, keepdims=True) / count
    spread = np.sqrt((np.square(shown - mean) * finite).sum(axis=1, keepdims=True) / count)
    columns = np.maximum(items, 0)
    if batch.candidates is not None:
        columns = (batch.candidates[:, None, :] == columns[:, :, None]).argmax(axis=2)
    found = (np.take_along_axis(scores, columns, axis=1) - mean) / np.maximum(spread, 1e-12)
    return np.where((items >= 0) & np.isfinite(found), found, 0).astype(np.float32)


def _without(batch: QueryBatch, entries: Int64) -> QueryBatch:
    """The queries without the history entries at these positions among all."""
    history, keep = batch.history, np.ones(len(batch.history.items), np.bool_)
    keep[entries] = False
    lengths = np.bincount(history.rows[keep], minlength=len(history))
    kept = History(indptr_of(lengths), history.items[keep], history.times[keep], history.skipped)
    return replace(batch, history=kept)
