"""What a component's answer must look like. The pipeline and the conformance suites check with these functions.

Each returns the answer it was given, or raises a `PluginError` that says what is wrong; call it inside
`reasonrec_core.registry.guard`, which adds whose answer it was. All checks are linear in the size of the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Deliberation, Float32, QueryBatch, Ranking, Task, Uncertainty


def width(batch: QueryBatch, n_items: int) -> int:
    """How many items of a query can be scored: C candidates or the whole catalogue."""
    return n_items if batch.candidates is None else int(batch.candidates.shape[1])


def checked_scores(scores: Any, batch: QueryBatch, n_items: int) -> Float32:
    """float32[B, n_items] or float32[B, C]: finite or -inf; probabilities for `Task.CTR`."""
    _array(scores, (len(batch), width(batch, n_items)), np.float32, "scores")
    if np.isnan(scores).any():
        raise PluginError("scores hold NaN")
    if np.isposinf(scores).any():
        raise PluginError("scores hold +inf")
    if batch.task is Task.CTR:
        assert batch.candidates is not None
        _unit(scores[batch.candidates >= 0], "click probabilities")
    if not scores.flags.writeable:
        raise PluginError("scores are read-only; the array must be the caller's to overwrite")
    return scores  # type: ignore[no-any-return]


def checked_ranking(ranking: Any, batch: QueryBatch, n_items: int) -> Ranking:
    """Items of the catalogue or the candidates, each once, descending, padding last, history masked."""
    if not isinstance(ranking, Ranking):
        raise PluginError(f"the answer is {type(ranking).__name__}, not Ranking")
    items, scores = ranking.items, ranking.scores
    rows = len(batch)
    columns = items.shape[1] if isinstance(items, np.ndarray) and items.ndim == 2 else -1
    least = min(batch.k, width(batch, n_items))
    if not least <= columns <= max(batch.k, least):
        raise PluginError(f"the ranking has {columns} columns, not {least} (k = {batch.k})")
    _array(items, (rows, columns), np.int32, "ranked items")
    _array(scores, (rows, columns), np.float32, "ranking scores")
    _check_order(items, scores)
    if columns and ((items < -1) | (items >= n_items)).any():
        raise PluginError(f"ranked items are not in [-1, {n_items})")
    where = np.arange(rows, dtype=np.int64)[:, None] * n_items
    keys = np.where(items < 0, -1, where + items)
    real = np.sort(keys[keys >= 0])
    if (real[1:] == real[:-1]).any():
        raise PluginError("an item is ranked twice in one row")
    if batch.candidates is not None:
        _check_members(
            real, (where + batch.candidates)[batch.candidates >= 0], True, "an item is ranked that is no candidate"
        )
    elif batch.task is Task.SEQUENTIAL:
        past = batch.history.rows.astype(np.int64) * n_items + batch.history.items
        _check_members(real, past, False, "an item of the history is recommended")
    return ranking


def checked_deliberation(answer: Any, batch: QueryBatch, n_items: int) -> Deliberation:
    """The answer that the task asks for, steps and a confidence for every query. Steps are not read (they are lazy)."""
    if not isinstance(answer, Deliberation):
        raise PluginError(f"the answer is {type(answer).__name__}, not Deliberation")
    if len(answer.steps) != len(batch):
        raise PluginError(f"steps for {len(answer.steps)} queries, not {len(batch)}")
    _array(answer.confidence, (len(batch),), np.float32, "confidence")
    _unit(answer.confidence, "confidence")
    if batch.task in {Task.SEQUENTIAL, Task.DIRECT}:
        ranking = checked_ranking(answer.ranking, batch, n_items)
        if answer.mass is not None:
            _check_mass(answer.mass, ranking)
    if batch.task is Task.CTR:
        assert batch.candidates is not None
        _array(answer.probability, batch.candidates.shape, np.float32, "probability")
        _unit(np.asarray(answer.probability)[batch.candidates >= 0], "probability")
    if batch.task is Task.EXPLAIN and (answer.text is None or len(answer.text) != len(batch)):
        raise PluginError("an explanation needs one text per query")
    return answer


def checked_uncertainty(answer: Any, batch: QueryBatch, stage: str) -> Uncertainty:
    """float32[B] in [0, 1], with the stage that the estimator declares."""
    if not isinstance(answer, Uncertainty):
        raise PluginError(f"the answer is {type(answer).__name__}, not Uncertainty")
    if answer.stage != stage:
        raise PluginError(f"the answer's stage is {answer.stage!r}, the estimator's {stage!r}")
    for name in ("total", "epistemic", "aleatoric"):
        values = getattr(answer, name)
        if values is not None or name == "total":
            _array(values, (len(batch),), np.float32, name)
            _unit(values, name)
    return answer


def checked_vectors(vectors: Any, n: int, d: int | None = None) -> Float32:
    """float32[n, d], all finite."""
    shape = (n, d if d is not None else np.shape(vectors)[-1] if np.ndim(vectors) else 0)
    _array(vectors, shape, np.float32, "vectors")
    if not np.isfinite(vectors).all():
        raise PluginError("vectors hold NaN or infinity")
    return vectors  # type: ignore[no-any-return]


def _array(value: Any, shape: tuple[int, ...], dtype: npt.DTypeLike, what: str) -> None:
    if not isinstance(value, np.ndarray):
        raise PluginError(f"{what}: {type(value).__name__}, not an array {np.dtype(dtype)}{list(shape)}")
    if value.shape != shape or value.dtype != dtype:
        raise PluginError(f"{what}: {value.dtype}{list(value.shape)}, not {np.dtype(dtype)}{list(shape)}")


def _unit(values: npt.NDArray[Any], what: str) -> None:
    if not ((values >= 0) & (values <= 1)).all():
        raise PluginError(f"{what}: not all in [0, 1]")


def _check_order(items: npt.NDArray[Any], scores: npt.NDArray[Any]) -> None:
    padding = items < 0
    if not np.isneginf(scores[padding]).all():
        raise PluginError("padding (-1) has a score; it must be -inf")
    if not np.isfinite(scores[~padding]).all():
        raise PluginError("ranking scores of items are not finite")
    if (padding[:, :-1] & ~padding[:, 1:]).any():
        raise PluginError("padding (-1) stands before items")
    if (scores[:, :-1] < scores[:, 1:]).any():
        raise PluginError("ranking scores do not descend")


def _check_members(found: npt.NDArray[Any], known: npt.NDArray[Any], wanted: bool, message: str) -> None:
    inside = np.isin(found, known)
    if not (inside.all() if wanted else not inside.any()):
        raise PluginError(message)


def _check_mass(mass: Any, ranking: Ranking) -> None:
    _array(mass, ranking.items.shape, np.float32, "mass")
    _unit(mass, "mass")
    if (mass.sum(axis=1, dtype=np.float64) > 1 + 1e-4).any():
        raise PluginError("a row of mass sums to more than 1")
    if mass[ranking.items < 0].any():
        raise PluginError("padding (-1) has probability mass")
