"""What a ranking must look like before it is used or scored; what breaks this is named, not repaired."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Bool, QueryBatch, Ranking, Task
from reasonrec_core.validation.arrays import check_array

FEW = 256
"""History entries up to which one query's ranking is compared with each of them."""


class HistoryMask:
    """Finds ranked items that stand in a query's history; one per thread, reused from batch to batch.

    Holds ``bool[B, n_items]`` for the largest batch seen. The few ranked items are marked, the history is looked up,
    the marks are taken back: the cost is one look at the history, not the size of the table.
    """

    def __init__(self) -> None:
        self._marks: Bool = np.zeros(0, np.bool_)

    def contains(self, batch: QueryBatch, items: npt.NDArray[np.int32], n_items: int) -> Bool:
        """bool[B, K]: whether each item of ``items`` (-1 pads) is in its query's history."""
        if len(batch) == 1 and batch.history.items.size <= FEW:
            return np.asarray((items[:, :, None] == batch.history.items).any(axis=2) & (items >= 0))
        size = len(batch) * n_items
        if len(self._marks) < size:
            self._marks = np.zeros(size, np.bool_)
        starts = np.arange(0, size, n_items)
        ranked = (starts[:, None] + items)[items >= 0]
        seen = np.repeat(starts, batch.history.lengths)
        seen += batch.history.items
        self._marks[ranked] = True
        owned = self._marks.take(seen)
        self._marks[ranked] = False
        if not owned.any():
            return np.zeros(items.shape, np.bool_)
        return np.isin(starts[:, None] + items, seen[owned]) & (items >= 0)


def checked_ranking(ranking: Any, batch: QueryBatch, n_items: int, mask: HistoryMask | None = None) -> Ranking:
    """Items of the catalogue or the candidates, each once, descending, padding last, history masked.

    Args:
        ranking: the answer.
        batch: what was asked.
        n_items: size of the catalogue.
        mask: memory to be used again from batch to batch (one per thread).

    Raises:
        PluginError: it is no possible answer; names the first query and item that show it.
    """
    if not isinstance(ranking, Ranking):
        raise PluginError(f"the answer is {type(ranking).__name__}, not Ranking")
    items, scores = ranking.items, ranking.scores
    columns = items.shape[1] if isinstance(items, np.ndarray) and items.ndim == 2 else -1
    least = min(batch.k, n_items if batch.candidates is None else int(batch.candidates.shape[1]))
    if not least <= columns <= max(batch.k, least):
        raise PluginError(f"the ranking has {columns} columns, not {least} (k = {batch.k})")
    check_array(items, (len(batch), columns), np.int32, "ranked items")
    check_array(scores, (len(batch), columns), np.float32, "ranking scores")
    if (bad := (items >= n_items) | (items < -1)).any():
        raise _broken("ranks item {item}, outside the catalogue of " + str(n_items), bad, items)
    _check_order(items, scores)
    ordered = np.sort(items, axis=1)
    if (twice := (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        raise _broken("ranks item {item} twice", twice, ordered[:, 1:])
    if batch.candidates is not None:
        if (bad := (items >= 0) & ~among(items, batch.candidates)).any():
            raise _broken("ranks item {item}, which is no candidate", bad, items)
    elif batch.task is Task.SEQUENTIAL and (bad := (mask or HistoryMask()).contains(batch, items, n_items)).any():
        raise _broken("ranks item {item}, which the user already has (it is in the history)", bad, items)
    return ranking


def among(items: npt.NDArray[np.int32], candidates: npt.NDArray[np.int32]) -> Bool:
    """bool[B, K]: whether each item of int32[B, K] is in its row of int32[B, C]."""
    ordered = np.sort(candidates, axis=1)
    span = np.int64(max(int(candidates.max(initial=0)), int(items.max(initial=0))) + 2)
    # One search for all rows: a row's number, times the span of ids, keeps rows apart.
    base = (np.arange(len(items), dtype=np.int64) * span)[:, None]
    keys, wanted = (ordered + base).ravel(), (items + base).ravel()
    place = np.minimum(np.searchsorted(keys, wanted), max(keys.size - 1, 0))
    found: Bool = (keys[place] == wanted).reshape(items.shape)
    return found


def _check_order(items: npt.NDArray[Any], scores: npt.NDArray[Any]) -> None:
    """Finite scores that descend; padding last, with -inf."""
    padding = items < 0
    if not np.isneginf(scores[padding]).all():
        raise PluginError("padding (-1) has a score; it must be -inf")
    if (bad := ~padding & ~np.isfinite(scores)).any():
        row, column = np.argwhere(bad)[0]
        what = f"the score of a ranked item is {scores[row, column]} (query {row}, place {column + 1})"
        raise PluginError(what, fix="Pad with item -1 and score -inf where nothing can be ranked.")
    if (padding[:, :-1] & ~padding[:, 1:]).any():
        raise PluginError("padding (-1) stands before items")
    if (bad := scores[:, :-1] < scores[:, 1:]).any():
        raise PluginError(f"ranking scores of query {np.argwhere(bad)[0, 0]} do not descend", fix="Rank best first.")


def _broken(what: str, bad: Bool, items: npt.NDArray[np.int32]) -> PluginError:
    """The error for the first bad item."""
    row, column = np.argwhere(bad)[0]
    message = what.format(item=items[row, column])
    more = f" ({int(bad.sum())} such items in {int(bad.any(axis=1).sum())} of {len(items)} queries)"
    return PluginError(f"query {row} {message}{more}", fix="A component must rank allowed items only.")
