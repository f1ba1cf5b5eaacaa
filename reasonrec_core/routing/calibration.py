"""From a stated confidence to one that holds: temperature, Platt, isotonic, chosen on validation.

A map is fitted to pairs of confidence and outcome that the confidence was not fitted on. Which map is best is judged
by cross-fitting (every case is mapped by a fit that did not see it), with "none" among the choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from reasonrec_core.evaluate.calibration import reliability
from reasonrec_core.types import Bool, Float64

Kind = Literal["none", "temperature", "platt", "isotonic"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""Simplest first: of equally good ones the first is taken."""
FOLDS = 5
MIN_PER_CLASS = 2 * FOLDS
LEAST = 1e-6
"""Confidences this near to 0 and 1 have log-odds."""
HOTTEST = np.log(100.0)
"""Temperatures are looked for from 1/100 to 100."""


@dataclass(frozen=True)
class Quality:
    """How far confidences can be trusted.

    Attributes:
        cases, events: how many, and the share that happened.
        brier: mean squared error. log_loss: mean, in nats.
        ece, ece_mass: expected calibration error, 15 bins of equal width and of equally many cases.
    """

    cases: int
    events: float
    brier: float
    log_loss: float
    ece: float
    ece_mass: float

    @classmethod
    def of(cls, confidence: Float64, event: Bool) -> Self:
        """Of float64[B] confidences in [0, 1] that bool[B] events happen; not empty."""
        safe = np.clip(confidence, LEAST, 1 - LEAST)
        return cls(
            len(event),
            float(event.mean()),
            float(np.mean((confidence - event) ** 2)),
            float(-np.log(np.where(event, safe, 1 - safe)).mean()),
            reliability(confidence, event).ece,
            reliability(confidence, event, kind="mass").ece,
        )

    def to_dict(self) -> dict[str, float]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Recalibration:
    """A map from confidence to confidence, as numbers.

    - temperature: ``sigmoid(logit(p) / T)`` (Guo et al., ICML 2017); keeps the order, and one half where it is.
    - platt: ``sigmoid(a logit(p) + b)`` (Platt, 1999), fitted to his smoothed targets.
    - isotonic: a rising step function, linear between its corners (Zadrozny and Elkan, KDD 2002); it never says less
      than ``1 / (n + 2)`` nor more than ``(n + 1) / (n + 2)`` of n cases.

    Attributes:
        kind: which.
        slope, shift: of the log-odds; for temperature ``1 / T`` and 0.
        corners, values: float64[M] of the isotonic function.
        report: per kind that was tried, cross-fitted `Quality`; empty where too few cases happened or did not.
    """

    kind: Kind
    slope: float = 1.0
    shift: float = 0.0
    corners: Float64 = field(default_factory=lambda: np.zeros(0))
    values: Float64 = field(default_factory=lambda: np.zeros(0))
    report: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __call__(self, confidence: npt.ArrayLike) -> Float64:
        """float64[B] in [0, 1] for [B] in [0, 1]."""
        stated = np.asarray(confidence, np.float64)
        if self.kind == "none":
            return stated.copy()
        if self.kind == "isotonic":
            return np.asarray(np.interp(stated, self.corners, self.values))
        return np.asarray(expit(self.slope * log_odds(stated) + self.shift))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        arrays = {"corners": self.corners.tolist(), "values": self.values.tolist()}
        report = {kind: dict(quality) for kind, quality in self.report.items()}
        return {"kind": self.kind, "slope": self.slope, "shift": self.shift, **arrays, "report": report}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        arrays = {name: np.array(value[name], np.float64) for name in ("corners", "values")}
        return cls(value["kind"], float(value["slope"]), float(value["shift"]), report=value["report"], **arrays)


def log_odds(confidence: Float64) -> Float64:
    """``log(p / (1 - p))``, finite."""
    p = np.clip(confidence, LEAST, 1 - LEAST)
    return np.asarray(np.log(p / (1 - p)))


def fit_recalibration(kind: Kind, confidence: npt.ArrayLike, event: Bool) -> Recalibration:
    """The map of one kind, fitted to [B] confidences in [0, 1] and bool[B] events by likelihood (isotonic: squares)."""
    stated = np.asarray(confidence, np.float64)
    if stated.shape != event.shape or stated.ndim != 1 or not len(stated):
        raise ValueError(f"confidence {stated.shape} and event {event.shape} must be equally long and not empty")
    if not ((stated >= 0) & (stated <= 1)).all():
        raise ValueError("a confidence is not in [0, 1]")
    if kind == "temperature":
        return Recalibration(kind, slope=_inverse_temperature(log_odds(stated), event))
    if kind == "platt":
        return Recalibration(kind, *_platt(log_odds(stated), event))
    if kind == "isotonic":
        edge = 1.0 / (len(stated) + 2)
        found = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(stated, event.astype(float))
        corners, values = (np.asarray(each, np.float64) for each in (found.X_thresholds_, found.y_thresholds_))
        return Recalibration(kind, corners=corners, values=values)
    return Recalibration("none")


def in_order(confidence: npt.ArrayLike, event: Bool) -> Recalibration:
    """Platt's map where it rises; else a temperature: the order of confidences is never turned round.

    On cases that a confidence tells nothing of, chance gives Platt's map a slope below 0 half of the time.
    """
    made = fit_recalibration("platt", confidence, event)
    return made if made.slope > 0 else fit_recalibration("temperature", confidence, event)


def choose_recalibration(
    confidence: npt.ArrayLike,
    event: Bool,
    seed: int,
    *,
    by: Literal["brier", "log_loss"] = "brier",
    among: Sequence[Kind] = KINDS,
) -> Recalibration:
    """The kind that cross-fitting shows to be worth it, fitted to all cases.

    A kind takes the place of a simpler one where its mean loss is smaller by more than one standard error of the
    difference: with few cases a map that does nothing in truth is easily the best by chance (Breiman et al., 1984).

    Args:
        confidence: [B] in [0, 1].
        event: bool[B].
        seed: of the folds.
        by: the loss.
        among: kinds to try, the simplest first; "none" is always tried.

    Returns:
        "none" where fewer than `MIN_PER_CLASS` cases happened, or did not.
    """
    stated = np.asarray(confidence, np.float64)
    if min(event.sum(), (~event).sum()) < MIN_PER_CLASS:
        return Recalibration("none")
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(stated[:, None], event))
    report: dict[str, Mapping[str, float]] = {}
    best, least = "none", np.zeros(0)
    for kind in dict.fromkeys(("none", *among)):
        crossed = np.empty(len(event))
        for fit, held in folds:
            crossed[held] = fit_recalibration(kind, stated[fit], event[fit])(stated[held])
        report[kind] = Quality.of(crossed, event).to_dict()
        losses = _losses(crossed, event, by)
        gained = least - losses if len(least) else np.zeros(len(losses))
        if not len(least) or gained.mean() > gained.std() / np.sqrt(len(gained)):
            best, least = kind, losses
    chosen = fit_recalibration(next(kind for kind in KINDS if kind == best), stated, event)
    return Recalibration(chosen.kind, chosen.slope, chosen.shift, chosen.corners, chosen.values, report)


def _losses(confidence: Float64, event: Bool, by: str) -> Float64:
    """float64[B]: of each case; their mean is that of `Quality`."""
    if by == "brier":
        return np.asarray((confidence - event) ** 2)
    safe = np.clip(confidence, LEAST, 1 - LEAST)
    return np.asarray(-np.log(np.where(event, safe, 1 - safe)))


def _inverse_temperature(odds: Float64, event: Bool) -> float:
    sign = np.where(event, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -sign * odds * np.exp(-log_temperature)).mean())

    found = minimize_scalar(loss, bounds=(-HOTTEST, HOTTEST), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(-found.x))


def _platt(odds: Float64, event: Bool) -> tuple[float, float]:
    """Slope and shift; each case counts for both outcomes, by Platt's targets."""
    happened, not_happened = int(event.sum()), int((~event).sum())
    target = np.where(event, (happened + 1) / (happened + 2), 1 / (not_happened + 2))
    both = np.concatenate([odds, odds])[:, None]
    outcome = np.repeat([True, False], len(odds))
    with threadpool_limits(1):
        model = LogisticRegression(C=1e6, solver="newton-cholesky", max_iter=200)
        model.fit(both, outcome, sample_weight=np.concatenate([target, 1 - target]))
    return float(model.coef_[0, 0]), float(model.intercept_[0])
