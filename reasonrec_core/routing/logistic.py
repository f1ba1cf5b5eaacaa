"""From signals to probabilities: a logistic regression that is stored as plain numbers, and fitting across folds.

Each signal enters through hinge functions at its validation quantiles, so that its effect may bend (the evidence
horizon's often does), each pair through its product; a penalty on the weights, chosen by cross-validation, keeps
few cases from being overfitted.
A model with an intercept fitted by maximum likelihood is calibrated on average by construction. How good it is must
not be read off the cases it was fitted on: `Logistic.fit` also reports cross-fitted figures, where every case is
predicted by a model that did not see it.

scikit-learn is imported where something is fitted: answering a request needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import combinations
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from scipy.special import expit

from reasonrec_core.evaluate.calibration import reliability
from reasonrec_core.types import Bool, Float64, Int64

Knots = tuple[tuple[float, ...], ...]
Predict = Callable[[Any], Float64]

FloatArray = Annotated[
    Float64, BeforeValidator(lambda value: np.asarray(value, np.float64)), PlainSerializer(lambda value: value.tolist())
]
"""float64 of any shape, in JSON as lists."""

QUANTILES = (0.25, 0.5, 0.75)
"""Where hinges sit."""
FOLDS = 5
PENALTIES = (0.01, 0.1, 1.0, 10.0)
MIN_PER_CLASS = 2 * FOLDS


class ArrayModel(BaseModel):
    """Base of what a fit learns: numbers and arrays, frozen; ``model_dump(mode="json")`` and back loses nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def cross_fit(folds: Iterable[tuple[Any, Any]], size: int, fit: Callable[[Any], Predict]) -> Float64:
    """float64[size, ...]: every case predicted by a model that did not see it.

    Args:
        folds: pairs of positions (or masks): to fit on, and to predict.
        size: number of cases.
        fit: positions -> what predicts others.
    """
    made: Float64 | None = None
    for rest, left_out in folds:
        values = fit(rest)(left_out)
        if made is None:
            made = np.empty((size, *values.shape[1:]))
        made[left_out] = values
    assert made is not None
    return made


def unit_folds(units: Int64, seed: int, folds: int = FOLDS) -> list[tuple[Bool, Bool]]:
    """Masks to fit on and to predict, cases of one unit in one fold; empty folds are left out.

    Args:
        units: int64[B] numbers from 0, e.g. users.
        seed: of the draw.
        folds: how many.
    """
    fold = np.random.default_rng(seed).integers(0, folds, int(units.max(initial=0)) + 1)[units]
    masks = [fold == each for each in range(folds)]
    return [(~mask, mask) for mask in masks if mask.any()]


def design_matrix(signals: Float64, knots: Knots, *, products: bool = True) -> Float64:
    """float64[B, F]: each signal and its hinges ``max(x - knot, 0)``, then the product of each pair of signals."""
    columns, made = list(signals.T), list[Float64]()
    for column, at in zip(columns, knots, strict=True):
        made += [column, *(np.maximum(column - knot, 0.0) for knot in at)]
    made += [one * other for one, other in combinations(columns, 2)] if products else []
    return np.stack(made, axis=1)


def place_knots(signals: Float64) -> Knots:
    """The different values at `QUANTILES` of each column of float64[B, F]."""
    return tuple(tuple(float(q) for q in np.unique(np.quantile(column, QUANTILES))) for column in signals.T)


class SplineSum:
    """A weighted sum of the columns of `design_matrix`, term by term: it rounds alike for one query and among many."""

    def __init__(self, knots: Knots, weights: Float64, bias: float) -> None:
        of, self._bias = iter(weights.tolist()), bias
        columns = [(column, next(of), [(knot, next(of)) for knot in at]) for column, at in enumerate(knots)]
        self._lines = [(column, weight) for column, weight, _ in columns]
        self._hinges = [(column, *hinge) for column, _, hinges in columns for hinge in hinges]
        self._products = [(*pair, weight) for pair, weight in zip(combinations(range(len(knots)), 2), of, strict=False)]

    def __call__(self, columns: Sequence[Any]) -> Any:
        """float64[B] for float64[B] of each signal; a number for numbers, which for one query are many times faster."""
        larger = max if isinstance(columns[0], float) else np.maximum
        made: Any = self._bias
        for column, weight in self._lines:
            made = made + columns[column] * weight
        for column, knot, weight in self._hinges:
            made = made + larger(columns[column] - knot, 0.0) * weight
        for one, other, weight in self._products:
            made = made + columns[one] * columns[other] * weight
        return made


def standardise(design: Float64) -> tuple[Float64, Float64, Float64]:
    """The columns of float64[B, F] at mean 0 and deviation 1 (constant ones at 0), means and deviations."""
    mean, scale = design.mean(axis=0), design.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    return (design - mean) / scale, mean, scale


class Logistic(ArrayModel):
    """``P(event | signals)`` as numbers: linear in signals, their hinges and the product of each pair.

    Attributes:
        knots: per signal, where its hinges sit.
        mean, scale: of the design columns.
        weights: of the standardised design columns.
        bias: at the mean.
        names: the signals, in the order of the columns.
        report: cross-fitted quality: ``events`` (base rate), ``cases``, and where both outcomes occur often enough
            ``auc``, ``brier``, ``log_loss``, ``ece`` (15 equal-width bins).
    """

    knots: Knots
    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    bias: float
    names: tuple[str, ...]
    report: dict[str, float]

    @classmethod
    def fit(cls, names: tuple[str, ...], signals: Float64, event: Bool, seed: int) -> Self:
        """Fit to float64[B, len(names)] signals and bool[B] events; a constant where one outcome is too rare."""
        knots = place_knots(signals)
        design = design_matrix(signals, knots)
        standard, mean, scale = standardise(design)
        parts: dict[str, Any] = {"names": names, "knots": knots, "mean": mean, "scale": scale}
        report = {"cases": float(len(event)), "events": float(event.mean())}
        if int(min(event.sum(), (~event).sum())) < MIN_PER_CLASS:
            rate = (event.sum() + 0.5) / (len(event) + 1.0)
            bias = float(np.log(rate / (1.0 - rate)))
            return cls(**parts, weights=np.zeros(design.shape[1]), bias=bias, report=report)
        penalty, crossed = _choose_penalty(standard, event, seed)
        weights, bias = fit_logistic(standard, event, penalty)
        return cls(**parts, weights=weights, bias=bias, report=report | _quality(crossed, event))

    def __call__(self, signals: Float64) -> Float64:
        """float64[B] probabilities for float64[B, len(names)] signals."""
        return self.predict(list(signals.T))

    def predict(self, columns: Sequence[Any]) -> Float64:
        """The same for what `read_columns` gives."""
        return sigmoid(np.atleast_1d(self._sum(columns)))

    @cached_property
    def _sum(self) -> SplineSum:
        """Of the design as it is: a request does not pay for standardising it."""
        weights = self.weights / self.scale
        return SplineSum(self.knots, weights, self.bias - float((weights * self.mean).sum()))


def sigmoid(odds: Float64) -> Float64:
    """``1 / (1 + exp(-x))``."""
    return np.asarray(expit(odds))


def fit_logistic(design: Float64, event: Bool, penalty: float, weight: Float64 | None = None) -> tuple[Float64, float]:
    """Weights and intercept of the largest likelihood less the squared weights over twice ``penalty``.

    Args:
        design: float64[B, F].
        event: bool[B].
        penalty: the inverse of the regularisation, scikit-learn's ``C``.
        weight: float64[B] of each case.
    """
    from sklearn.linear_model import LogisticRegression

    from reasonrec_core.evaluate import find_thread_pools

    with find_thread_pools().limit(limits=1):  # matrices this small lose more to threads than they gain
        model = LogisticRegression(C=penalty, solver="newton-cholesky", max_iter=200)
        model.fit(design, event, sample_weight=weight)
    return model.coef_[0].astype(np.float64), float(model.intercept_[0])


def stratified_folds(event: Bool, seed: int) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Positions to fit on and to predict, events as often in each of `FOLDS` folds."""
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(event[:, None], event))


def _choose_penalty(design: Float64, event: Bool, seed: int) -> tuple[float, Float64]:
    """The penalty with the least cross-fitted log loss, and its cross-fitted predictions."""
    folds, losses = stratified_folds(event, seed), dict[float, tuple[float, Float64]]()
    for penalty in PENALTIES:

        def fit(rest: Any, penalty: float = penalty) -> Predict:
            weights, bias = fit_logistic(design[rest], event[rest], penalty)
            return lambda rows: sigmoid(design[rows] @ weights + bias)

        crossed = cross_fit(folds, len(event), fit)
        losses[penalty] = (log_loss(crossed, event), crossed)
    best = min(losses, key=lambda penalty: losses[penalty][0])
    return best, losses[best][1]


def log_loss(predicted: Float64, event: Bool, edge: float = float(np.finfo(np.float64).eps)) -> float:
    """Mean negative logarithm of the probability of what happened, in nats; of none nearer to 0 or 1 than ``edge``."""
    safe = np.clip(predicted, edge, 1 - edge)
    return float(-np.log(np.where(event, safe, 1 - safe)).mean())


def _quality(predicted: Float64, event: Bool) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    return {
        "auc": float(roc_auc_score(event, predicted)),
        "brier": float(np.mean((predicted - event) ** 2)),
        "log_loss": log_loss(predicted, event),
        "ece": reliability(predicted, event).ece,
    }
