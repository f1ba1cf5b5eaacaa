"""From a stated confidence to one that holds: temperature, Platt, isotonic, chosen on validation.

A map is fitted to pairs of confidence and outcome that the confidence was not fitted on. Which map is best is judged
by cross-fitting (every case is mapped by a fit that did not see it), with "none" among the choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from reasonrec_core.evaluate.calibration import reliability
from reasonrec_core.routing.logistic import (
    MIN_PER_CLASS,
    ArrayModel,
    FloatArray,
    cross_fit,
    fit_logistic,
    log_loss,
    sigmoid,
    stratified_folds,
)
from reasonrec_core.types import Bool, Float64

RecalibrationKind = Literal["none", "temperature", "platt", "isotonic"]

KINDS: tuple[RecalibrationKind, ...] = get_args(RecalibrationKind)
"""Simplest first: of equally good ones the first is taken."""
LEAST = 1e-6
"""Confidences this near to 0 and 1 have log-odds."""
HOTTEST = np.log(100.0)
"""Temperatures are looked for from 1/100 to 100."""


class CalibrationQuality(BaseModel):
    """How far confidences can be trusted.

    Attributes:
        cases, events: how many, and the share that happened.
        brier: mean squared error. log_loss: mean, in nats.
        ece, ece_mass: expected calibration error, 15 bins of equal width and of equally many cases.
    """

    model_config = ConfigDict(frozen=True)

    cases: int
    events: float
    brier: float
    log_loss: float
    ece: float
    ece_mass: float

    @classmethod
    def of(cls, confidence: Float64, event: Bool) -> Self:
        """Of float64[B] confidences in [0, 1] that bool[B] events happen; not empty."""
        return cls(
            cases=len(event),
            events=float(event.mean()),
            brier=float(((confidence - event) ** 2).mean()),
            log_loss=log_loss(confidence, event, LEAST),
            ece=reliability(confidence, event).ece,
            ece_mass=reliability(confidence, event, kind="mass").ece,
        )


class Recalibration(ArrayModel):
    """A map from confidence to confidence, as numbers.

    - temperature: ``sigmoid(logit(p) / T)`` (Guo et al., ICML 2017); keeps the order, and one half where it is.
    - platt: ``sigmoid(a logit(p) + b)`` (Platt, 1999), fitted to his smoothed targets.
    - isotonic: a rising step function, linear between its corners (Zadrozny and Elkan, KDD 2002); it never says less
      than ``1 / (n + 2)`` nor more than ``(n + 1) / (n + 2)`` of n cases.

    Attributes:
        kind: which.
        slope, shift: of the log-odds; for temperature ``1 / T`` and 0.
        corners, values: float64[M] of the isotonic function.
        report: per kind that was tried, cross-fitted `CalibrationQuality`; empty where too few cases happened or did
            not.
    """

    kind: RecalibrationKind
    slope: float = 1.0
    shift: float = 0.0
    corners: FloatArray = Field(default_factory=lambda: np.zeros(0))
    values: FloatArray = Field(default_factory=lambda: np.zeros(0))
    report: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)

    def __call__(self, confidence: npt.ArrayLike) -> Float64:
        """float64[B] in [0, 1] for [B] in [0, 1]."""
        stated = np.asarray(confidence, np.float64)
        if self.kind == "none":
            return stated.copy()
        if self.kind == "isotonic":
            return np.asarray(np.interp(stated, self.corners, self.values))
        return sigmoid(self.slope * log_odds(stated) + self.shift)


def log_odds(confidence: Float64) -> Float64:
    """``log(p / (1 - p))``, finite."""
    p = np.minimum(np.maximum(confidence, LEAST), 1 - LEAST)  # a request waits for np.clip twice as long
    return np.asarray(np.log(p / (1 - p)))


def fit_recalibration(kind: RecalibrationKind, confidence: npt.ArrayLike, event: Bool) -> Recalibration:
    """The map of one kind, fitted to [B] confidences in [0, 1] and bool[B] events by likelihood (isotonic: squares)."""
    stated = np.asarray(confidence, np.float64)
    if stated.shape != event.shape or stated.ndim != 1 or not len(stated):
        raise ValueError(f"confidence {stated.shape} and event {event.shape} must be equally long, not empty")
    if not ((stated >= 0) & (stated <= 1)).all():
        raise ValueError("a confidence is not in [0, 1]")
    if kind == "temperature":
        return Recalibration(kind=kind, slope=_inverse_temperature(log_odds(stated), event))
    if kind == "platt":
        slope, shift = _platt(log_odds(stated), event)
        return Recalibration(kind=kind, slope=slope, shift=shift)
    if kind == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        edge = 1.0 / (len(stated) + 2)
        found = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(stated, event.astype(float))
        return Recalibration(kind=kind, corners=found.X_thresholds_, values=found.y_thresholds_)
    return Recalibration(kind="none")


def fit_monotone_platt(confidence: npt.ArrayLike, event: Bool) -> Recalibration:
    """Platt's map where it rises; else a temperature: the order of confidences is never turned round.

    On cases that a confidence tells nothing of, chance gives Platt's map a slope below 0 half of the time.
    """
    made = fit_recalibration("platt", confidence, event)
    return made if made.slope > 0 else fit_recalibration("temperature", confidence, event)


def choose_recalibration(confidence: npt.ArrayLike, event: Bool, seed: int) -> Recalibration:
    """The kind that cross-fitting shows to be worth it, fitted to all cases.

    A kind takes the place of a simpler one where its squared error is smaller by more than one standard error of the
    difference: with few cases a map that does nothing in truth is easily the best by chance (Breiman et al., 1984).

    Args:
        confidence: [B] in [0, 1].
        event: bool[B].
        seed: of the folds.

    Returns:
        "none" where fewer than `MIN_PER_CLASS` cases happened, or did not.
    """
    stated = np.asarray(confidence, np.float64)
    if min(event.sum(), (~event).sum()) < MIN_PER_CLASS:
        return Recalibration(kind="none")
    folds, report = stratified_folds(event, seed), dict[str, dict[str, float]]()
    best: RecalibrationKind = "none"
    least = np.zeros(0)
    for kind in KINDS:

        def fit(rest: Any, kind: Any = kind) -> Any:
            made = fit_recalibration(kind, stated[rest], event[rest])
            return lambda rows: made(stated[rows])

        crossed = cross_fit(folds, len(event), fit)
        report[kind] = CalibrationQuality.of(crossed, event).model_dump()
        losses = (crossed - event) ** 2
        gained = least - losses if len(least) else np.zeros(len(losses))
        if not len(least) or gained.mean() > gained.std() / np.sqrt(len(gained)):
            best, least = kind, losses
    return fit_recalibration(best, stated, event).model_copy(update={"report": report})


def _inverse_temperature(odds: Float64, event: Bool) -> float:
    from scipy.optimize import minimize_scalar

    sign = np.where(event, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -sign * odds * np.exp(-log_temperature)).mean())

    found = minimize_scalar(loss, bounds=(-HOTTEST, HOTTEST), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(-found.x))


def _platt(odds: Float64, event: Bool) -> tuple[float, float]:
    """Slope and shift; each case counts for both outcomes, by Platt's targets."""
    happened, not_happened = int(event.sum()), int((~event).sum())
    target = np.where(event, (happened + 1) / (happened + 2), 1 / (not_happened + 2))
    both, outcome = np.concatenate([odds, odds])[:, None], np.repeat([True, False], len(odds))
    weights, shift = fit_logistic(both, outcome, 1e6, np.concatenate([target, 1 - target]))
    return float(weights[0]), shift
