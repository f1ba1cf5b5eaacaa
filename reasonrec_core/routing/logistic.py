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

from collections.abc import Callable, Iterable
from functools import cache, cached_property
from itertools import combinations
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

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


class SplineBasis:
    """Linear splines: float64[B, F] signals into float64[B, F + hinges], each followed by its ``max(x - knot, 0)``.

    The layout is worked out once: a single request pays for three array operations, not for one per knot.

    Args:
        knots: per signal, where its hinges sit.
    """

    def __init__(self, knots: Knots) -> None:
        lengths = [1 + len(at) for at in knots]
        self._source = np.repeat(np.arange(len(knots)), lengths)
        self._shift = np.array([knot for at in knots for knot in (0.0, *at)])
        self._least = np.array([least for at in knots for least in (-np.inf, *(0.0 for _ in at))])

    def __call__(self, signals: Float64) -> Float64:
        """The columns."""
        made = signals.take(self._source, axis=1)  # row-contiguous, so that sums do not depend on the batch
        made -= self._shift
        np.maximum(made, self._least, out=made)
        return made


def place_knots(signals: Float64) -> Knots:
    """The different values at `QUANTILES` of each column of float64[B, F]."""
    return tuple(tuple(float(q) for q in np.unique(np.quantile(column, QUANTILES))) for column in signals.T)


class LinearSpline(ArrayModel):
    """A linear function of signals and their hinges.

    Attributes:
        knots: per signal, where its hinges sit.
        mean, scale: of the design columns.
        weights: of the standardised design columns.
        bias: at the mean.
    """

    knots: Knots
    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    bias: float

    def linear(self, signals: Float64) -> Float64:
        """float64[B] for float64[B, F]."""
        # A sum of products per row, not a matrix product: BLAS rounds differently for different batch sizes.
        weights, bias = self._folded
        return np.asarray((self.design(signals) * weights).sum(axis=1) + bias)

    def design(self, signals: Float64) -> Float64:
        """The columns."""
        return self._basis(signals)

    @cached_property
    def _basis(self) -> SplineBasis:
        return SplineBasis(self.knots)

    @cached_property
    def _folded(self) -> tuple[Float64, float]:
        """Weights and bias of the design as it is: a request does not pay for standardising it."""
        weights = self.weights / self.scale
        return weights, self.bias - float((weights * self.mean).sum())


def standardise(design: Float64) -> tuple[Float64, Float64, Float64]:
    """The columns of float64[B, F] at mean 0 and deviation 1 (constant ones at 0), means and deviations."""
    mean, scale = design.mean(axis=0), design.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    return (design - mean) / scale, mean, scale


class Logistic(LinearSpline):
    """``P(event | signals)`` as numbers; its design has the product of each pair of signals, too.

    Attributes:
        names: the signals, in the order of the columns.
        report: cross-fitted quality: ``events`` (base rate), ``cases``, and where both outcomes occur often enough
            ``auc``, ``brier``, ``log_loss``, ``ece`` (15 equal-width bins).
    """

    names: tuple[str, ...]
    report: dict[str, float]

    @classmethod
    def fit(cls, names: tuple[str, ...], signals: Float64, event: Bool, seed: int) -> Self:
        """Fit to float64[B, len(names)] signals and bool[B] events; a constant where one outcome is too rare."""
        knots = place_knots(signals)
        design = with_products(signals, SplineBasis(knots)(signals))
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
        return sigmoid(self.linear(signals))

    def design(self, signals: Float64) -> Float64:
        """The columns."""
        return with_products(signals, self._basis(signals))


def with_products(signals: Float64, columns: Float64) -> Float64:
    """``columns``, and after them the product of each pair of signals."""
    if signals.shape[1] < 2:
        return columns
    first, second = _pairs(signals.shape[1])
    return np.concatenate([columns, signals.take(first, axis=1) * signals.take(second, axis=1)], axis=1)


@cache
def _pairs(columns: int) -> npt.NDArray[np.intp]:
    """intp[2, pairs]: every two of so many columns; worked out once, not by every request."""
    return np.array(list(combinations(range(columns), 2)), np.intp).T


def sigmoid(odds: Float64) -> Float64:
    """``1 / (1 + exp(-x))``."""
    from scipy.special import expit

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
