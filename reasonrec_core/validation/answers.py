"""What scores, deliberations, uncertainties and vectors must look like."""

from __future__ import annotations

from typing import Any

import numpy as np

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Deliberation, Float32, Int32, QueryBatch, Ranking, Task, Uncertainty
from reasonrec_core.validation.arrays import check_array, check_unit
from reasonrec_core.validation.rankings import checked_ranking


def width(batch: QueryBatch, n_items: int) -> int:
    """How many items of a query can be scored: C candidates or the whole catalogue."""
    return n_items if batch.candidates is None else int(batch.candidates.shape[1])


def checked_scores(scores: Any, batch: QueryBatch, n_items: int) -> Float32:
    """float32[B, n_items] or float32[B, C]: finite or -inf; probabilities for `Task.CTR`."""
    check_array(scores, (len(batch), width(batch, n_items)), np.float32, "scores")
    if np.isnan(scores).any():
        raise PluginError("scores hold NaN")
    if np.isposinf(scores).any():
        raise PluginError("scores hold +inf")
    if batch.task is Task.CTR:
        checked_probability(scores, batch)
    if not scores.flags.writeable:
        raise PluginError("scores are read-only; the array must be the caller's to overwrite")
    return scores  # type: ignore[no-any-return]


def checked_probability(values: Any, batch: QueryBatch) -> Float32:
    """float32[B, C] in [0, 1] wherever the batch has a candidate."""
    assert batch.candidates is not None
    check_array(values, batch.candidates.shape, np.float32, "click probabilities")
    bad = (batch.candidates >= 0) & ~((values >= 0) & (values <= 1))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        what = f"the click probability {values[row, column]} (query {row}, candidate {column}) is not in [0, 1]"
        raise PluginError(what, fix="A click probability is a number between 0 and 1.")
    return values  # type: ignore[no-any-return]


def checked_deliberation(answer: Any, batch: QueryBatch, n_items: int) -> Deliberation:
    """The answer that the task asks for, steps and a confidence for every query. Steps are not read (they are lazy)."""
    if not isinstance(answer, Deliberation):
        raise PluginError(f"the answer is {type(answer).__name__}, not Deliberation")
    if len(answer.steps) != len(batch):
        raise PluginError(f"steps for {len(answer.steps)} queries, not {len(batch)}")
    check_array(answer.confidence, (len(batch),), np.float32, "confidence")
    check_unit(answer.confidence, "confidence")
    if batch.task in {Task.SEQUENTIAL, Task.DIRECT}:
        ranking = checked_ranking(answer.ranking, batch, n_items)
        if answer.mass is not None:
            _check_mass(answer.mass, ranking)
    if batch.task is Task.CTR:
        checked_probability(answer.probability, batch)
    if batch.task is Task.EXPLAIN and (answer.text is None or len(answer.text) != len(batch)):
        raise PluginError("an explanation needs one text per query")
    return answer


def checked_distribution(values: Any, batch: QueryBatch, n_items: int) -> Float32:
    """float32[B, n_items] or float32[B, C] in [0, 1]; a row sums to at most 1; the masked history has none."""
    check_array(values, (len(batch), width(batch, n_items)), np.float32, "distribution")
    check_unit(values, "distribution")
    if (values.sum(axis=1, dtype=np.float64) > 1 + 1e-4).any():
        raise PluginError("a row of the distribution sums to more than 1")
    if batch.candidates is not None:
        if values[batch.candidates < 0].any():
            raise PluginError("padding (-1) has probability")
    elif values[batch.history.rows, batch.history.items].any():
        raise PluginError("an item of the history has probability", fix="Mask the history: it is not recommended.")
    return values  # type: ignore[no-any-return]


def checked_samples(values: Any, items: Int32) -> Float32:
    """float32[T, B, K] in [0, 1] for int32[B, K] items; T >= 1; a pass sums to at most 1 per query; 0 for padding."""
    passes = np.shape(values)[0] if np.ndim(values) else 0
    check_array(values, (max(passes, 1), *items.shape), np.float32, "samples")
    check_unit(values, "samples")
    if (values.sum(axis=2, dtype=np.float64) > 1 + 1e-4).any():
        raise PluginError("a pass gives the items of one query more than 1 in all")
    if values[:, items < 0].any():
        raise PluginError("padding (-1) has probability in a pass")
    return values  # type: ignore[no-any-return]


def checked_uncertainty(answer: Any, batch: QueryBatch, stage: str) -> Uncertainty:
    """float32[B] in [0, 1], with the stage that the estimator declares."""
    if not isinstance(answer, Uncertainty):
        raise PluginError(f"the answer is {type(answer).__name__}, not Uncertainty")
    if answer.stage != stage:
        raise PluginError(f"the answer's stage is {answer.stage!r}, the estimator's {stage!r}")
    for name in ("total", "epistemic", "aleatoric"):
        values = getattr(answer, name)
        if values is not None or name == "total":
            check_array(values, (len(batch),), np.float32, name)
            check_unit(values, name)
    return answer


def checked_vectors(vectors: Any, n: int, d: int | None = None) -> Float32:
    """float32[n, d], all finite."""
    shape = (n, d if d is not None else np.shape(vectors)[-1] if np.ndim(vectors) else 0)
    check_array(vectors, shape, np.float32, "vectors")
    if not np.isfinite(vectors).all():
        raise PluginError("vectors hold NaN or infinity")
    return vectors  # type: ignore[no-any-return]


def _check_mass(mass: Any, ranking: Ranking) -> None:
    check_array(mass, ranking.items.shape, np.float32, "mass")
    check_unit(mass, "mass")
    if (mass.sum(axis=1, dtype=np.float64) > 1 + 1e-4).any():
        raise PluginError("a row of mass sums to more than 1")
    if mass[ranking.items < 0].any():
        raise PluginError("padding (-1) has probability mass")
