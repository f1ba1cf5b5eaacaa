"""From uncertainty signals to probabilities: a logistic regression that is stored as plain numbers.

Each signal enters through hinge functions at its validation quantiles, so that its effect may bend (the evidence
horizon's often does), each pair through its product; a penalty on the weights, chosen by cross-validation, keeps
few cases from being overfitted.
A model with an intercept fitted by maximum likelihood is calibrated on average by construction. How good it is must
not be read off the cases it was fitted on: `Calibrated.fit` also reports cross-fitted figures, where every case is
predicted by a model that did not see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Self

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from reasonrec_core.routing.spline_basis import Hinges, Knots, knots_of
from reasonrec_core.types import Bool, Float64

KNOTS = (0.25, 0.5, 0.75)
FOLDS = 5
PENALTIES = (0.01, 0.1, 1.0, 10.0)
MIN_PER_CLASS = 2 * FOLDS


@dataclass(frozen=True)
class Calibrated:
    """``P(event | signals)`` as numbers.

    Attributes:
        names: the signals, in the order of the columns.
        knots: per signal, where its hinges sit.
        mean, scale: of the design columns.
        weights: of the standardised design columns.
        bias: log-odds at the mean.
        report: cross-fitted quality: ``events`` (base rate), ``cases``, and where both outcomes occur often enough
            ``auc``, ``brier``, ``log_loss``, ``ece`` (15 equal-width bins).
    """

    names: tuple[str, ...]
    knots: tuple[tuple[float, ...], ...]
    mean: Float64
    scale: Float64
    weights: Float64
    bias: float
    report: Mapping[str, float]

    @classmethod
    def fit(cls, names: tuple[str, ...], signals: Float64, event: Bool, seed: int) -> Self:
        """Fit to float64[B, len(names)] signals and bool[B] events; a constant where one outcome is too rare."""
        knots = knots_of(signals, KNOTS)
        design = _Design(knots)(signals)
        mean, scale = design.mean(axis=0), design.std(axis=0)
        scale = np.where(scale > 1e-9, scale, 1.0)
        rare = int(min(event.sum(), (~event).sum()))
        report = {"cases": float(len(event)), "events": float(event.mean())}
        if rare < MIN_PER_CLASS:
            rate = (event.sum() + 0.5) / (len(event) + 1.0)
            bias = float(np.log(rate / (1.0 - rate)))
            return cls(names, knots, mean, scale, np.zeros(design.shape[1]), bias, report)
        standard = (design - mean) / scale
        with threadpool_limits(1):  # matrices this small lose more to threads than they gain
            penalty, crossed = _choose(standard, event, seed)
            model = _logistic(standard, event, penalty)
        report |= _quality(crossed, event)
        return cls(names, knots, mean, scale, model.coef_[0].astype(np.float64), float(model.intercept_[0]), report)

    def __call__(self, signals: Float64) -> Float64:
        """float64[B] probabilities for float64[B, len(names)] signals."""
        # A sum of products per row, not a matrix product: BLAS rounds differently for different batch sizes.
        weights, bias = self._folded
        return np.asarray(expit((self._design(signals) * weights).sum(axis=1) + bias))

    @cached_property
    def _design(self) -> _Design:
        return _Design(self.knots)

    @cached_property
    def _folded(self) -> tuple[Float64, float]:
        """Weights and bias of the design as it is: a request does not pay for standardising it."""
        weights = self.weights / self.scale
        return weights, self.bias - float((weights * self.mean).sum())

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON values."""
        return {
            "names": list(self.names),
            "knots": [list(k) for k in self.knots],
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "weights": self.weights.tolist(),
            "bias": self.bias,
            "report": dict(self.report),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        arrays = {k: np.array(value[k], dtype=np.float64) for k in ("mean", "scale", "weights")}
        knots = tuple(tuple(k) for k in value["knots"])
        return cls(tuple(value["names"]), knots, bias=float(value["bias"]), report=dict(value["report"]), **arrays)


class _Design:
    """Signals with their hinges, then the product of each pair of signals."""

    def __init__(self, knots: Knots) -> None:
        self._hinges = Hinges(knots)
        pairs = np.array(list(combinations(range(len(knots)), 2)), np.intp).reshape(-1, 2)
        self._first, self._second = pairs.T

    def __call__(self, signals: Float64) -> Float64:
        if not len(self._first):
            return self._hinges(signals)
        products = signals[:, self._first] * signals[:, self._second]
        return np.concatenate([self._hinges(signals), products], axis=1)


def _logistic(design: Float64, event: Bool, penalty: float) -> LogisticRegression:
    return LogisticRegression(C=penalty, solver="newton-cholesky", max_iter=200).fit(design, event)


def _choose(design: Float64, event: Bool, seed: int) -> tuple[float, Float64]:
    """The penalty with the least cross-fitted log loss, and its cross-fitted predictions."""
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(design, event))
    best: tuple[float, float, Float64] | None = None
    for penalty in PENALTIES:
        crossed = np.empty(len(event))
        for fit, held in folds:
            crossed[held] = _logistic(design[fit], event[fit], penalty).predict_proba(design[held])[:, 1]
        loss = float(log_loss(event, crossed, labels=[False, True]))
        if best is None or loss < best[0]:
            best = (loss, penalty, crossed)
    assert best is not None
    return best[1], best[2]


def _quality(predicted: Float64, event: Bool) -> dict[str, float]:
    bins = np.minimum((predicted * 15).astype(np.int64), 14)
    count = np.bincount(bins, minlength=15)
    gap = np.abs(np.bincount(bins, event, 15) - np.bincount(bins, predicted, 15))
    return {
        "auc": float(roc_auc_score(event, predicted)),
        "brier": float(np.mean((predicted - event) ** 2)),
        "log_loss": float(log_loss(event, predicted, labels=[False, True])),
        "ece": float(gap.sum() / count.sum()),
    }
