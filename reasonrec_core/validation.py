"""What a component's answer must look like. The pipeline and the conformance suites check with these functions.

Each returns the answer it was given, or raises a `PluginError` that says what is wrong; call it inside
`reasonrec_core.registry.guard`, which adds whose answer it was. Nothing is repaired. All checks are linear in the size
of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import ConfigError, PluginError, did_you_mean
from reasonrec_core.types import Bool, Deliberation, Edits, Float32, Int32, QueryBatch, Ranking, Task, Uncertainty

FEW = 256
"""History entries up to which one query's ranking is compared with each of them."""


def check_array(value: Any, shape: tuple[int, ...], dtype: npt.DTypeLike, what: str) -> None:
    """Refuse what is not an array of this shape and type."""
    if not isinstance(value, np.ndarray):
        raise PluginError(f"{what}: {type(value).__name__}, not an array {np.dtype(dtype)}{list(shape)}")
    if value.shape != shape or value.dtype != dtype:
        raise PluginError(f"{what}: {value.dtype}{list(value.shape)}, not {np.dtype(dtype)}{list(shape)}")


def check_unit(values: npt.NDArray[Any], what: str) -> None:
    """Refuse values outside [0, 1], NaN included."""
    if values.size and not 0 <= values.item(values.argmin()) <= values.item(values.argmax()) <= 1:
        raise PluginError(f"{what}: not all in [0, 1]")


def _check_sums(values: npt.NDArray[Any], axis: int, what: str) -> None:
    """Refuse probabilities that sum to more than 1, but for rounding."""
    if (values.sum(axis=axis, dtype=np.float64) > 1 + 1e-4).any():
        raise PluginError(what)


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


def check_ranking(ranking: Any, batch: QueryBatch, n_items: int, mask: HistoryMask | None = None) -> Ranking:
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
            raise _broken("ranks item {item}, which is not a candidate", bad, items)
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
        raise PluginError("padding (-1) comes before items")
    if (bad := scores[:, :-1] < scores[:, 1:]).any():
        raise PluginError(f"ranking scores of request {np.argwhere(bad)[0, 0]} do not descend", fix="Rank best first.")


def _broken(what: str, bad: Bool, items: npt.NDArray[np.int32]) -> PluginError:
    """The error for the first bad item."""
    row, column = np.argwhere(bad)[0]
    message = what.format(item=items[row, column])
    more = f" ({int(bad.sum())} such items in {int(bad.any(axis=1).sum())} of {len(items)} queries)"
    return PluginError(f"query {row} {message}{more}", fix="A component must rank allowed items only.")


def width(batch: QueryBatch, n_items: int) -> int:
    """How many items of a query can be scored: C candidates or the whole catalogue."""
    return n_items if batch.candidates is None else int(batch.candidates.shape[1])


def check_scores(scores: Any, batch: QueryBatch, n_items: int) -> Float32:
    """float32[B, n_items] or float32[B, C]: finite or -inf; probabilities for `Task.CTR`."""
    check_array(scores, (len(batch), width(batch, n_items)), np.float32, "scores")
    if np.isnan(scores).any():
        raise PluginError("scores hold NaN")
    if np.isposinf(scores).any():
        raise PluginError("scores hold +inf")
    if batch.task is Task.CTR:
        check_probability(scores, batch)
    if not scores.flags.writeable:
        raise PluginError("scores are read-only, but the caller must be able to overwrite the array")
    return scores  # type: ignore[no-any-return]


def check_probability(values: Any, batch: QueryBatch) -> Float32:
    """float32[B, C] in [0, 1] wherever the batch has a candidate."""
    assert batch.candidates is not None
    check_array(values, batch.candidates.shape, np.float32, "click probabilities")
    bad = (batch.candidates >= 0) & ~((values >= 0) & (values <= 1))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        what = f"the click probability {values[row, column]} (query {row}, candidate {column}) is not in [0, 1]"
        raise PluginError(what, fix="A click probability is a number between 0 and 1.")
    return values  # type: ignore[no-any-return]


def check_deliberation(answer: Any, batch: QueryBatch, n_items: int) -> Deliberation:
    """The answer that the task asks for, steps and a confidence for every query. Steps are not read (they are lazy)."""
    if not isinstance(answer, Deliberation):
        raise PluginError(f"the answer is {type(answer).__name__}, not Deliberation")
    if len(answer.steps) != len(batch):
        raise PluginError(f"steps for {len(answer.steps)} queries, not {len(batch)}")
    check_array(answer.confidence, (len(batch),), np.float32, "confidence")
    check_unit(answer.confidence, "confidence")
    if batch.task in {Task.SEQUENTIAL, Task.DIRECT}:
        ranking = check_ranking(answer.ranking, batch, n_items)
        if answer.mass is not None:
            _check_mass(answer.mass, ranking)
    if batch.task is Task.CTR:
        check_probability(answer.probability, batch)
    if batch.task is Task.EXPLAIN and (answer.text is None or len(answer.text) != len(batch)):
        raise PluginError("an explanation needs one text per query")
    return answer


def check_distribution(values: Any, batch: QueryBatch, n_items: int) -> Float32:
    """float32[B, n_items] or float32[B, C] in [0, 1]; a row sums to at most 1; the masked history has none."""
    check_array(values, (len(batch), width(batch, n_items)), np.float32, "distribution")
    check_unit(values, "distribution")
    _check_sums(values, 1, "a row of the distribution sums to more than 1")
    if batch.candidates is not None:
        if values[batch.candidates < 0].any():
            raise PluginError("padding (-1) has probability")
    elif values[batch.history.rows, batch.history.items].any():
        raise PluginError("an item of the history has probability", fix="Mask the history: it is not recommended.")
    return values  # type: ignore[no-any-return]


def check_samples(values: Any, items: Int32) -> Float32:
    """float32[T, B, K] in [0, 1] for int32[B, K] items; T >= 1; a pass sums to at most 1 per query; 0 for padding."""
    passes = np.shape(values)[0] if np.ndim(values) else 0
    check_array(values, (max(passes, 1), *items.shape), np.float32, "samples")
    check_unit(values, "samples")
    _check_sums(values, 2, "in one pass the items of a request sum to more than 1")
    if values[:, items < 0].any():
        raise PluginError("padding (-1) has probability in a pass")
    return values  # type: ignore[no-any-return]


def check_uncertainty(answer: Any, batch: QueryBatch, stage: str) -> Uncertainty:
    """float32[B] in [0, 1], with the stage that the estimator declares."""
    if not isinstance(answer, Uncertainty):
        raise PluginError(f"the answer is {type(answer).__name__}, not Uncertainty")
    if answer.stage != stage:
        raise PluginError(f"the answer has the stage {answer.stage!r}, but the estimator {stage!r}")
    for name in ("total", "epistemic", "aleatoric"):
        values = getattr(answer, name)
        if name == "total" or (values is not None and values is not answer.total):
            check_array(values, (len(batch),), np.float32, name)
            check_unit(values, name)
    return answer


def check_vectors(vectors: Any, n: int, d: int | None = None) -> Float32:
    """float32[n, d], all finite."""
    shape = (n, d if d is not None else np.shape(vectors)[-1] if np.ndim(vectors) else 0)
    check_array(vectors, shape, np.float32, "vectors")
    if not np.isfinite(vectors).all():
        raise PluginError("vectors hold NaN or infinity")
    return vectors  # type: ignore[no-any-return]


def _check_mass(mass: Any, ranking: Ranking) -> None:
    check_array(mass, ranking.items.shape, np.float32, "mass")
    check_unit(mass, "mass")
    _check_sums(mass, 1, "a row of mass sums to more than 1")
    if mass[ranking.items < 0].any():
        raise PluginError("padding (-1) has probability mass")


def check_edits(edits: Edits, batch: QueryBatch, labels: Mapping[str, tuple[str, ...]]) -> Edits:
    """Edits that fit the batch and the policy's labels.

    Raises:
        ConfigError: they do not: the edits are the caller's, not the policy's.
    """
    try:
        if edits.relevance is not None:
            check_array(edits.relevance, (len(batch.history.items),), np.float32, "relevance")
            check_unit(edits.relevance, "relevance")
        for name, chosen in edits.assume.items():
            if name not in labels:
                raise ConfigError(f"no labels can be assumed for {name!r}", fix=did_you_mean(name, labels))
            check_array(chosen, (len(batch),), np.int32, f"assume[{name!r}]")
            if ((chosen < -1) | (chosen >= len(labels[name]))).any():
                raise ConfigError(f"{name!r} has the labels 0 to {len(labels[name]) - 1} (-1: as inferred)")
    except PluginError as error:
        raise ConfigError(error.what, where="edits") from error
    return edits


def check_attribution(values: Any, batch: QueryBatch) -> Float32:
    """float32[L], finite and not negative."""
    check_array(values, (len(batch.history.items),), np.float32, "attribution")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise PluginError("an attribution is negative, NaN or infinite")
    return values  # type: ignore[no-any-return]


def check_shares(values: Any, batch: QueryBatch, items: Int32) -> Float32:
    """float32[L, K] in [0, 1]; those of a query's entries sum to at most 1; 0 for padding (-1) of int32[B, K] items."""
    check_array(values, (len(batch.history.items), items.shape[1]), np.float32, "shares of the history")
    check_unit(values, "shares of the history")
    total = np.zeros(items.shape, np.float64)
    np.add.at(total, batch.history.rows, values)
    if (total > 1 + 1e-4).any():
        raise PluginError("the shares of the history in an item sum to more than 1")
    if total[items < 0].any():
        raise PluginError("padding (-1) has shares of the history")
    return values  # type: ignore[no-any-return]


def check_beliefs(beliefs: Any, batch: QueryBatch, labels: Mapping[str, tuple[str, ...]]) -> Mapping[str, Float32]:
    """Per field float32[B, labels] in [0, 1], each row summing to 1."""
    if not isinstance(beliefs, Mapping) or set(beliefs) != set(labels):
        raise PluginError(f"labels are inferred for {sorted(beliefs)}, not for {sorted(labels)}")
    for name, belief in beliefs.items():
        check_array(belief, (len(batch), len(labels[name])), np.float32, f"beliefs about {name!r}")
        check_unit(belief, f"beliefs about {name!r}")
        if not np.allclose(belief.sum(axis=1, dtype=np.float64), 1.0, atol=1e-3):
            raise PluginError(f"beliefs about {name!r} do not sum to 1")
    return beliefs
