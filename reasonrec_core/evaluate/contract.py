"""What a component's answer must look like before it is scored; what breaks this is named, not repaired."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Bool, Float32, QueryBatch, Ranking, Task


class HistoryMask:
    """Finds ranked items that stand in a query's history; one per thread, reused from batch to batch.

    Holds ``bool[B, n_items]`` for the largest batch seen. The few ranked items are marked, the history is looked up,
    the marks are taken back: the cost is one look at the history, not the size of the table.
    """

    def __init__(self) -> None:
        self._marks: Bool = np.zeros(0, np.bool_)

    def contains(self, batch: QueryBatch, items: npt.NDArray[np.int32], n_items: int) -> Bool:
        """bool[B, K]: whether each item of ``items`` (-1 pads) is in its query's history."""
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


def check_ranking(
    ranking: Any, batch: QueryBatch, n_items: int, mask: HistoryMask, where: str | None = None
) -> Ranking:
    """``ranking`` itself if it is a possible answer to ``batch``.

    Raises:
        PluginError: it is no `Ranking`, has another shape or type, holds NaN, ascends, names items outside the
            catalogue or the candidates, or (`Task.SEQUENTIAL`) items that the user already has.
    """
    if not isinstance(ranking, Ranking):
        raise PluginError(f"the answer is a {type(ranking).__name__}, not a Ranking", where=where)
    items, scores = ranking.items, ranking.scores
    _check_arrays(items, scores, batch, where)
    real = items >= 0
    if (bad := (items >= n_items) | (items < -1)).any():
        raise _broken("ranks item {item}, outside the catalogue of " + str(n_items), bad, items, where)
    if (bad := real & ~np.isfinite(scores)).any():
        row, column = np.argwhere(bad)[0]
        what = f"the score of a ranked item is {scores[row, column]} (query {row}, place {column + 1})"
        raise PluginError(what, where=where, fix="Pad with item -1 and score -inf where nothing can be ranked.")
    if (scores[:, 1:] > scores[:, :-1]).any():
        row = int(np.argwhere(scores[:, 1:] > scores[:, :-1])[0, 0])
        raise PluginError(f"the scores of query {row} are not descending", where=where, fix="Rank best first.")
    if batch.candidates is not None:
        if (bad := real & ~among(items, batch.candidates)).any():
            raise _broken("ranks item {item}, which is not among the candidates", bad, items, where)
    elif batch.task is Task.SEQUENTIAL and (bad := mask.contains(batch, items, n_items)).any():
        raise _broken("ranks item {item}, which the user already has", bad, items, where)
    return ranking


def check_probability(values: Any, batch: QueryBatch, where: str | None = None) -> Float32:
    """``values`` itself if it is float32[B, C] in [0, 1] wherever the batch has a candidate.

    Raises:
        PluginError: it has another shape or type, or a value that is no probability.
    """
    assert batch.candidates is not None
    shape = batch.candidates.shape
    if not isinstance(values, np.ndarray) or values.shape != shape or not np.issubdtype(values.dtype, np.floating):
        raise PluginError(f"the answer is {_kind(values)} where float32{list(shape)} was asked", where=where)
    bad = (batch.candidates >= 0) & ~((values >= 0) & (values <= 1))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        what = f"the probability {values[row, column]} (query {row}, candidate {column}) is not in [0, 1]"
        raise PluginError(what, where=where, fix="A click probability is a number between 0 and 1.")
    return values


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


def _check_arrays(items: Any, scores: Any, batch: QueryBatch, where: str | None) -> None:
    """Refuse arrays of another type or shape than ``batch`` asks for."""
    for name, array, kind in (("items", items, np.integer), ("scores", scores, np.floating)):
        good = isinstance(array, np.ndarray) and array.ndim == 2 and np.issubdtype(array.dtype, kind)
        if not good or array.shape[0] != len(batch) or array.shape[1] > batch.k:
            wanted = f"{'int32' if name == 'items' else 'float32'}[{len(batch)}, at most {batch.k}]"
            raise PluginError(f"the ranking's {name} are {_kind(array)} where {wanted} was asked", where=where)
    if items.shape != scores.shape:
        raise PluginError(f"{list(items.shape)} items but {list(scores.shape)} scores", where=where)


def _kind(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__


def _broken(what: str, bad: Bool, items: npt.NDArray[np.int32], where: str | None) -> PluginError:
    """The error for the first bad item."""
    row, column = np.argwhere(bad)[0]
    message = what.format(item=items[row, column])
    more = f" ({int(bad.sum())} such items in {int(bad.any(axis=1).sum())} of {len(items)} queries)"
    return PluginError(f"query {row} {message}{more}", where=where, fix="A component must rank allowed items only.")
